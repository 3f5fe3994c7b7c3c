"""qmail-queue: the program, with the queue role behind it. What qmail keeps in files is compared as far as it leaves the queue again: the message with
its Received line, sender and recipients as they are delivered, uid and number in the log."""

import re
import time

import namespaces
import roles
from cases import field, to_bytes
from compare import Comparison
from namespaces import GOLDEN, QMAIL
from queue_case import QueueCase, run_qmail_queue
from sandbox import PLACES

# What of a case this adapter reads, and what it compares or knows not to be ours.
KEYS = {"input", "uid"}
EXPECT = {"exit", "stdout", "stderr", "queue_files"}


def missing(case, sandbox):
    return None if case.program in sandbox.names and (namespaces.PROGRAMS / "martletd").exists() else "martletd or qmail-queue"


def needs_root(case):
    return "uid" in case.record


def run(case, sandbox):
    (QMAIL / "control/me").write_text(namespaces.HOST + "\n")
    # The queue completes addresses; so little that the longest stays whole.
    (QMAIL / "control/envnoathost").write_text("h\n")
    began = time.time()
    queue = QueueCase({})
    try:
        ran = run_qmail_queue(field(case.record, "stdin"), to_bytes(case.record["input"]), case.record.get("uid", GOLDEN))
        queue.settle()
    finally:
        queue.stop()
    comparison = Comparison(PLACES, began, time.time())
    comparison.value("exit code", case.expect["exit"], ran.returncode)
    comparison.text("standard error", field(case.expect, "stderr"), ran.stderr)
    _compare_message(comparison, case.expect["queue_files"], queue.commands)
    return comparison.differences


def _compare_message(comparison, files, commands):
    """A message without a todo file was not accepted."""
    envelope = next((to_bytes(file["content"]) for path, file in files.items() if path.startswith("todo/")), None)
    accepted = re.search(rb"^info msg (\d+): bytes \d+ from <.*> qp (\d+) uid (\d+)$", roles.log(), re.M)
    comparison.value("accepted", envelope is not None, accepted is not None)
    if envelope is None or accepted is None:
        return
    uid, number, sender, *recipients = envelope.split(b"\0")[:-1]
    comparison.value("uid in the log", uid[1:], accepted[3])
    comparison.text("number in the log", number[1:], accepted[2])
    recipients = [recipient[1:] if b"@" in recipient else recipient[1:] + b"@h" for recipient in recipients]
    comparison.value("recipients", recipients, [command.recipient for command in commands])
    message = next(to_bytes(file["content"]) for path, file in files.items() if path.startswith("mess/"))
    for command in commands:
        comparison.value("sender", sender[1:], command.sender)
        comparison.text("message", message, command.message)
