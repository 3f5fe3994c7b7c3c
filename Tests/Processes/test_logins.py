"""Logins through the whole system: auth, lspawn, authcheck, and the administrator's commands. The test plays smtpd."""

import contextlib
import json
import os
import socket

import pytest

from auth_role import CREDENTIALS, FAILURE, POP3, SUCCESS, THROTTLED, Asker, hashed
from martlet import LIMIT, account, processes
from test_authcheck import CHECKPW
from test_privileged import PrivilegedMartlet, can_have_a_namespace

needs_namespace = pytest.mark.skipif(not can_have_a_namespace(), reason="needs root and mount namespaces")


@contextlib.contextmanager
def asking(home):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        connection.connect(str(home.home / "run/auth/socket"))
        yield Asker(connection)


@pytest.fixture
def program(home):
    """A site whose accounts are a program's."""
    path = home.home / "checkpw"
    path.write_text(CHECKPW.replace('b"<1@x>"', 'b""'))
    path.chmod(0o755)
    home.control("authbackends", f"accounts\nprogram {path}")
    return home.start()


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
