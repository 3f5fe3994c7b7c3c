"""One adapter a kind of case: `missing` names the program that is not there, `needs_root` tells whom it needs, `run` gives the differences."""

from adapters import lspawn, plain, qmqpc, queue, remote, send, tables

ADAPTERS = {
    **{name: plain for name in plain.PROGRAMS},
    "qmail-send": send, "qmail-bounce": send, "qmail-queue": queue, "qmail-lspawn": lspawn,
    "qmail-remote": remote, "qmail-tcpto": tables, "qmail-tcpok": tables, "qmail-qmqpc": qmqpc,
}
