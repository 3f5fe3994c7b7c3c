"""Programs that are run under their qmail names and compared by exit code, output, files, and what the queue was given."""

import capture
import programs
from compare import Comparison
from sandbox import PLACES, QUEUE_PROGRAM, changes

# What of a case this adapter reads, and what it compares or knows not to be ours.
KEYS = {"queue_exit", "queue_error"}
EXPECT = {"exit", "stdout", "stderr", "message", "envelope", "queue", "queue_aborted", "files"}


def missing(case, sandbox):
    return None if case.program in sandbox.names else case.program


def needs_root(case):
    # These look at who owns the homes.
    return case.is_root or case.program in ("qmail-getpw", "qmail-pw2u")


def run(case, sandbox):
    before = sandbox.snapshot()
    ran = programs.run(case)
    comparison = Comparison(PLACES, ran.began, ran.ended)
    comparison.output(case.expect, ran)
    comparison.queue(case.expect, capture.taken(QUEUE_PROGRAM))
    comparison.files(case.expect.get("files", {}), changes(before, sandbox.snapshot()))
    return comparison.differences
