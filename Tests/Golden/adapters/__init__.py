"""One adapter a kind of case: `missing` names the program that is not there, `needs_root` tells whom it needs, `run` gives the differences."""

from adapters import plain

ADAPTERS = {name: plain for name in plain.PROGRAMS}
