"""Submission with logins, auth played by fake_auth.py: who gets in, what is sent as whom, and what clients that mean harm get."""

import base64
import contextlib
import re
import smtplib
import socket
import threading
import time

import fake_auth
import hostile_client
import pytest
from fake_auth import FakeAuth, plain
from martlet import HOST, LIMIT, Martlet, peak_memory, wait_until

JOE, SECRET = b"joe@mail.example", b"s3cret-canary"
LOGIN = b"AUTH PLAIN " + plain(JOE, SECRET) + b"\r\n"


@contextlib.contextmanager
def running(programs, **control):
    instance = Martlet(programs)
    try:
        instance.user("alice")
        instance.control("submissionlisten", "127.0.0.1:0")
        instance.control("authmechanisms", "PLAIN\nLOGIN")
        instance.control("authinsecure", "127.0.0.0/8")
        for name, text in control.items():
            instance.control(name, text)
        instance.start()
        with FakeAuth(instance) as auth:
            instance.auth = auth
            yield instance
    finally:
        instance.clean()


@pytest.fixture(scope="module")
def shared(programs):
    with running(programs) as instance:
        yield instance


@pytest.fixture(autouse=True)
def fresh(request):
    """Auth as it was."""
    yield
    if "shared" in request.fixturenames:
        auth = request.getfixturevalue("shared").auth
        auth.refusal = auth.permission = None
        auth.recipients, auth.silent = 1000, False
        for asked in (auth.begun, auth.permits, auth.sent, auth.cancelled):
            asked.clear()


class Client:
    """Says lines and reads replies, byte for byte."""

    def __init__(self, server, door="submission"):
        self.socket = socket.create_connection(server.doors[door], timeout=LIMIT)
        self.file = self.socket.makefile("rb")
        self.greeting = self.reply()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def reply(self):
        """The next whole reply; empty at the end of the connection."""
        lines = b""
        with contextlib.suppress(ConnectionResetError):
            while line := self.file.readline():
                lines += line
                if line[3:4] != b"-":
                    break
        return lines

    def say(self, line):
        self.socket.sendall(line if line.endswith(b"\n") else line + b"\r\n")
        return self.reply()

    def codes(self, *lines):
        return [self.say(line)[:9] for line in lines]


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
def test_smtplib_logs_in_and_sends(shared, method):
    word = f"mark-{time.monotonic_ns()}"
    with smtplib.SMTP(*shared.doors["submission"], timeout=LIMIT) as client:
        client.ehlo("c")
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        client.user, client.password = JOE.decode(), SECRET.decode()
        assert client.auth(method[5:].upper(), getattr(client, method))[0] == 235
        client.sendmail(JOE.decode(), [f"alice@{HOST}", "far@elsewhere.example"], f"Subject: {word}\r\nBcc: secret@x.example\r\nTo: bare\r\n\r\nhello\r\n")
    message = wait_until(lambda: next((m for m in shared.messages("alice") if word.encode() in m), None), shared.log)
    assert re.search(rb"^Received: from unknown \(HELO c\) \(127\.0\.0\.1\)\n  by mail\.example with ESMTPA; ", message, re.M)
    header = message.split(b"\n\n")[0]
    assert b"secret@x" not in message and re.search(rb"^To: bare@mail\.example$", header, re.M)
    assert re.search(rb"^Date: ", header, re.M) and re.search(rb"^Message-ID: <\d{14}\.\d+\.\d+\.\d+\.qmail@mail\.example>$", header, re.M)
    assert b"\nFrom: <joe@mail.example>\n" in header
    shared.wait_for_log(r"^smtpd: login from 127\.0\.0\.1 by (PLAIN|LOGIN): joe@mail\.example$")
    shared.wait_for_log(r"^smtpd: sent from 127\.0\.0\.1: joe@mail\.example to 2 recipients, qp \d+$")
    wait_until(lambda: shared.auth.sent == [(JOE, 2)], lambda: f"{shared.auth.sent}")
    assert shared.auth.begun[0][:3] == (1, False, b"\x7f\0\0\1")


