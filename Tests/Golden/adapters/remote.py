"""qmail-remote against a scripted SMTP server; names are looked up in a scripted zone.

When the cases were recorded, hosts of the Internet were 127.0.0.2 and so on. Martlet goes to no address of the host itself unless a route says so: in
here they are 192.0.2.2 and so on, which the sandbox's own network answers too.
"""

import json
import re

import peers
import programs
import tcpto
from compare import Comparison
from cases import Case, field
from roles import prepare_queue
from sandbox import PLACES

PORT = 2525

# What of a case this adapter reads, and what it compares or knows not to be ours.
KEYS = {"server", "dns", "port", "tcpto"}
EXPECT = {"exit", "stdout", "stderr", "server_received", "tcpto"}


def missing(case, sandbox):
    return None if case.program in sandbox.names else case.program


def needs_root(case):
    # Names are asked for on port 53, mail goes to port 25.
    return False


def _elsewhere(case):
    return Case(case.file, json.loads(re.sub(r"(?<![\d.])127\.0\.0\.([2-9])(?!\d)", r"192.0.2.\1", json.dumps(case.record))))


def run(case, sandbox):
    case = _elsewhere(case)
    prepare_queue()
    if "tcpto" in case.record:
        tcpto.write(case.record["tcpto"])
    names = peers.NameServer(case.record.get("dns", {}))
    server = peers.SMTPServer(case.record.get("port", PORT), case.record["server"])
    try:
        ran = programs.run(case)
    finally:
        server.close()
        names.close()
    comparison = Comparison(PLACES, ran.began, ran.ended)
    comparison.output(case.expect, ran)
    comparison.text("what the server received", field(case.expect, "server_received"), server.received)
    if "tcpto" in case.expect:
        comparison.value("table of timeouts", case.expect["tcpto"], tcpto.read())
    return comparison.differences
