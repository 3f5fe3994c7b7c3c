"""qmail-lspawn: martlet-lspawn and role route are the real ones; the queue and the delivery worker are played.

The worker that lspawn starts tells under whom and for whom it runs, in the words of the recorded stand-in for qmail-local. Not compared: its working
directory (a worker is already in the home, to which qmail-local itself changes). Where the case is about the size or the bytes of what qmail-local
says, the real worker runs a program that says it: the worker is where they are limited. Where it is about the file of the message, the queue passes what
it could open: nothing for a file that is not there, a directory for one; the real worker looks at it.
"""

import os
import re
import signal
import socket
import subprocess
import time

import frames
from cases import to_bytes
from compare import Comparison
from namespaces import BOX, HOST, PROGRAMS, QMAIL
from roles import LOG, Role, accounts_variable, boundary, prepare_queue
from sandbox import PLACES, put_places

MESSAGE = b"message text\n"
# Names that the cases have for the message and for a directory in its place.
MESSAGE_FILE, DIRECTORY = "0/23", "0/25"
LIMIT = 20
# Local part → what alias's .qmail runs.
_TALKERS = {"long": "yes y | head -c 10000 | tr -d '\\n'", "nul": r"printf 'a\0b'"}

_WORKER = r'''#!/usr/bin/python3 -IS
import os, signal, socket, struct, sys
queue = socket.socket(fileno=0)

def fields(packet):
    # After the type, the token and the seconds that a program may run.
    at = 9
    while at < len(packet):
        length = packet[at] | packet[at + 1] << 8
        yield packet[at + 2:at + 2 + length]
        at += 2 + length

while True:
    packet, descriptors, _, _ = socket.recv_fds(queue, 1 << 18, 1)
    if not packet:
        sys.exit(0)
    user, home, local, dash, ext, domain, sender, delivery = list(fields(packet))[:8]
    if local.startswith(b"exit-"):
        sys.exit(int(local[5:]))
    if local == b"crash":
        os.kill(os.getpid(), signal.SIGKILL)
    mask = os.umask(0)
    said = b"--|" + b"".join(word + b"|" for word in (user, home, local, dash, ext, domain, sender, delivery)) + b"\n"
    said += b"uid %d gid %d groups %s umask %04o cwd %s stdin %s" % (
        os.getuid(), os.getgid(), b" ".join(b"%d" % group for group in os.getgroups()), mask, os.getcwdb(), os.pread(descriptors[0], 1000, 0))
    if local == b"noout":
        said = b""
    queue.send(b"B" + packet[1:5] + b"K" + struct.pack("<H", len(said)) + said)
'''

# What of a case this adapter reads, and what it compares or knows not to be ours.
KEYS = {"input"}
EXPECT = {"exit", "first_byte", "reports"}


def missing(case, sandbox):
    return None if (PROGRAMS / "martlet-lspawn").exists() else "martlet-lspawn"


def needs_root(case):
    return True


def run(case, sandbox):
    prepare_queue()
    _compile_users()
    (QMAIL / "control/me").write_text(HOST + "\n")
    (QMAIL / "control/defaultdelivery").write_bytes(to_bytes(case.record["argv"][0]))
    worker = _put_worker(case)
    comparison = Comparison(PLACES, time.time(), time.time())
    queue = frames.listen(boundary("deliver-local"), socket.SOCK_SEQPACKET)
    queue.settimeout(LIMIT)
    route = Role("route", "qmailp", ["route", "identity"])
    with open(LOG, "ab") as log:
        lspawn = subprocess.Popen(
            ["martlet-lspawn", worker], executable=PROGRAMS / "martlet-lspawn", cwd=QMAIL, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={"PATH": "/usr/bin:/bin", **accounts_variable()})
    try:
        connection, _ = queue.accept()
        connection.settimeout(LIMIT)
        frames.receive(connection)
        for given, recorded in zip(case.record["input"], case.expect["reports"]):
            _compare(comparison, given, recorded, _deliver(connection, given))
    finally:
        lspawn.send_signal(signal.SIGKILL)
        lspawn.wait()
        route.stop()
        queue.close()
    return comparison.differences


def _put_worker(case):
    """The program that lspawn starts: our own, or the real one with something to say."""
    given = case.record["input"][0]
    if given["mess"] == DIRECTORY:
        return PROGRAMS / "qmail"
    local = given["recip"].partition("@")[0]
    if local in _TALKERS:
        (QMAIL / f"alias/.qmail-{local}").write_text(f"|{_TALKERS[local]}\n")
        return PROGRAMS / "qmail"
    worker = BOX / "worker"
    worker.write_text(_WORKER)
    worker.chmod(0o755)
    return worker


def _compile_users():
    if (QMAIL / "users/assign").exists():
        subprocess.run(["qmail-newu"], executable=QMAIL / "bin/qmail-newu", check=True, timeout=LIMIT, cwd="/")


def _deliver(connection, given):
    """(slot, report) that the delivery ended with."""
    message = _open(given["mess"])
    request = frames.delivery_request(given["delnum"], b"", to_bytes(given["sender"]), [to_bytes(given["recip"])])
    frames.send(connection, request, message)
    if message is not None:
        os.close(message)
    slot, texts = frames.read_reports(frames.receive(connection)[0])
    return slot, b"".join(texts)


def _open(name):
    """What the queue has open of a recorded message; None if it cannot be opened."""
    if name == MESSAGE_FILE:
        return frames.sealed(MESSAGE)
    return os.open(QMAIL, os.O_RDONLY) if name == DIRECTORY else None


def _compare(comparison, given, recorded, found):
    comparison.value("slot", recorded["delnum"], found[0])
    without_directory = lambda text: re.sub(rb" cwd \S+ ", b" ", text)
    comparison.text("report", without_directory(put_places(to_bytes(recorded["report"]))), without_directory(found[1]))
