"""One adapter a program, `plain` for all that are not named here: `missing` names the program that is not there, `needs_root` tells whom it needs, `run` gives the differences."""

from adapters import lspawn, qmqpc, queue, remote, rspawn, send, tables

ADAPTERS = {
    "qmail-send": send, "qmail-queue": queue, "qmail-lspawn": lspawn, "qmail-rspawn": rspawn,
    "qmail-remote": remote, "qmail-tcpto": tables, "qmail-tcpok": tables, "qmail-qmqpc": qmqpc,
}