def test_message_ids_differ(shared):
    with Client(shared) as client:
        client.say(LOGIN)
        for _ in range(3):
            client.codes(b"MAIL FROM:<joe@mail.example>", b"RCPT TO:<alice@mail.example>", b"DATA", b"Subject: ids\r\n\r\nx\r\n.")
    ids = wait_until(lambda: (found := re.findall(rb"Message-ID: (.*)\n(?:.+\n)*Subject: ids", b"\n\n".join(shared.messages("alice")))) and len(found) == 3 and found, shared.log)
    assert len(set(ids)) == 3


def test_login_is_needed(shared):
    with Client(shared) as client:
        assert client.codes(b"EHLO c", b"MAIL FROM:<joe@mail.example>", b"RCPT TO:<alice@mail.example>", b"DATA", b"NOOP") \
            == [b"250-mail.", b"530 5.7.0", b"503 5.5.1", b"503 5.5.1", b"250 2.0.0"]


def test_port_25_has_no_logins(shared):
    with Client(shared, "smtp") as client:
        assert b"AUTH" not in client.say(b"EHLO c")
        assert client.say(LOGIN).startswith(b"502 5.5.1")


@pytest.mark.parametrize("user,password", [(JOE, b"wrong"), (b"nobody", SECRET), (b"", b""), (JOE, b"")])
def test_all_failures_sound_alike(shared, user, password):
    with Client(shared) as client:
        assert client.say(b"AUTH PLAIN " + plain(user, password)) == b"535 5.7.8 sorry, login failed (#5.7.8)\r\n"
        assert client.say(b"MAIL FROM:<joe@mail.example>").startswith(b"530 5.7.0")
    shared.wait_for_log(r"^smtpd: login from 127\.0\.0\.1 by PLAIN failed: credentials$")


@pytest.mark.parametrize("refusal,reply", [(fake_auth.TEMPORARY, b"454 4.7.0"), (fake_auth.THROTTLED, b"421 4.7.0"), (fake_auth.MECHANISM, b"504 5.5.4"),
                                           (fake_auth.ENCRYPTION_NEEDED, b"538 5.7.1"), (fake_auth.MALFORMED, b"501 5.5.2")])
def test_refusals(shared, refusal, reply):
    shared.auth.refusal = refusal
    with Client(shared) as client:
        assert client.say(LOGIN).startswith(reply)
        if refusal == fake_auth.THROTTLED:
            assert client.reply() == b""


def test_guessing_ends_the_connection(shared):
    with Client(shared) as client:
        replies = [client.say(b"AUTH PLAIN " + plain(JOE, b"guess%d" % number))[:3] for number in range(5)]
        assert replies == [b"535"] * 4 + [b"421"] and client.reply() == b""


def test_when_auth_dies_during_a_login(programs):
    """A temporary failure, and nobody gets in before auth is back."""
    with running(programs) as server, Client(server) as client:
        server.auth.silent = True
        client.socket.sendall(LOGIN)
        wait_until(lambda: server.auth.begun, "no login was begun")
        server.auth.lose()
        assert client.reply().startswith(b"454 4.7.0")
        assert client.say(b"MAIL FROM:<joe@mail.example>").startswith(b"530")
        server.auth.silent = False
        wait_until(lambda: client.say(LOGIN).startswith(b"235") or time.sleep(0.2), "auth does not come back")


@pytest.mark.parametrize("said", [b"AUTH LOGIN", b"AUTH PLAIN"])
def test_when_auth_dies_while_the_client_thinks(programs, said):
    """The client hears of it when it has said its word; it must not wait for ever, nor keep a connection for ever."""
    with running(programs) as server, Client(server) as client:
        assert client.say(said).startswith(b"334 ")
        server.auth.lose()
        time.sleep(0.5)
        assert client.say(base64.b64encode(b"\0" + JOE + b"\0" + SECRET)).startswith(b"454 4.7.0")
        wait_until(lambda: client.say(LOGIN).startswith(b"235") or time.sleep(0.2), "auth does not come back")


