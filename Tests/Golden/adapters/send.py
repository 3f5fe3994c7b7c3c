"""qmail-send and qmail-bounce: the queue role of martletd, its log, its commands, its bounces.

Of `left`, the next attempt is compared, by moving the clock to just before and just behind it; the rest is files of qmail's queue. Not compared: slots
(ours are never used twice), and which account a bounce comes from (the queue's own, qmailq; with qmail it is qmails)."""

import subprocess
import time

import namespaces
import roles
from cases import field, to_bytes
from compare import Comparison
from namespaces import ACCOUNTS, GOLDEN, QMAIL
from queue_case import QueueCase
from sandbox import PLACES, write_files

# Seconds around the time of an attempt; a case takes less than that.
MARGIN = 5
BOUNCE_SENDERS = (b"", b"#@[]")

# What of a case this adapter reads, and what it compares or knows not to be ours.
KEYS = {"reports", "inject", "actions", "conc"}
EXPECT = {"exit", "log", "commands", "bounces", "left", "qread", "qstat"}


def missing(case, sandbox):
    return None if (namespaces.PROGRAMS / "martletd").exists() else "martletd"


def needs_root(case):
    return False


def run(case, sandbox):
    (QMAIL / "control/bounceformat").write_text("qsbmf\n")
    began = time.time()
    queue = QueueCase(case.record.get("reports", {}), case.record.get("conc", 120))
    seen = {}
    try:
        for message in case.record["inject"]:
            queue.inject(message)
        queue.settle()
        _act(case.record.get("actions", []), queue)
        for name in ("qread", "qstat"):
            if name in case.expect:
                seen[name] = _say("qmail-" + name)
        commands, log = list(queue.commands), roles.log()
        attempts = _attempts(case, queue)
        length = len(roles.log())
    finally:
        code = queue.stop()
    comparison = Comparison(PLACES, began, time.time() + queue.clock.shift)
    comparison.value("exit code", case.expect["exit"], code)
    comparison.text("log", _with_our_uid(field(case.expect, "log")), log + roles.log()[length:])
    comparison.value("deliveries just before and just behind the time of the next attempt", (0, 1) if attempts else None, attempts)
    for name, found in seen.items():
        comparison.text(name, field(case.expect, name), found)
    _compare_commands(comparison, case.expect["commands"], commands)
    _compare_bounces(comparison, case.expect["bounces"], commands)
    return comparison.differences


def _act(actions, queue):
    for number, action in enumerate(actions):
        if isinstance(action, str):
            queue.role.signal(action)
        elif "write" in action:
            write_files(action["write"])
        elif "inject" in action:
            queue.inject(action["inject"])
        elif "report" in action:
            peer = queue.peer(action["channel"])
            peer.pending[action["slot"]] = []
            peer.answer(action["slot"], [to_bytes(action["report"])])
        elif "close" in action:
            queue.peer(action["close"]).socket.shutdown(2)
        elif "backdate" in action:
            queue.clock.forward(action["backdate"])
            # With the signal that follows, and not by itself: qmail-send knows by heart when a message is due, whatever a file says later.
            if actions[number + 1:number + 2] == ["ALRM"]:
                continue
        else:
            raise ValueError(f"unknown action {action}")
        queue.settle()


def _attempts(case, queue):
    """Deliveries that start when the clock is moved close to the recorded next attempt, and when it is moved past it; None: there is none."""
    times = [file["next_attempt_after_birth"] for file in case.expect.get("left", []) if "next_attempt_after_birth" in file]
    if not times:
        return None
    counts = []
    for moment in (min(times) - MARGIN, min(times) + MARGIN):
        before = _deliveries(queue)
        queue.clock.forward(int(queue.born + moment - time.time() - queue.clock.shift))
        # Whoever asks it something wakes the queue.
        _say("qmail-qstat")
        queue.settle()
        counts.append(_deliveries(queue) - before)
    return tuple(counts)


def _deliveries(queue):
    """Without those of a bounce, which a message that is too old makes."""
    return sum(command.sender not in BOUNCE_SENDERS for command in queue.commands)


def _say(name):
    account = {"user": 0} if namespaces.is_root() else {}
    return subprocess.run(
        [name], executable=QMAIL / "bin" / name, capture_output=True, timeout=20, cwd="/", env={"PATH": "/usr/bin:/bin"}, **account).stdout


def _with_our_uid(log):
    ours = ACCOUNTS["qmailq"][0] if namespaces.is_root() else GOLDEN
    return log.replace(b"uid %d\n" % ACCOUNTS["qmails"][0], b"uid %d\n" % ours)


def _compare_commands(comparison, recorded, found):
    old = [f"{c['channel']}: from {to_bytes(c['sender'])!r} to {to_bytes(c['recip'])!r}" for c in recorded]
    new = [f"{c.channel}: from {c.sender!r} to {c.recipient!r}" for c in sorted(found, key=lambda c: c.channel)]
    comparison.text("commands", "\n".join(old).encode(), "\n".join(new).encode())


def _compare_bounces(comparison, recorded, found):
    found = [c for c in found if c.sender in BOUNCE_SENDERS]
    comparison.value("bounces", len(recorded), len(found))
    for old, new in zip(recorded, found):
        comparison.value("bounce", (field(old, "sender"), field(old, "recip")), (new.sender, new.recipient))
        comparison.text("bounce", field(old, "message"), new.message)
