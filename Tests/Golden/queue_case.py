"""The real queue role with both delivery processes played: what a case of qmail-send, qmail-bounce or qmail-queue runs against."""

import collections
import os
import select
import subprocess
import time

import frames
import namespaces
from cases import to_bytes
from namespaces import ACCOUNTS, GOLDEN, QMAIL
from roles import Clock, Role, boundary, log, prepare_queue

CHANNELS = ("local", "remote")
# What is pending is answered when the queue has had nothing to do for so long.
QUIET = 0.05
# Nothing here takes longer than milliseconds; what never becomes quiet is wrong.
LIMIT = 20

Command = collections.namedtuple("Command", "channel sender recipient message")


class Peer:
    """One of the two delivery processes."""

    def __init__(self, channel, capacity):
        self.channel = channel
        self.socket = frames.connect(boundary(f"deliver-{channel}"), LIMIT)
        self.socket.send(frames.ready(capacity))
        self.pending = {}

    def take(self):
        """The commands of the next request, one for each recipient; none at the end."""
        packet, descriptor = frames.receive(self.socket)
        if not packet:
            self.socket.close()
            self.socket = None
            return []
        slot, _, sender, recipients = frames.read_delivery_request(packet)
        message = frames.read_all(descriptor)
        self.pending[slot] = recipients
        return [Command(self.channel, sender, recipient, message) for recipient in recipients]

    def answer(self, slot, texts):
        self.socket.send(frames.reports(slot, texts))
        del self.pending[slot]


class QueueCase:
    """A started queue. `reports` says what deliveries are answered, `commands` fills with what was asked for."""

    def __init__(self, reports, capacity=120):
        self._reports = {key: value if isinstance(value, list) else [value] for key, value in reports.items()}
        self._attempts = collections.Counter()
        self.commands = []
        # When the first message was given to the queue, Unix seconds.
        self.born = None
        prepare_queue()
        # The journal begins with a segment of zeros; a small one is made sooner.
        (QMAIL / "control/queuesegmentbytes").write_text(f"{1 << 20}\n")
        self.clock = Clock()
        self.role = Role("queue", "qmailq", ["inject", "deliver-local", "deliver-remote", "admin"], self.clock)
        self.peers = [Peer(channel, capacity) for channel in CHANNELS]

    def inject(self, message):
        """By qmail-queue, as user golden; its exit code."""
        envelope = b"F" + to_bytes(message["sender"]) + b"\0" + b"".join(b"T" + to_bytes(r) + b"\0" for r in message["recips"]) + b"\0"
        self.born = self.born or time.time()
        return run_qmail_queue(to_bytes(message["message"]), envelope, GOLDEN).returncode

    def settle(self):
        """Answers deliveries until nothing is pending and nothing more happens."""
        end = time.monotonic() + LIMIT
        while True:
            self._take_until_quiet(end)
            if not self._answer_all():
                return

    def _take_until_quiet(self, end):
        size = -1
        while True:
            if time.monotonic() > end:
                raise TimeoutError(f"the queue does not become quiet: {log()!r}")
            sockets = {peer.socket: peer for peer in self.peers if peer.socket}
            readable = select.select(list(sockets), [], [], QUIET)[0]
            for socket in readable:
                self.commands += sockets[socket].take()
            if not readable and size == len(log()) and self.role.is_idle():
                return
            size = len(log())

    def _answer_all(self):
        answered = False
        for peer in self.peers:
            for slot, recipients in sorted(peer.pending.items()):
                texts = [self._report(peer.channel, recipient) for recipient in recipients]
                if None not in texts:
                    peer.answer(slot, texts)
                    answered = True
        return answered

    def _report(self, channel, recipient):
        key = next((key for key in self._reports if key.encode() == channel.encode() + b" " + recipient), f"{channel} *")
        answers = self._reports.get(key, ["Kok\n"])
        attempt = self._attempts[channel, recipient]
        self._attempts[channel, recipient] += 1
        answer = answers[min(attempt, len(answers) - 1)]
        return None if answer is None else to_bytes(answer)

    def peer(self, channel):
        return self.peers[CHANNELS.index(channel)]

    def stop(self):
        return self.role.stop()


def run_qmail_queue(message, envelope, uid):
    """The program itself; a CompletedProcess."""
    gid = next(gid for number, gid in ACCOUNTS.values() if number == uid)
    identity = {"user": uid, "group": gid, "extra_groups": [gid]} if namespaces.is_root() else {}
    content = frames.sealed(message)
    reading, writing = os.pipe()
    feeder = os.fork()
    if feeder == 0:
        # An envelope may be more than a pipe holds.
        os.close(reading)
        os.close(content)
        try:
            view = memoryview(envelope)
            while view:
                view = view[os.write(writing, view):]
        finally:
            os._exit(0)
    os.close(writing)
    try:
        return subprocess.run(
            ["qmail-queue"], executable=QMAIL / "bin/qmail-queue", stdin=content, stdout=reading, stderr=subprocess.PIPE, timeout=LIMIT, cwd="/",
            env={"PATH": f"{QMAIL}/bin:/usr/bin:/bin"}, **identity)
    finally:
        os.close(reading)
        os.close(content)
        os.waitpid(feeder, 0)
