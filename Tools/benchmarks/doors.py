"""The doors beside plain SMTP: QMTP, and submission inside TLS with a login, each against plain SMTP from the same generator and in the same run."""

import base64
import contextlib
import selectors
import socket
import ssl
import time

import martlet
from measurements import LIMIT, MESSAGE_BYTES, Figure, Measurement, running
from servers import MartletServer

TO = f"alice@{martlet.HOST}"
# A domain of accounts is none of `locals`.
DOMAIN = "accounts.example"
ACCOUNT = f"bench@{DOMAIN}"
PASSWORD = "a password for the bench"
HEADER = f"From: <{ACCOUNT}>\nTo: <{TO}>\nDate: Thu, 01 Jan 2026 00:00:00 +0000\nMessage-ID: <bench@{martlet.HOST}>\nSubject: bench\n\n".encode()
CONTENT = HEADER + b"".join(b"X" * 78 + b"\n" for _ in range((MESSAGE_BYTES - len(HEADER)) // 79))


def netstring(content):
    return b"%d:%s," % (len(content), content)


# What is said for one message, step by step: bytes, then how many of which byte an answer has.
SMTP = [(f"MAIL FROM:<{ACCOUNT}>\r\nRCPT TO:<{TO}>\r\nDATA\r\n".encode(), b"\n", 3), (CONTENT.replace(b"\n", b"\r\n") + b".\r\n", b"\n", 1)]
QMTP = [(netstring(b"\n" + CONTENT) + netstring(ACCOUNT.encode()) + netstring(netstring(TO.encode())), b",", 1)]


class Client:
    """One connection that says the same message again and again."""

    def __init__(self, connection, script):
        self.connection, self.script, self.step, self.answers = connection, script, 0, 0

    def say(self):
        data, self.terminator, self.expected = self.script[self.step]
        self.answers = 0
        self.connection.sendall(data)

    def heard(self):
        """Takes what has come, goes on; whether a message has ended."""
        while True:
            try:
                data = self.connection.recv(1 << 14)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            if not data or data[:1] in b"45ZD":
                raise OSError(f"the server answered {data!r}")
            self.answers += data.count(self.terminator)
            if self.answers >= self.expected:
                self.step = (self.step + 1) % len(self.script)
                return self.step == 0


class Patient:
    """A socket that never blocks a read and always finishes a write."""

    def __init__(self, connection):
        self.connection = connection
        connection.setblocking(False)

    def fileno(self):
        return self.connection.fileno()

    def recv(self, count):
        return self.connection.recv(count)

    def sendall(self, data):
        view = memoryview(data)
        while view:
            with contextlib.suppress(BlockingIOError, ssl.SSLWantWriteError):
                view = view[self.connection.send(view):]


def rate(connections, messages, script):
    """Messages a second over connections that are ready."""
    started, ended = 0, 0
    with selectors.DefaultSelector() as selector:
        clients = [Client(Patient(connection), script) for connection in connections]
        for client in clients:
            selector.register(client.connection, selectors.EVENT_READ, client)
        begin = time.monotonic()
        for client in clients:
            client.say()
            started += 1
        while ended < messages:
            ready = selector.select(LIMIT)
            if not ready:
                raise OSError(f"{ended} of {messages} messages in {LIMIT} s")
            for key, _ in ready:
                client = key.data
                if client.heard():
                    ended += 1
                    if started < messages:
                        client.say()
                        started += 1
                elif client.answers >= client.expected:
                    client.say()
        return messages / (time.monotonic() - begin)


def exchange(connection, said, lines=1):
    connection.sendall(said)
    heard = b""
    while len([line for line in heard.split(b"\r\n")[:-1] if line[3:4] == b" "]) < lines:
        data = connection.recv(1 << 12)
        if not data:
            raise OSError(f"closed after {heard!r}")
        heard += data
    if heard[:1] not in b"23":
        raise OSError(f"the server answered {heard!r}")


def plain_connection(address):
    connection = socket.create_connection(address, timeout=LIMIT)
    exchange(connection, b"")
    exchange(connection, b"EHLO bench\r\n")
    return connection


def login_connection(address, context):
    connection = context.wrap_socket(socket.create_connection(address, timeout=LIMIT), server_hostname=martlet.HOST)
    exchange(connection, b"")
    exchange(connection, b"EHLO bench\r\n")
    exchange(connection, b"AUTH PLAIN " + base64.b64encode(f"\0{ACCOUNT}\0{PASSWORD}".encode()) + b"\r\n")
    return connection


class DoorsServer(MartletServer):
    """With the doors open, and an account for those who log in."""

    def start(self):
        for door in ("qmtp", "submissions"):
            self.server.control(f"{door}listen", "127.0.0.1:0")
        # The generator has one account for all its sessions, and the bench is about messages.
        self.server.control("sendmessages", "0")
        self.server.control("sendrecipients", "0")
        super().start()
        self.server.command("martlet", "domain", "add", DOMAIN)
        done = self.server.command("martlet", "user", "add", ACCOUNT, stdin=f"{PASSWORD}\n".encode())
        if done.returncode:
            raise OSError(f"martlet user add: {done.stderr.decode()}")


class Doors(Measurement):
    kinds = (DoorsServer,)

    def __init__(self, sessions, messages):
        self.sessions, self.messages = sessions, messages
        titles = [f"{what}, {sessions} sessions" for what in ("SMTP, pipelined", "QMTP", "submission inside TLS, logged in")]
        self.figures = [Figure(title, "/s", True) for title in titles] + [
            Figure("QMTP is, of SMTP", "%", True, "more than 100 %"), Figure("submission inside TLS is, of SMTP", "%", True, "at least 60 %")]

    def take(self, kind, programs, progress):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        values = []
        with running(kind, programs, hold=True, sessions=self.sessions) as server:
            doors = server.server.doors
            for what, connect, script in (
                    ("SMTP", lambda: plain_connection(doors["smtp"]), SMTP),
                    ("QMTP", lambda: socket.create_connection(doors["qmtp"], timeout=LIMIT), QMTP),
                    ("submission", lambda: login_connection(doors["submissions"], context), SMTP)):
                progress(what)
                with contextlib.ExitStack() as stack:
                    connections = [stack.enter_context(connect()) for _ in range(self.sessions)]
                    values.append(rate(connections, self.messages, script))
        smtp, qmtp, submission = values
        return dict(zip([figure.title for figure in self.figures], [*values, 100 * qmtp / smtp, 100 * submission / smtp]))
