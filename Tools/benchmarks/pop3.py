"""A mailbox read by POP3, beside Debian's Dovecot on a Maildir of the same files: one client program, which fetches all and deletes nothing."""

import pathlib
import shutil
import socket
import ssl
import tempfile
import time

import martlet
from dovecot import Dovecot
from measurements import LIMIT, MESSAGE_BYTES, Figure, Measurement

DOMAIN = "example.org"
LOGIN, PASSWORD = f"alice@{DOMAIN}", "alice's password"
# (title, door, whether the commands are sent in one go)
WAYS = [("a command at a time, TLS", "pop3s", False), ("commands in one go, TLS", "pop3s", True), ("a command at a time", "pop3", False)]
END = b"\r\n.\r\n"


def fill(maildir, count):
    line = b"A line of the message, as long as people write them, more or less.\n"
    for number in range(count):
        head = b"From: <s@example.org>\nTo: <%s>\nSubject: message %d\nMessage-ID: <%d@example.org>\n\n" % (LOGIN.encode(), number, number)
        path = maildir / f"cur/{1_700_000_000 + number}.M{number}P1Q{number}.bench:2,"
        path.write_bytes(head + line * ((MESSAGE_BYTES - len(head)) // len(line)))
    for path in (maildir, *maildir.iterdir(), *(maildir / "cur").iterdir()):
        shutil.chown(path, *martlet.account())


class PopMartlet:
    """All of Martlet, with a mailbox of a domain of accounts."""

    name = "Martlet"

    def __init__(self, programs, count):
        self.server = martlet.Martlet(programs)
        self.server.control("pop3listen", "127.0.0.1:0")
        self.server.control("pop3slisten", "127.0.0.1:0")
        self.server.control("authinsecure", "127.0.0.0/8")
        try:
            for arguments, said in ((("domain", "add", DOMAIN), b""), (("user", "add", LOGIN), PASSWORD.encode() + b"\n")):
                done = self.server.command("martlet", *arguments, stdin=said)
                if done.returncode:
                    raise OSError(f"martlet {arguments[0]} add: {done.stderr.decode()}")
            self.server.start()
            fill(self.server.home / "mailboxes" / DOMAIN / "alice/Maildir", count)
            martlet.wait_until((self.server.home / "tls/default/cert.pem").exists, self.server.log)
            self.doors = {door: self.server.doors[door] for door in ("pop3", "pop3s")}
            # It looks for a certificate once a second.
            martlet.wait_until(lambda: answers(self.doors["pop3s"]), self.server.log)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.server.stop()
        self.server.clean()


class PopDovecot:
    name = "Dovecot"

    def __init__(self, _, count):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="dovecot-mail-"))
        self.place.chmod(0o755)
        maildir = self.place / "Maildir"
        for folder in (maildir, *(maildir / name for name in ("tmp", "new", "cur"))):
            folder.mkdir()
        fill(maildir, count)
        self.server = Dovecot(maildir, PASSWORD, LOGIN).__enter__()
        self.doors = {door: ("127.0.0.1", port) for door, port in self.server.ports.items()}

    def close(self):
        self.server.__exit__()
        shutil.rmtree(self.place, ignore_errors=True)


def answers(address):
    try:
        with connect(address, True) as client:
            return client.recv(100).startswith(b"+OK")
    except OSError:
        return False


def connect(address, encrypted):
    client = socket.create_connection(address, timeout=LIMIT)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ssl._create_unverified_context().wrap_socket(client) if encrypted else client


def fetch(address, encrypted, at_once, count):
    """Seconds from the connection to the answer to QUIT."""
    start = time.monotonic()
    with connect(address, encrypted) as client:
        line(client)
        for command in (f"USER {LOGIN}", f"PASS {PASSWORD}", "STAT"):
            client.sendall(f"{command}\r\n".encode())
            reply = line(client)
            if not reply.startswith(b"+OK"):
                raise OSError(f"{command}: {reply}")
        if int(reply.split()[1]) != count:
            raise OSError(f"{reply}: there should be {count} messages")
        commands = [b"RETR %d\r\n" % (number + 1) for number in range(count)]
        for part in ([b"".join(commands)] if at_once else commands):
            client.sendall(part)
            skip(client, count if at_once else 1)
        client.sendall(b"QUIT\r\n")
        line(client)
    return time.monotonic() - start


def line(client):
    reply = b""
    while not reply.endswith(b"\n"):
        reply += client.recv(1 << 16) or b"the server is gone\n"
    return reply


def skip(client, messages):
    tail = b""
    while messages:
        piece = client.recv(1 << 18)
        if not piece:
            raise OSError("the server is gone")
        tail += piece
        messages -= tail.count(END)
        tail = tail[-len(END) + 1:]


class Reading(Measurement):
    kinds = (PopMartlet, PopDovecot)
    # Each way so many times in one run, after one that warms up; the best counts: what disturbs a run of a tenth of a second is not the server's.
    REPEATED = 5

    def __init__(self, count):
        self.count = count
        self.figures = [Figure(f"POP3, {count:,} messages of 4 KiB, {way} (beside Dovecot)", "/s", True, "1x") for way, _, _ in WAYS]

    def take(self, kind, programs, progress):
        server = kind(programs, self.count)
        try:
            values = {}
            for figure, (_, door, at_once) in zip(self.figures, WAYS):
                seconds = [fetch(server.doors[door], door == "pop3s", at_once, self.count) for _ in range(self.REPEATED + 1)][1:]
                values[figure.title] = self.count / min(seconds)
            return values
        finally:
            server.close()