def test_no_login_in_clear(programs):
    with running(programs, authinsecure=None) as server, Client(server) as client:
        assert b"AUTH" not in client.say(b"EHLO c")
        assert client.say(LOGIN).startswith(b"538 5.7.11")
        assert client.say(b"AUTH LOGIN").startswith(b"538 5.7.11")
        assert not server.auth.begun


def test_only_listed_networks_log_in_in_clear(programs):
    with running(programs, authinsecure="192.0.2.0/24\n::1", proxyclients="127.0.0.1") as server:
        for address, reply in ((b"192.0.2.200", b"235"), (b"192.0.3.1", b"538")):
            with socket.create_connection(server.doors["submission"], timeout=LIMIT) as client, client.makefile("rb") as file:
                client.sendall(b"PROXY TCP4 " + address + b" 203.0.113.1 1 587\r\n")
                assert file.readline().startswith(b"220")
                client.sendall(LOGIN)
                assert file.readline()[:3] == reply


# Senders and limits


def test_senders(shared):
    with Client(shared) as client:
        client.say(LOGIN)
        assert client.codes(b"MAIL FROM:<boss@mail.example>", b"RCPT TO:<alice@mail.example>", b"MAIL FROM:<joe@mail.example>") \
            == [b"553 5.7.1", b"503 5.5.1", b"250 2.1.0"]
    shared.wait_for_log(r"^smtpd: sender refused from 127\.0\.0\.1: joe@mail\.example may not send as boss@mail\.example$")
    assert shared.auth.permits[0] == (JOE, b"boss@mail.example")


def test_limits(shared):
    shared.auth.recipients = 2
    with Client(shared) as client:
        client.say(LOGIN)
        assert client.codes(b"MAIL FROM:<joe@mail.example>", *[b"RCPT TO:<alice@mail.example>"] * 3) == [b"250 2.1.0", b"250 2.1.5", b"250 2.1.5", b"452 4.7.1"]
        shared.auth.permission = fake_auth.LIMIT_REACHED
        assert client.codes(b"RSET", b"MAIL FROM:<joe@mail.example>") == [b"250 2.0.0", b"452 4.7.1"]
    shared.wait_for_log(r"^smtpd: limit reached from 127\.0\.0\.1: joe@mail\.example$")


# Clients that mean harm


def test_hostile_lines(shared):
    with Client(shared) as client:
        for line, reply in [
            (b"AUTH", b"501"), (b"AUTH PLAIN !!!", b"501"), (b"AUTH PLAIN " + b"A" * 12277, b"501"), (b"AUTH PLAIN " + b"A" * 13000, b"500"),
            (b"AUTH X", b"504"), (b"AUTH \xff\xfe", b"504"), (b"AUTH PLAIN AA==\0", b"500"), (b"AUTH LOGIN \r", b"500"),
        ]:
            assert client.say(line)[:3] == reply, line
            assert client.say(b"NOOP")[:3] == b"250"
        for line, reply in [(b"*", b"501"), (b"!", b"501"), (b"\0", b"501"), (b"A" * 13000, b"500")]:
            assert client.say(b"AUTH LOGIN") == b"334 VXNlcm5hbWU6\r\n"
            assert client.say(line)[:3] == reply, line
            assert client.say(b"NOOP")[:3] == b"250"
    wait_until(lambda: len(shared.auth.cancelled) == 4, lambda: f"{shared.auth.cancelled}")


@pytest.mark.parametrize("said", [LOGIN + b"MAIL FROM:<>\r\n", b"AUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n", LOGIN + b"\r\n", LOGIN + LOGIN])
def test_early_talk_behind_auth(shared, said):
    with Client(shared) as client:
        assert client.say(said).startswith(b"421 4.7.0") and client.reply() == b""


