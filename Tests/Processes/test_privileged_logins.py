"""Logins over TLS at an installation as root, end to end: a user of the shadow file, whom authcheck looks up as root, and an account of ours; what runs
as whom on the way, and who can read the key. The accounts are test_privileged.py's."""

import contextlib
import os
import poplib
import smtplib
import ssl
import subprocess

import pytest
from auth_role import hashed
from martlet import HOST, LIMIT, processes, wait_until
from test_privileged import ACCOUNTS, GROUPS, PrivilegedMartlet, can_have_a_namespace, status
from test_tls import trusting

pytestmark = pytest.mark.skipif(not can_have_a_namespace(), reason="needs root and mount namespaces")

ALICE, VMAIL = 7101, 7102
DOMAIN = "example.org"
JOE, PASSWORD = f"joe@{DOMAIN}", "secret"


@pytest.fixture(scope="module")
def installed(programs):
    home = PrivilegedMartlet(programs)
    try:
        home.users = {"alice": ALICE, "vmail": VMAIL, "toor": 0}
        shadow = home.home / "shadow"
        shadow.write_text("".join(f"{name}:{hashed(PASSWORD.encode())}:19000:0:99999:7:::\n" for name in ("root", "toor", "alice", "vmail")))
        shadow.chmod(0o600)
        home.more_of_etc = {"shadow": shadow}
        alice = home.user("alice")
        for path in (alice, *alice.rglob("*")):
            os.chown(path, ALICE, ALICE)
        for name, owner, group, mode in (("tls", "qmailk", "nofiles", 0o755), ("auth", "root", "qmaila", 0o2750)):
            (home.home / name).mkdir()
            os.chown(home.home / name, ACCOUNTS.get(owner, 0), GROUPS[group])
            (home.home / name).chmod(mode)
        home.control("rcpthosts", f"{HOST}\n{DOMAIN}")
        for door in ("submission", "submissions", "pop3", "pop3s"):
            home.control(f"{door}listen", "127.0.0.1:0")
        home.start()
        wait_until((home.home / "tls/default/cert.pem").exists, home.log)
        wait_until(lambda: starttls_works(home), home.log)
        administer(home, "domain", "add", DOMAIN)
        administer(home, "user", "add", JOE, stdin=PASSWORD.encode() + b"\n")
        yield home
    finally:
        home.clean()


def administer(home, *arguments, stdin=b""):
    """As root, where vmail is an account."""
    lines = (home.home / "etc/passwd", home.home / "etc/group")
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c",
         f'mount --bind {lines[0]} /etc/passwd && mount --bind {lines[1]} /etc/group && exec "$@"', "sh", home.programs / "martlet", *arguments],
        input=stdin, capture_output=True, timeout=LIMIT, env={"PATH": os.environ["PATH"], "QMAILHOME": str(home.home)})
    assert done.returncode == 0, done.stderr


def starttls_works(home):
    with smtplib.SMTP(*home.doors["smtp"], timeout=LIMIT) as client:
        client._host = HOST
        with contextlib.suppress(smtplib.SMTPException, OSError):
            return client.starttls(context=trusting(home))[0] == 220


def submits(home, door, login, sender, recipient, password=PASSWORD):
    """The code of the login, and of the message after it."""
    context = trusting(home, check_hostname=False)
    client = smtplib.SMTP_SSL(*home.doors[door], timeout=LIMIT, context=context) if door == "submissions" else smtplib.SMTP(*home.doors[door], timeout=LIMIT)
    with client:
        if door == "submission":
            client.starttls(context=context)
        client.ehlo("c")
        client.user, client.password = login, password
        try:
            code = client.auth("PLAIN", client.auth_plain)[0]
        except smtplib.SMTPAuthenticationError as error:
            return error.smtp_code, None
        client.sendmail(sender, [recipient], f"Subject: through {door}\r\n\r\nx\r\n")
        return code, 250


@contextlib.contextmanager
def reading(home, door, login, password=PASSWORD):
    context = trusting(home, check_hostname=False)
    client = poplib.POP3_SSL(*home.doors[door], timeout=LIMIT, context=context) if door == "pop3s" else poplib.POP3(*home.doors[door], timeout=LIMIT)
    if door == "pop3":
        client.stls(context)
    client.user(login)
    try:
        client.pass_(password)
        yield client
        client.quit()
    finally:
        client.close()


def store_workers(home):
    return [(pid, arguments) for pid, (_, arguments) in processes().items() if arguments[:1] == ["martlet-store"] and home._is_ours(pid)]


