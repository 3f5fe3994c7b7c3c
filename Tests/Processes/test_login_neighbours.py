"""Logins beside other logins, through real role auth: what one client says wrong costs no other (hardening.md 1.5 AUTH), and a limit of sending holds
for all connections of an account together."""

import base64
import contextlib
import itertools
import re
import socket
import threading
import time

import pytest
from martlet import LIMIT, Martlet, wait_until
from test_reading import ANN, DOMAIN, JOE, PASSWORDS, run

WORDS = {account: (base64.b64encode(account.encode()), base64.b64encode(password.encode())) for account, password in PASSWORDS.items()}


@contextlib.contextmanager
def running(programs, **control):
    """One worker for all, logins in clear from this host, and one message for joe."""
    instance = Martlet(programs)
    try:
        instance.control("rcpthosts", f"mail.example\n{DOMAIN}")
        instance.control("smtpworkers", "1")
        instance.control("authinsecure", "127.0.0.0/8")
        for door in ("submission", "pop3"):
            instance.control(f"{door}listen", "127.0.0.1:0")
        for name, text in control.items():
            instance.control(name, text)
        run(instance, "domain", "add", DOMAIN)
        for account, password in PASSWORDS.items():
            run(instance, "user", "add", account, stdin=password.encode() + b"\n")
        yield instance.start()
    finally:
        instance.clean()


@pytest.fixture(scope="module")
def shared(programs):
    with running(programs) as instance:
        with instance.smtp() as client:
            client.sendmail("s@sender.example", JOE, "Subject: for joe\r\n\r\nx\r\n")
        new = instance.home / "mailboxes" / DOMAIN / "joe/Maildir/new"
        file, = wait_until(lambda: new.is_dir() and list(new.iterdir()), instance.log)
        # As qmail-pop3d, what came in this very second is not shown yet.
        wait_until(lambda: time.time() > int(file.name.split(".")[0]) + 1, "time stands still")
        yield instance


