"""run/tcpto (qmail: queue/lock/tcpto): which addresses did not answer lately. 64 records of 16 bytes: IPv4 address, number of failures, time."""

import socket
import struct
import time

from namespaces import ACCOUNTS, QMAIL
from sandbox import give

PATH = QMAIL / "run/tcpto"
RECORDS = 64
# What counts as now.
FRESH = 60


def write(entries):
    """The table with these entries: {ip, count, age in seconds}."""
    records = [socket.inet_aton(e["ip"]) + struct.pack("<BxxxIxxxx", e["count"], int(time.time()) - e["age"]) for e in entries]
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_bytes(b"".join(records).ljust(16 * RECORDS, b"\0"))
    PATH.chmod(0o644)
    give(PATH, *ACCOUNTS["qmailr"])


def read():
    """The entries that are not all zero, as `expect.tcpto` has them."""
    data, found = PATH.read_bytes(), []
    for at in range(0, len(data), 16):
        if any(data[at:at + 16]):
            count, when = struct.unpack("<BxxxIxxxx", data[at + 4:at + 16])
            found.append({"ip": socket.inet_ntoa(data[at:at + 4]), "count": count, "fresh": abs(time.time() - when) < FRESH})
    return found
