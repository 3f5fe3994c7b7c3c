"""qmail-rspawn: role remote is the real one, with the recorded program in qmail-remote's place (control/remoteprogram); the queue is played."""

import os
import socket
import time

import frames
from cases import to_bytes
from compare import Comparison
from namespaces import BOX, HOST, PROGRAMS, QMAIL
from roles import Role, boundary, prepare_queue
from sandbox import PLACES

MESSAGE = b"message text\n"
LIMIT = 20

_PROGRAM = r'''#!/usr/bin/python3 -IS
import os, signal, sys
output, end, message = {output!r}, {end!r}, {message!r}
if os.read(0, 1000) != message:
    output = b"Dno message on descriptor 0\0"
elif output == b"ARGS":
    output = b"K" + b"".join(os.fsencode(argument) + b"|" for argument in sys.argv[1:]) + b"\0"
os.write(1, output)
if end < 0:
    os.kill(os.getpid(), -end)
os._exit(end)
'''

# What of a case this adapter reads, and what it compares or knows not to be ours: remote says at its start how much it takes, and it has no table of
# timeouts to begin with.
KEYS = {"input", "spawn"}
EXPECT = {"exit", "first_byte", "reports", "tcpto_zeroed"}


def missing(case, sandbox):
    return None if (PROGRAMS / "martletd").exists() else "martletd"


def needs_root(case):
    return False


def run(case, sandbox):
    prepare_queue()
    (QMAIL / "control/me").write_text(HOST + "\n")
    _put_program(case.record["spawn"])
    comparison = Comparison(PLACES, time.time(), time.time())
    queue = frames.listen(boundary("deliver-remote"), socket.SOCK_SEQPACKET)
    queue.settimeout(LIMIT)
    remote = Role("remote", "qmailr", [])
    try:
        connection, _ = queue.accept()
        connection.settimeout(LIMIT)
        frames.receive(connection)
        for given, recorded in zip(case.record["input"], case.expect["reports"], strict=True):
            slot, report = _deliver(connection, given)
            comparison.value("slot", recorded["delnum"], slot)
            comparison.text("report", to_bytes(recorded["report"]), report)
        connection.close()
    finally:
        code = remote.stop()
        queue.close()
    comparison.value("exit code", case.expect["exit"], code)
    return comparison.differences


def _put_program(spawn):
    program = BOX / "remote"
    program.write_text(_PROGRAM.format(output=to_bytes(spawn["remote_output"]), end=spawn["remote_exit"], message=MESSAGE))
    program.chmod(0o755)
    (QMAIL / "control/remoteprogram").write_text(f"{program}\n")


def _deliver(connection, given):
    """(slot, report) that the delivery ended with."""
    message = frames.sealed(MESSAGE)
    recipient = to_bytes(given["recip"])
    request = frames.delivery_request(given["delnum"], recipient.rpartition(b"@")[2], to_bytes(given["sender"]), [recipient])
    frames.send(connection, request, message)
    os.close(message)
    slot, texts = frames.read_reports(frames.receive(connection)[0])
    return slot, b"".join(texts)
