"""qmail-qmqpc: a client of a QMQP server under the name of a queue program; 127.0.0.2 answers, 127.0.0.3 refuses."""

import os

import peers
import programs
from cases import field, to_bytes
from compare import Comparison
from sandbox import PLACES

# What of a case this adapter reads, and what it compares or knows not to be ours.
KEYS = {"server", "input"}
EXPECT = {"exit", "stdout", "stderr", "server_received"}


def missing(case, sandbox):
    return None if case.program in sandbox.names else case.program


def needs_root(case):
    # Port 628.
    return False


def run(case, sandbox):
    server = peers.QMQPServer(to_bytes(case.record["server"]))
    reading, writing = os.pipe()
    try:
        os.write(writing, to_bytes(case.record["input"]))
        os.close(writing)
        ran = programs.run(case, stdout=reading, queue=False)
    finally:
        os.close(reading)
        server.close()
    comparison = Comparison(PLACES, ran.began, ran.ended)
    comparison.output(case.expect, ran)
    comparison.text("what the server received", field(case.expect, "server_received"), server.received)
    return comparison.differences