def test_who_holds_the_key(installed):
    """Role keys runs as qmailk; nobody else can read what it signs with, or look into its memory."""
    key = installed.home / "tls/default/key.pem"
    info = os.stat(key)
    assert (info.st_uid, info.st_mode & 0o7777) == (ACCOUNTS["qmailk"], 0o600)
    keys = installed.pid("keys")
    assert set(status(keys, "Uid")) == {str(ACCOUNTS["qmailk"])}
    for account in set(ACCOUNTS) - {"qmailk"}:
        tried = subprocess.run(["cat", key], user=ACCOUNTS[account], group=GROUPS["nofiles"], extra_groups=[], capture_output=True, timeout=LIMIT)
        assert tried.returncode != 0 and b"Permission denied" in tried.stderr, account
    # Not even qmailk itself.
    for path in ("mem", "environ", "maps"):
        tried = subprocess.run(
            ["head", "-c1", f"/proc/{keys}/{path}"], user=ACCOUNTS["qmailk"], group=GROUPS["nofiles"], extra_groups=[], capture_output=True, timeout=LIMIT)
        assert tried.returncode != 0 and not tried.stdout, path


def test_the_roles_at_the_doors(installed):
    for role, account, asks in (("smtpd", "qmaild", {"route", "dns", "auth", "keys"}), ("access", "qmaill", {"auth", "mailbox", "keys"})):
        pid = installed.pid(role)
        assert set(status(pid, "Uid")) == {str(ACCOUNTS[account])}
        assert set(status(pid, "Groups")) == {str(GROUPS["nofiles"])} | {str(GROUPS[f"martlet-{name}"]) for name in asks}
        assert status(pid, "NoNewPrivs") == ["1"] and status(pid, "CapEff") == ["0" * 16]


@pytest.mark.parametrize("send, read", [("submission", "pop3"), ("submissions", "pop3s")])
@pytest.mark.parametrize("login, sender, uid, confined", [
    ("alice", f"alice@{HOST}", ALICE, "free"), (f"alice@{HOST}", f"alice@{HOST}", ALICE, "free"), (JOE, JOE, VMAIL, "confined"),
], ids=["user", "user with host", "account"])
def test_from_submission_to_pop3(installed, send, read, login, sender, uid, confined):
    """Who logs in sends mail to himself and reads it; what touches the mailbox runs as its owner."""
    assert submits(installed, send, login, sender, sender) == (235, 250)

    def read_one():
        with reading(installed, read, login) as client:
            count, _ = client.stat()
            if count == 0:
                return None
            [(pid, arguments)] = store_workers(installed)
            assert arguments == ["martlet-store", confined, "pop3", "Maildir"]
            assert set(status(pid, "Uid")) == {str(uid)} and set(status(pid, "Gid")) == {str(uid)}
            assert status(pid, "CapEff") == ["0" * 16] and set(status(pid, "Groups")) <= {str(uid)}
            if confined == "confined":
                assert status(pid, "NoNewPrivs") == ["1"]
            lines = client.retr(1)[1]
            for number in range(count):
                client.dele(number + 1)
            return lines

    # As qmail-pop3d, what came in this very second is not shown yet.
    lines = wait_until(read_one, installed.log)
    assert f"Subject: through {send}".encode() in lines and f"Return-Path: <{sender}>".encode() in lines
    wait_until(lambda: not store_workers(installed), installed.log)
    assert not [arguments for _, arguments in processes().values() if arguments[:1] == ["martlet-authcheck"]]


@pytest.mark.parametrize("login, password", [
    ("root", PASSWORD), ("toor", PASSWORD), (f"root@{HOST}", PASSWORD), ("alice", "wrong"), ("qmailk", PASSWORD), (JOE, "wrong"), (f"joe@{HOST}", PASSWORD),
    ("joe", PASSWORD),
])
def test_who_does_not_get_in(installed, login, password):
    """Root under no name, with the right password too."""
    try:
        assert submits(installed, "submissions", login, "", f"alice@{HOST}", password)[0] == 535
        with pytest.raises((poplib.error_proto, ssl.SSLError, ConnectionError)):
            with reading(installed, "pop3s", login, password):
                pass
        assert store_workers(installed) == []
    finally:
        for subject in ("127.0.0.1", "127.0.0.0/24", login):
            installed.command("martlet", "auth", "release", subject, user=0, group=0)


def test_an_account_cannot_leave_its_mailbox(installed):
    """Links that lead elsewhere show a reader nothing: neither another's mail nor a file of the system."""
    maildir = installed.home / "mailboxes" / DOMAIN / "joe/Maildir"
    if not maildir.exists():
        submits(installed, "submissions", JOE, JOE, JOE)
        wait_until(maildir.exists, installed.log)
    secret = installed.home / "secret"
    secret.write_text("Subject: secret\n\nof the system\n")
    secret.chmod(0o644)
    links = [maildir / "new/1.link", maildir / "cur/2.link:2,"]
    for link in links:
        link.symlink_to(secret)
        os.chown(link, VMAIL, VMAIL, follow_symlinks=False)
    try:
        with reading(installed, "pop3s", JOE) as client:
            for number in range(1, client.stat()[0] + 1):
                with contextlib.suppress(poplib.error_proto):
                    assert b"of the system" not in b"\n".join(client.retr(number)[1])
    finally:
        for link in links:
            link.unlink(missing_ok=True)
