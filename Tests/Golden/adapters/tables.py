"""qmail-tcpto and qmail-tcpok: they show and clear the table of addresses that did not answer. Recorded as root, who may write it."""

import programs
import tcpto
from cases import Case
from compare import Comparison
from roles import prepare_queue
from sandbox import PLACES

# What of a case this adapter reads, and what it compares or knows not to be ours.
KEYS = {"tcpto"}
EXPECT = {"exit", "stdout", "stderr", "tcpto_all_zero"}


def missing(case, sandbox):
    return None if case.program in sandbox.names else case.program


def needs_root(case):
    return True


def run(case, sandbox):
    prepare_queue()
    tcpto.write(case.record["tcpto"])
    ran = programs.run(Case(case.file, {**case.record, "as": "root"}))
    comparison = Comparison(PLACES, ran.began, ran.ended)
    comparison.output(case.expect, ran)
    comparison.value("table is all zero", case.expect["tcpto_all_zero"], not tcpto.PATH.exists() or not tcpto.read())
    return comparison.differences