class Line:
    """A connection that says a line and hears a reply; from an address of its own, so that failures of others are not counted for it."""

    addresses = itertools.count(1)

    def __init__(self, server, door, address=None):
        self.socket = socket.socket()
        self.socket.settimeout(LIMIT)
        number = next(Line.addresses)
        self.socket.bind((address or f"127.{100 + (number >> 8)}.{number & 255}.1", 0))
        self.socket.connect(server.doors[door])
        self.file = self.socket.makefile("rb")
        self.door = door
        assert self.hear().startswith((b"220 ", b"+OK"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def hear(self):
        line = self.file.readline()
        while line[:3].isdigit() and line[3:4] == b"-":
            line = self.file.readline()
        return line

    def say(self, line):
        self.socket.sendall(line + b"\r\n")
        return self.hear()

    def send_mail(self, account, recipients=1):
        """Up to the answer to the message; the first answer that is no yes."""
        for line in (b"MAIL FROM:<%s>" % account.encode(), *[b"RCPT TO:<%s>" % ANN.encode()] * recipients, b"DATA"):
            reply = self.say(line)
            if reply[:1] not in b"23":
                return reply
        return self.say(b"Subject: x\r\n\r\nx\r\n.")


IS_CHALLENGE = re.compile(rb"334 |\+ ")
IN = (b"235 ", b"+OK")


def log_in(line, account):
    name, password = WORDS[account]
    assert IS_CHALLENGE.match(line.say(b"AUTH LOGIN"))
    assert IS_CHALLENGE.match(line.say(name))
    return line.say(password)


def is_in_as(line, account):
    """Whose session it is: by the mailbox, or by whom it may send as."""
    other = ANN if account == JOE else JOE
    if line.door == "pop3":
        return line.say(b"STAT").startswith(b"+OK 1 " if account == JOE else b"+OK 0 0")
    return line.say(b"MAIL FROM:<%s>" % other.encode()).startswith(b"553") and line.say(b"MAIL FROM:<%s>" % account.encode()).startswith(b"250")


BAD = [
    b"%%%%", b"!", b"====", b"YQ", b"YQ=", b"YQ==YQ==", b"Y Q==", b"YQ==\t", b"\x80\xff", b"-_-_", b"AGE", b"A" * 4095, base64.b64encode(b"\0" * 300),
    base64.b64encode(b"joe\0ann\0"), base64.b64encode(bytes(range(256))),
]


@pytest.mark.parametrize("door", ["submission", "pop3"])
@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_bad_base64_costs_its_own_client_alone(shared, door, bad):
    """CVE-2025-59028. In the middle of two logins of others, as a first response, as a name and as a password."""
    with Line(shared, door) as joe, Line(shared, door) as ann, Line(shared, door) as evil, Line(shared, door) as worse:
        for line, account in ((joe, JOE), (ann, ANN)):
            assert IS_CHALLENGE.match(line.say(b"AUTH LOGIN")) and IS_CHALLENGE.match(line.say(WORDS[account][0]))
        assert not evil.say(b"AUTH PLAIN " + bad).startswith(IN)
        assert IS_CHALLENGE.match(worse.say(b"AUTH LOGIN"))
        if IS_CHALLENGE.match(worse.say(bad)):
            assert not worse.say(bad).startswith(IN)
        assert joe.say(WORDS[JOE][1]).startswith(IN), shared.log()
        assert ann.say(WORDS[ANN][1]).startswith(IN), shared.log()
        assert is_in_as(joe, JOE) and is_in_as(ann, ANN)


@pytest.mark.parametrize("door", ["submission", "pop3"])
def test_logins_beside_a_storm_of_bad_ones(shared, door):
    """Sixteen clients that say nothing right, as fast as they are answered; each of forty logins is let in as itself."""
    done = threading.Event()
    said = itertools.count()

    def storm():
        # A client that means harm does not mind being thrown out.
        while not done.is_set():
            with contextlib.suppress(OSError, AssertionError), Line(shared, door, "127.99.0.1") as line:
                for bad in BAD:
                    line.say(b"AUTH PLAIN " + bad)
                    line.say(b"AUTH LOGIN")
                    if not line.say(bad):
                        break
                    next(said)

    bad = [threading.Thread(target=storm) for _ in range(16)]
    for thread in bad:
        thread.start()
    try:
        for account in [JOE, ANN] * 20:
            with Line(shared, door) as line:
                assert log_in(line, account).startswith(IN), shared.log()[-2000:]
                assert is_in_as(line, account)
                if door == "pop3":
                    line.say(b"QUIT")
    finally:
        done.set()
        for thread in bad:
            thread.join()
    assert next(said) > 50, "that was no storm"


# Limits of sending


def send_from_all(server, count, send):
    """`send(line)` on so many sessions of joe's at once, again and again until it is refused; how many were taken and how the refusals begin."""
    taken, refusals, barrier = itertools.count(), [], threading.Barrier(count, timeout=LIMIT)

    def session():
        with Line(server, "submission") as line:
            logged_in = log_in(line, JOE).startswith(IN)
            barrier.wait()
            while logged_in and (reply := send(line)).startswith(b"250 "):
                next(taken)
            refusals.append(reply[:9] if logged_in else b"no login")

    threads = [threading.Thread(target=session) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return next(taken), refusals


def test_a_limit_of_messages_holds_for_all_connections_together(programs):
    """0020: what goes beyond it is at most one message of each connection, of the moment when it is reached."""
    with running(programs, sendmessages="40", sendrecipients="0") as server:
        taken, refusals = send_from_all(server, 16, lambda line: line.send_mail(JOE))
        assert refusals == [b"452 4.7.1"] * 16
        assert 40 <= taken <= 40 + 16
        with Line(server, "submission") as line:
            assert log_in(line, JOE).startswith(IN) and line.send_mail(JOE).startswith(b"452 4.7.1")
        # It is joe's alone.
        with Line(server, "submission") as line:
            assert log_in(line, ANN).startswith(IN) and line.send_mail(ANN).startswith(b"250 ")


def test_a_limit_of_recipients_holds_for_all_connections_together(programs):
    with running(programs, sendmessages="0", sendrecipients="100") as server:
        taken, refusals = send_from_all(server, 8, lambda line: line.send_mail(JOE, recipients=5))
        assert refusals == [b"452 4.7.1"] * 8
        assert 20 <= taken <= 20 + 8
        with Line(server, "submission") as line:
            assert log_in(line, JOE).startswith(IN) and line.send_mail(JOE).startswith(b"452 4.7.1")
