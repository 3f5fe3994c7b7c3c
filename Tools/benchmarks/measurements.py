"""What is measured. Each measurement starts its servers itself and gives its figures as {title: value}."""

import contextlib
import dataclasses
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import martlet
from servers import SINK_DOMAIN, MartletServer, PostfixServer, Sink, memory, family, settle, wait_cheaply

MESSAGE_BYTES = 4096
SENDER = f"bench@{martlet.HOST}"
# No single step may take longer.
LIMIT = 600.0
# The servers log in their own time; what was accepted must be in both logs in the end.
LOG_BYTES_PER_MESSAGE = 40


@dataclasses.dataclass
class Figure:
    title: str
    # "/s", "s", "ms", "KiB", "bytes", "%", or "" for a plain number.
    unit: str
    more_is_better: bool = False
    # What it should reach, in words.
    aim: str = ""


class Measurement:
    figures = []
    kinds = (MartletServer, PostfixServer)
    runs = None  # as many as asked for

    def take(self, kind, programs, progress):
        raise NotImplementedError


def smtp_source(port, sessions, messages, keep, to, recipients=1):
    """The load generator's command line."""
    return ["smtp-source", *(["-d"] if keep else []), "-s", str(sessions), "-m", str(messages), "-l", str(MESSAGE_BYTES),
            *(["-r", str(recipients)] if recipients > 1 else []), "-f", SENDER, "-t", to, f"127.0.0.1:{port}"]


def send(*load, **options):
    """Runs the load generator; its seconds. Every message was accepted: it ends at the first refusal."""
    arguments = smtp_source(*load, **options)
    start = time.monotonic()
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=LIMIT)
    seconds = time.monotonic() - start
    if done.returncode:
        raise OSError(f"{' '.join(arguments)}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
    return seconds


@contextlib.contextmanager
def running(kind, *arguments, **options):
    server = kind(*arguments, **options)
    try:
        yield server
    finally:
        server.close()
        os.sync()


def check_log(server, messages):
    """Both servers have to write their log: it is part of the work."""
    size = LOG_BYTES_PER_MESSAGE * messages
    martlet.wait_until(lambda: server.log_size() >= size, lambda: f"{server.name} logged {server.log_size()} bytes for {messages} messages")


class Acceptance(Measurement):
    """Messages that are safe on disk, deliveries held."""

    def __init__(self, sessions, messages, keep, aim):
        self.sessions, self.messages, self.keep = sessions, messages, keep
        plural = f"{sessions} session" + ("s" if sessions > 1 else "")
        self.title = f"accepted, {plural}" + ("" if keep else ", a connection a message")
        self.figures = [Figure(self.title, "/s", True, aim)]

    def take(self, kind, programs, progress):
        with running(kind, programs, hold=True, sessions=self.sessions) as server:
            seconds = send(server.port, self.sessions, self.messages, self.keep, f"alice@{martlet.HOST}")
            check_log(server, self.messages)
            return {self.title: self.messages / seconds}


class Syncs(Measurement):
    """In a run of its own, since strace slows what it watches."""

    runs = 1
    title = "fdatasync and fsync a message, 50 sessions (a run under strace)"
    figures = [Figure(title, "", False, "under 0.1")]

    def __init__(self, messages):
        self.messages = messages

    def take(self, kind, programs, progress):
        with running(kind, programs, hold=True, sessions=50) as server, tempfile.NamedTemporaryFile("r") as counts:
            targets = [argument for pid in server.writers() for argument in ("-p", str(pid))]
            strace = subprocess.Popen(
                ["strace", "-f", "-q", "-c", "-e", "trace=fdatasync,fsync", "-o", counts.name, *targets], stderr=subprocess.DEVNULL)
            try:
                martlet.wait_until(lambda: all(traced(pid) for pid in server.writers()), "strace does not attach")
                send(server.port, 50, self.messages, True, f"alice@{martlet.HOST}")
            finally:
                strace.send_signal(signal.SIGINT)
                strace.wait(LIMIT)
            calls = re.findall(r"(?m)^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?f(?:data)?sync$", counts.read())
            return {self.title: sum(map(int, calls)) / self.messages}


def traced(pid):
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/status") as status:
                if not re.search(r"^TracerPid:\s+[1-9]", status.read(), re.M):
                    return False
    return True


class EndToEnd(Measurement):
    """From the first connection to the last message at its end."""

    def __init__(self, title, messages, to, aim):
        self.title, self.messages, self.to = title, messages, to
        self.figures = [Figure(title, "/s", True, aim)]

    def take(self, kind, programs, progress):
        with contextlib.closing(Sink()) as sink, running(kind, programs, sink.port, sessions=10) as server:
            arrived = sink.count if self.to.endswith(SINK_DOMAIN) else server.arrived
            start = time.monotonic()
            send(server.port, 10, self.messages, True, self.to)
            wait_cheaply(
                lambda: arrived() >= self.messages, lambda: f"{server.name}: {arrived()} of {self.messages} arrived", LIMIT)
            seconds = time.monotonic() - start
            check_log(server, self.messages)
            return {self.title: self.messages / seconds}


class List(Measurement):
    """One message to many recipients at one host."""

    def __init__(self, recipients):
        self.recipients = recipients
        self.delivered = f"one message to {recipients:,} recipients: acceptance to last delivery"
        self.whole = f"one message to {recipients:,} recipients: connection to last delivery"
        self.figures = [Figure(self.delivered, "s", False, "2x"), Figure(self.whole, "s")]

    def take(self, kind, programs, progress):
        with contextlib.closing(Sink()) as sink, running(kind, programs, sink.port, sessions=1) as server:
            start = time.monotonic()
            send(server.port, 1, 1, True, f"list@{SINK_DOMAIN}", recipients=self.recipients)
            accepted = time.monotonic()
            # A sink counts transactions, and each server splits the recipients as it likes: what tells the end is that the queue is done.
            wait_cheaply(server.is_done, lambda: f"{server.name} still has the message", LIMIT)
            end = time.monotonic()
            return {self.delivered: end - accepted, self.whole: end - start}


class IdleConnections(Measurement):
    """What one more connection costs that has been greeted and says nothing, and then one that waits after EHLO; all processes counted."""

    def __init__(self, connections):
        self.connections = connections
        self.title = f"memory of each of {connections:,} idle connections"
        self.after_ehlo = f"memory of each of {connections:,} connections idle after EHLO"
        self.figures = [Figure(title, "KiB", False, "under 30 KiB") for title in (self.title, self.after_ehlo)]

    def take(self, kind, programs, progress):
        clients = []
        with running(kind, programs, hold=True, sessions=self.connections) as server:
            before = memory(family(server.pid))
            try:
                while len(clients) < self.connections:
                    clients.append(socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT))
                    greeting = clients[-1].recv(512)
                    if not greeting.startswith(b"220"):
                        raise OSError(f"{server.name} greets connection {len(clients)} with {greeting!r}")
                greeted = self._settled(server)
                for client in clients:
                    client.sendall(b"EHLO bench.example\r\n")
                for client in clients:
                    client.recv(4096)
                return {title: (now - before) / 1024 / self.connections
                        for title, now in ((self.title, greeted), (self.after_ehlo, self._settled(server)))}
            finally:
                for client in clients:
                    client.close()

    def _settled(self, server):
        settle(server.pid)
        return memory(family(server.pid))
