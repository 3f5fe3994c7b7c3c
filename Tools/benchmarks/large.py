"""Large queues: many messages, and one message to many. Martlet alone: Postfix would need the better part of an hour to take them."""

import contextlib
import os
import time

import martlet
from inject import Injector
from measurements import LIMIT, MESSAGE_BYTES, SENDER, Figure, Measurement, running, send
from servers import SINK_DOMAIN, MartletServer, Sink, memory, wait_cheaply

LINE = b"0123456789 abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ\n"
CONTENT = (b"Subject: bench\n\n" + LINE * (MESSAGE_BYTES // len(LINE) + 1))[:MESSAGE_BYTES - 1] + b"\n"
# Log on disk (twice its live bytes and spare segments), and lines of the log file.
DISK_BYTES_PER_MESSAGE = 2 * (MESSAGE_BYTES + 512)
DISK_BYTES_BESIDES = 2 << 30
# An address of the large list, in the log with its folded state.
DISK_BYTES_PER_RECIPIENT = 100


def needed_bytes(count):
    return DISK_BYTES_BESIDES + count * (DISK_BYTES_PER_MESSAGE + DISK_BYTES_PER_RECIPIENT)


def forget_cached(home):
    """The next start reads the queue from the disk, as after a power cut."""
    os.sync()
    for path in (home / "queue/journal").iterdir():
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def restart(server, arrived):
    """Seconds from the start of martletd, which is stopped now, to the first delivery."""
    # A log of its own: waiting for a line must not read what a million messages left in the old one.
    server.server.log_path = server.server.log_path.with_suffix(f".{time.monotonic_ns()}")
    start = time.monotonic()
    server.start()
    wait_cheaply(arrived, lambda: "nothing is delivered after the start", LIMIT)
    return time.monotonic() - start


def restarts(server, arrived):
    """(cold, cached): the first start reads from the disk, the second from memory."""
    server.server.stop()
    server.hold(False)
    forget_cached(server.server.home)
    return restart(server, arrived), again(server, arrived)


def again(server, arrived):
    server.server.stop()
    before = arrived()
    return restart(server, lambda: arrived() > before)


class ManyMessages(Measurement):
    kinds = (MartletServer,)
    runs = 1

    def __init__(self, count, accepted):
        self.count, self.accepted = count, accepted
        many = f"{count:,} queued messages"
        self.empty = "accepted, 50 sessions, into the empty queue"
        self.full = f"accepted, 50 sessions, with {many}"
        self.share = f"the rate with {many} is, of the empty queue's"
        self.filling = f"filled through run/inject with {many}"
        self.memory = f"memory of the queue process, each of {many}"
        self.memory_again = f"memory of the queue process after a start, each of {many}"
        self.cold = f"start to first delivery, {many}, nothing cached"
        self.cached = f"start to first delivery, {many}, all cached"
        self.figures = [
            Figure(self.empty, "/s", True), Figure(self.full, "/s", True), Figure(self.share, "%", True, "at least 80 %"),
            Figure(self.filling, "/s", True), Figure(self.memory, "bytes"), Figure(self.memory_again, "bytes"),
            Figure(self.cold, "s", False, "under 10 s"), Figure(self.cached, "s", False, "under 10 s")]

    def take(self, kind, programs, progress):
        to = f"alice@{martlet.HOST}"
        with running(kind, programs, hold=True) as server:
            queue = {server.server.pid("queue")}
            empty = self.accepted / send(server.port, 50, self.accepted, True, to)
            before = memory(queue)
            start = time.monotonic()
            with Injector(server.server.home, LIMIT) as injector:
                injector.messages(self.count, CONTENT, SENDER.encode(), to.encode(), lambda done: progress(f"{done:,} queued"))
            filling = self.count / (time.monotonic() - start)
            each = (memory(queue) - before) / self.count
            full = self.accepted / send(server.port, 50, self.accepted, True, to)
            progress("starting again")
            cold, cached = restarts(server, server.arrived)
            each_again = memory({server.server.pid("queue")}) / self.count
            return {
                self.empty: empty, self.full: full, self.share: 100 * full / empty, self.filling: filling, self.memory: each,
                self.memory_again: each_again, self.cold: cold, self.cached: cached}


class LargeList(Measurement):
    kinds = (MartletServer,)
    runs = 1

    def __init__(self, count):
        self.count = count
        many = f"one message to {count:,} recipients"
        self.taken = f"{many}: accepted through run/inject"
        self.memory = f"{many}: memory of the queue process, each recipient"
        self.cold = f"{many}: start to first delivery, nothing cached"
        self.cached = f"{many}: start to first delivery, all cached"
        self.figures = [
            Figure(self.taken, "s"), Figure(self.memory, "bytes"), Figure(self.cold, "s", False, "under 10 s"),
            Figure(self.cached, "s", False, "under 10 s")]

    def take(self, kind, programs, progress):
        with contextlib.closing(Sink()) as sink, running(kind, programs, sink.port, hold=True) as server:
            queue = {server.server.pid("queue")}
            before = memory(queue)
            start = time.monotonic()
            with Injector(server.server.home, LIMIT) as injector:
                injector.list(CONTENT, SENDER.encode(), (b"r%07d@%b" % (number, SINK_DOMAIN.encode()) for number in range(self.count)))
            taken = time.monotonic() - start
            each = (memory(queue) - before) / self.count
            progress("starting again")
            cold, cached = restarts(server, sink.count)
            return {self.taken: taken, self.memory: each, self.cold: cold, self.cached: cached}


def large_table(count, scale):
    return [ManyMessages(count, max(100, 20_000 // scale)), LargeList(count)]
