"""Logins through the whole system: auth, lspawn, authcheck, and the administrator's commands. The test plays smtpd, but where mail is sent."""

import contextlib
import json
import os
import re
import socket

import pytest

from auth_role import CREDENTIALS, FAILURE, POP3, SUCCESS, THROTTLED, Asker, hashed
from fake_auth import plain
from martlet import LIMIT, account, processes, wait_until
from test_authcheck import CHECKPW
from test_privileged import PrivilegedMartlet, can_have_a_namespace
from test_submission import Client

needs_namespace = pytest.mark.skipif(not can_have_a_namespace(), reason="needs root and mount namespaces")


@contextlib.contextmanager
def asking(home):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        connection.connect(str(home.home / "run/auth/socket"))
        yield Asker(connection)


@pytest.fixture
def program_home(home):
    """A site whose accounts are a program's; not started yet."""
    path = home.home / "checkpw"
    path.write_text(CHECKPW.replace('b"<1@x>"', 'b""'))
    path.chmod(0o755)
    home.control("authbackends", f"accounts\nprogram {path}")
    return home


@pytest.fixture
def program(program_home):
    return program_home.start()


def test_a_checkpassword_program(program):
    with asking(program) as asker:
        answer = asker.plain("alice", b"secret", service=POP3)
        assert (answer.kind, answer.account, len(answer.ticket)) == (SUCCESS, "alice@example.org", 16)
        assert asker.plain("alice", b"wrong").refusal == CREDENTIALS
    assert not [a for _, a in processes().values() if a[:1] == ["martlet-authcheck"]]


def test_the_administrator_sees_bans_and_releases(program):
    def listed():
        return {(e["kind"], e["subject"]): e for e in map(json.loads, program.command("martlet", "auth", "list", "--json").stdout.splitlines())}

    with asking(program) as asker:
        assert asker.plain("alice", b"wrong", address="2001:db8:1:2::5").refusal == CREDENTIALS
        found = listed()
        assert found[("address", "2001:db8:1:2::/64")]["failures"] == 1
        assert found[("network", "2001:db8:1::/48")]["failures"] == 1
        assert found[("account", "alice")] == {"kind": "account", "subject": "alice", "failures": 1, "refused": False, "seconds": 0}
        assert "account\talice\t1\t0" in program.command("martlet", "auth", "list").stdout.decode().splitlines()
        assert asker.plain("alice", b"secret", address="192.0.2.1").kind == SUCCESS

        for subject, address in (("192.0.2.1", "192.0.2.1"), ("192.0.2.0/24", "192.0.2.99"), ("Alice", "198.51.100.1"), ("2001:db8::/48", "2001:db8::9:0:0:1")):
            assert program.command("martlet", "auth", "ban", subject).returncode == 0
            assert asker.plain("alice", b"secret", address=address).refusal == THROTTLED
            assert any(e["seconds"] is None and e["refused"] for e in listed().values())
            assert program.command("martlet", "auth", "release", subject).returncode == 0
            assert asker.plain("alice", b"secret", address=address).kind == SUCCESS
        assert program.command("martlet", "auth", "ban", "192.0.2.1", "--for", "3600").returncode == 0
        assert 3500 < listed()[("address", "192.0.2.1")]["seconds"] <= 3600

    unknown = program.command("martlet", "auth", "release", "203.0.113.1")
    assert unknown.returncode == 1 and b"nothing is known of 203.0.113.1" in unknown.stderr
    for wrong in ("192.0.2.0/8", "192.0.2.0/", "/24", ""):
        assert program.command("martlet", "auth", "ban", wrong).returncode == 64


def test_many_connections_share_what_an_account_may_send(program_home):
    """All stand behind RCPT, each with the whole share granted, before any sends DATA or BDAT."""
    for name, text in (("submissionlisten", "127.0.0.1:0"), ("authmechanisms", "PLAIN"), ("authinsecure", "127.0.0.0/8"), ("smtpworkers", "2"),
                       ("sendmessages", "7"), ("sendrecipients", "9")):
        program_home.control(name, text)
    program_home.start()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(program_home)) for _ in range(16)]
        for client in clients:
            assert client.codes(b"AUTH PLAIN " + plain(b"alice", b"secret"), b"MAIL FROM:<alice@example.org>", *[b"RCPT TO:<bob@far.example>"] * 2) \
                == [b"235 2.7.0", b"250 2.1.0", b"250 2.1.5", b"250 2.1.5"]
        for number, client in enumerate(clients):
            client.socket.sendall(b"DATA\r\n" if number % 2 else b"BDAT 5 LAST\r\n\r\nx\r\n")
        replies = [client.reply()[:3] for client in clients]
        # Four messages to two each; a fifth would need a tenth recipient.
        assert replies.count(b"452") == 12 and set(replies[::2]) <= {b"250", b"452"} and set(replies[1::2]) <= {b"354", b"452"}, replies
        for client, reply in zip(clients, replies):
            assert reply != b"354" or client.say(b"\r\nx\r\n.").startswith(b"250")
    sent = r"^smtpd: sent from 127\.0\.0\.1: alice@example\.org to 2 recipients, qp \d+$"
    wait_until(lambda: len(re.findall(sent, program_home.log(), re.M)) == 4, program_home.log)


def test_without_auth_the_commands_say_so(home):
    done = home.command("martlet", "auth", "list")
    assert done.returncode == 1 and b"auth is not running" in done.stderr


@needs_namespace
def test_users_of_the_system(programs):
    """As root with nothing configured: the shadow file, which role auth cannot read."""
    home = PrivilegedMartlet(programs)
    home.users = {"alice": 7101, "toor": 0}
    shadow = home.home / "shadow"
    shadow.write_text("".join(f"{name}:{hashed(b'secret')}:19000:0:99999:7:::\n" for name in ("root", "toor", "alice")))
    shadow.chmod(0o600)
    home.more_of_etc = {"shadow": shadow}
    try:
        home.start()
        with asking(home) as asker:
            got = asker.plain("alice", b"secret", service=POP3)
            assert (got.kind, got.account) == (SUCCESS, "alice")
            assert asker.plain("alice@mail.example", b"secret").kind == SUCCESS
            for login, password in (("alice", b"wrong"), ("root", b"secret"), ("toor", b"secret"), ("nobody-here", b"secret")):
                answer = asker.plain(login, password)
                assert (answer.kind, answer.refusal) == (FAILURE, CREDENTIALS), login
    finally:
        home.clean()
