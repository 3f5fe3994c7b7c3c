"""Mail that begins or ends on this machine: the injecting commands, and deliveries through a user's `.qmail`."""

import contextlib
import os
import re
import statistics
import tempfile
import time

import martlet
from inject import Injector
from measurements import LIMIT, SENDER, Figure, Measurement, running
from servers import MartletServer, PostfixServer, wait_cheaply

MESSAGE = b"Subject: bench\n\nA small message.\n"
TO = f"alice@{martlet.HOST}"


@contextlib.contextmanager
def standing_input(data):
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file


def start(arguments, environment, *inputs):
    """Starts a program whose descriptors from 0 on are these files, read from the beginning; its number."""
    actions = []
    for number, file in enumerate(inputs):
        # Opened anew: programs that run at once must not share an offset.
        actions.append((os.POSIX_SPAWN_OPEN, number, f"/proc/self/fd/{file.fileno()}", os.O_RDONLY, 0))
    return os.posix_spawn(arguments[0], arguments, environment, file_actions=actions)


def check(status, arguments):
    if status:
        raise OSError(f"{' '.join(arguments)}: exit code {os.waitstatus_to_exitcode(status)}")


def milliseconds_each(times, arguments, environment, *inputs):
    """The median, from exec to exit, one after the other."""
    taken = []
    for _ in range(times):
        begin = time.monotonic()
        _, status = os.waitpid(start(arguments, environment, *inputs), 0)
        taken.append(time.monotonic() - begin)
        check(status, arguments)
    return 1000 * statistics.median(taken)


def rate(times, at_once, arguments, environment, *inputs):
    """Programs a second when so many run at a time."""
    def wait():
        pid, status = os.wait()
        check(status, arguments)
        pids.remove(pid)

    pids = set()
    begin = time.monotonic()
    for _ in range(times):
        if len(pids) == at_once:
            wait()
        pids.add(start(arguments, environment, *inputs))
    while pids:
        wait()
    return times / (time.monotonic() - begin)


class QueueProgram(Measurement):
    """qmail-queue with a small message, from exec to exit."""

    kinds = (MartletServer,)

    def __init__(self, times):
        self.times = times
        self.title = f"qmail-queue, a small message, exec to exit (median of {times})"
        self.figures = [Figure(self.title, "ms", False, "under 5 ms")]

    def take(self, kind, programs, progress):
        envelope = f"F{SENDER}\0T{TO}\0\0".encode()
        with running(kind, programs, hold=True) as server, standing_input(MESSAGE) as message, standing_input(envelope) as second:
            arguments, environment = server.injection("qmail-queue")
            return {self.title: milliseconds_each(self.times, arguments[:1], environment, message, second)}


class InjectionRate(Measurement):
    """A small message by a local command in a loop, deliveries held: our qmail-inject beside Postfix's sendmail."""

    def __init__(self, at_once, messages, aim):
        self.at_once, self.messages = at_once, messages
        self.title = f"qmail-inject (Postfix: sendmail), a small message, {at_once} at a time"
        self.figures = [Figure(self.title, "/s", True, aim)]

    def take(self, kind, programs, progress):
        with running(kind, programs, hold=True) as server, standing_input(MESSAGE) as message:
            arguments, environment = server.injection("qmail-inject")
            return {self.title: rate(self.messages, self.at_once, arguments, environment, message)}


class LocalDeliveries(Measurement):
    """What a `.qmail` costs. Messages are queued while deliveries are held; measured from the first start of a delivery to the last end."""

    kinds = (MartletServer,)
    without = "queue to Maildir, default delivery"
    with_file = "queue to Maildir, a .qmail with one Maildir line"
    share = "the rate with a .qmail is, of the rate without"
    program = "queue to `|true` in a .qmail, 10 at a time"
    shell = "/bin/sh -c true by itself, 10 at a time"
    cost = "a delivery to `|true` takes, of the shell's own time"
    # What concurrencylocal is without the file.
    at_once = 10

    def __init__(self, messages, program_messages):
        self.messages, self.program_messages = messages, program_messages
        self.figures = [
            Figure(self.without, "/s", True), Figure(self.with_file, "/s", True), Figure(self.share, "%", True, "at least 90 %"),
            Figure(self.program, "/s", True), Figure(self.shell, "/s", True), Figure(self.cost, "%", False, "at most 130 %")]

    def take(self, kind, programs, progress):
        without = self.messages / self._seconds(programs, None, self.messages)
        with_file = self.messages / self._seconds(programs, "./Maildir/\n", self.messages)
        program = self.program_messages / self._seconds(programs, "|true\n", self.program_messages)
        with standing_input(MESSAGE) as message:
            shell = rate(self.program_messages, self.at_once, ["/bin/sh", "-c", "true"], {"PATH": os.environ["PATH"]}, message)
        return {self.without: without, self.with_file: with_file, self.share: 100 * with_file / without,
                self.program: program, self.shell: shell, self.cost: 100 * shell / program}

    def _seconds(self, programs, dot_qmail, messages):
        with running(MartletServer, programs, hold=True) as server:
            if dot_qmail is not None:
                server.alice_file(".qmail", dot_qmail)
            with Injector(server.server.home, LIMIT) as injector:
                injector.messages(messages, MESSAGE, SENDER.encode(), TO.encode())
            server.server.stop()
            server.hold(False)
            return self._drain(server, messages)

    def _drain(self, server, messages):
        server.server.log_path = server.server.log_path.with_suffix(".drain")
        server.start()
        begin = self._seen(server, rb"(?m)^starting delivery ", 1)
        return self._seen(server, rb"(?m)^end msg ", messages) - begin

    def _seen(self, server, pattern, count):
        """When the log had that many such lines."""
        wait_cheaply(lambda: len(re.findall(pattern, server.server.log_path.read_bytes())) >= count, lambda: f"fewer than {count} {pattern}", LIMIT)
        return time.monotonic()