def test_a_client_that_leaves_during_a_login(shared):
    shared.auth.silent = True
    for _ in range(20):
        with Client(shared) as client:
            client.socket.sendall(LOGIN)
    wait_until(lambda: len(shared.auth.cancelled) >= 20, lambda: f"{len(shared.auth.cancelled)} of 20 cancelled")
    shared.auth.silent = False
    with Client(shared) as client:
        assert client.say(LOGIN).startswith(b"235")


@pytest.mark.parametrize("behaviour", hostile_client.BEHAVIOURS.values())
def test_bad_clients_cost_a_good_one_nothing(programs, behaviour):
    """hardening.md SLOW: a hundred of them at once; a good client still sends in a moment, and smtpd stays small."""
    with running(programs, concurrencyperip="150", smtpworkers="1") as server:
        pid = server.pid("smtpd")
        before, done = peak_memory(pid), threading.Event()
        bad = threading.Thread(target=hostile_client.attack, args=(server.doors["submission"], [behaviour], 100, LIMIT, 7, done.is_set))
        bad.start()
        try:
            time.sleep(1)
            for _ in range(5):
                started = time.monotonic()
                with Client(server) as good:
                    assert good.say(LOGIN).startswith(b"235")
                    assert good.codes(b"MAIL FROM:<joe@mail.example>", b"RCPT TO:<alice@mail.example>", b"DATA", b"\r\nx\r\n.")[-1] == b"250 2.0.0"
                assert time.monotonic() - started < 5
                time.sleep(0.3)
        finally:
            done.set()
            bad.join()
        assert server.pid("smtpd") == pid, server.log()
        # hardening.md LEN: less than 1 MiB a session.
        assert peak_memory(pid) - before < 100 * 1024


@pytest.mark.parametrize("byte", [bytes([number]) for number in range(256) if number not in (10, 13)])
def test_no_reply_echoes_what_came(shared, byte):
    with Client(shared) as client:
        for line in (b"AUTH " + byte, b"AUTH PLAIN " + byte, b"AUTH PLAIN " + base64.b64encode(b"\0" + byte + b"\0x"), b"MAIL FROM:<" + byte + b"@x>"):
            assert re.fullmatch(rb"[2-5][0-9]{2} [\x20-\x7e]{0,506}\r\n", client.say(line)), line


def test_secrets_are_never_logged(shared):
    """hardening.md AUTH: a grep for the canary, as it is and in base64, in all that was said so far."""
    with Client(shared) as client:
        client.say(LOGIN)
    wait_until(lambda: "by PLAIN" in shared.log(), "nothing logged")
    log = shared.log()
    for secret in (SECRET, base64.b64encode(SECRET), plain(JOE, SECRET), b"guess", b"c2VjcmV0"):
        assert secret.decode().strip("=") not in log


def test_forged_log_lines(shared):
    """An account's name from auth, and a sender, are shown without anything that could begin a line."""
    shared.auth.user = b"joe\nsmtpd: login from 192.0.2.1 by PLAIN: root\x1b[2J"
    try:
        with Client(shared) as client:
            assert client.say(b"AUTH PLAIN " + plain(shared.auth.user, SECRET)).startswith(b"235")
        shared.wait_for_log(r"^smtpd: login from 127\.0\.0\.1 by PLAIN: joe/smtpd:_login_from_192\.0\.2\.1_by_PLAIN:_root_\[2J$")
        assert "\x1b" not in shared.log() and "\nsmtpd: login from 192.0.2.1" not in shared.log()
    finally:
        shared.auth.user = JOE


def test_big_headers(shared):
    with Client(shared) as client:
        client.say(LOGIN)
        for size, reply in ((255 << 10, b"250"), (257 << 10, b"552")):
            client.codes(b"MAIL FROM:<joe@mail.example>", b"RCPT TO:<alice@mail.example>", b"DATA")
            assert client.say(b"X: " + b"a" * 500 + b"\r\n" + (b" " + b"a" * 1021 + b"\r\n") * (size // 1023) + b"\r\nbody\r\n.\r\n")[:3] == reply
