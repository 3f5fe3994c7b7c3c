"""Programs that are run under their qmail names and compared by exit code, output, files, and what the queue was given."""

import capture
import programs
from compare import Comparison
from sandbox import PLACES, QUEUE_PROGRAM, changes

PROGRAMS = """
    qmail-inject sendmail qmail-local qmail-smtpd
    qmail-newu qmail-newmrh qmail-getpw qmail-pw2u
    qmail-popup qmail-pop3d qmail-qmtpd qmail-qmqpd
    forward condredirect bouncesaying except preline qreceipt maildirmake maildir2mbox predate mailsubj datemail
    fixcrio rblsmtpd qmail-showctl tcprules tcprulescheck
""".split()


def missing(case, sandbox):
    return None if case.program in sandbox.names else case.program


def needs_root(case):
    return case.is_root


def run(case, sandbox):
    before = sandbox.snapshot()
    ran = programs.run(case)
    comparison = Comparison(PLACES, ran.began, ran.ended)
    comparison.output(case.expect, ran)
    comparison.queue(case.expect, capture.taken(QUEUE_PROGRAM))
    comparison.files(case.expect.get("files", {}), changes(before, sandbox.snapshot()))
    return comparison.differences
