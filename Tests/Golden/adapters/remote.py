"""qmail-remote against a scripted SMTP server; names are looked up in a scripted zone, through role dns."""

import peers
import programs
import tcpto
from compare import Comparison
from cases import field
from roles import Role, prepare_queue
from sandbox import PLACES

PORT = 2525


def missing(case, sandbox):
    return None if case.program in sandbox.names else case.program


def needs_root(case):
    # Names are asked for on port 53, mail goes to port 25.
    return False


def run(case, sandbox):
    prepare_queue()
    if "tcpto" in case.record:
        tcpto.write(case.record["tcpto"])
    names = peers.NameServer(case.record.get("dns", {}))
    server = peers.SMTPServer(case.record.get("port", PORT), case.record["server"])
    dns = Role("dns", "qmailn", ["dns"])
    try:
        ran = programs.run(case)
    finally:
        dns.stop()
        server.close()
        names.close()
    comparison = Comparison(PLACES, ran.began, ran.ended)
    comparison.output(case.expect, ran)
    comparison.text("what the server received", field(case.expect, "server_received"), server.received)
    if "tcpto" in case.expect:
        comparison.value("table of timeouts", case.expect["tcpto"], tcpto.read())
    return comparison.differences
