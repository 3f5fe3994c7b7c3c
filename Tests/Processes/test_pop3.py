"""POP3 as it is used: tcpserver, qmail-popup, a checkpassword program, qmail-pop3d; the client is Python's."""

import contextlib
import hashlib
import os
import pathlib
import poplib
import shutil
import socket
import subprocess
import tempfile
import time

import pytest
from martlet import LIMIT, account, as_account, free_port, listens, peak_memory, wait_until
from tcpserver import TcpServer

# A checkpassword program for one user: the password, or the digest of an APOP login (RFC 1939 §7).
STUB = """#!/usr/bin/python3 -IS
import hashlib, os, sys
login, password, timestamp = os.read(3, 513).split(b"\\0")[:3]
os.close(3)
if login != b"alice" or password not in (b"secret word", hashlib.md5(timestamp + b"secret word").hexdigest().encode()):
    sys.exit(1)
os.chdir(@HOME@)
os.execvp(sys.argv[1], sys.argv[1:])
"""
PAST = time.time() - 1000


class Mailbox:
    """Alice's Maildir, and a server for it."""

    def __init__(self, home):
        self.home = home
        self.maildir = home.user("alice") / "Maildir"
        stub = home.home / "checkpassword-stub"
        stub.write_text(STUB.replace("@HOME@", repr(str(self.maildir.parent))))
        stub.chmod(0o755)
        bin = home.programs
        self.server = TcpServer(home, [bin / "qmail-popup", "mx.example", stub, bin / "qmail-pop3d", "Maildir"])

    def put(self, name, content, age=0):
        """A message, `age` seconds older than others."""
        path = self.maildir / name
        path.write_bytes(content)
        os.utime(path, (PAST - age, PAST - age))
        self.home._give(path)
        return path

    def client(self):
        return poplib.POP3("127.0.0.1", self.server.port, timeout=LIMIT)

    def login(self):
        client = self.client()
        client.user("alice")
        # qmail-popup says nothing itself when it was right: this is qmail-pop3d's greeting.
        assert client.pass_("secret word") == b"+OK "
        return client

    def names(self):
        return sorted(f"{part}/{path.name}" for part in ("new", "cur") for path in (self.maildir / part).iterdir())


@pytest.fixture
def mailbox(home):
    box = Mailbox(home)
    with box.server:
        yield box


# The login


def test_a_password_or_a_digest_lets_in(mailbox):
    mailbox.login().quit()
    client = mailbox.client()
    assert client.welcome.startswith(b"+OK <") and client.welcome.endswith(b"@mx.example>")
    assert client.apop("alice", "secret word") == b"+OK "
    client.quit()


@pytest.mark.skipif(shutil.which("supervise") is None, reason="daemontools is not installed")
def test_under_daemontools(mailbox):
    """A service as sites have it: supervise keeps it, svc restarts it, mail is read before and after."""
    mailbox.put("new/1.h", b"Subject: x\n\n")
    service = mailbox.home.home / "service"
    service.mkdir()
    mailbox.home._give(service)
    port = free_port()
    bin = mailbox.home.programs
    (service / "run").write_text(f"#!/bin/sh\nexec tcpserver -RHl0 127.0.0.1 {port} {bin}/qmail-popup mx.example {mailbox.home.home}/checkpassword-stub "
                                 f"{bin}/qmail-pop3d Maildir\n")
    (service / "run").chmod(0o755)
    control = lambda *arguments: subprocess.run([*arguments, service], check=True, timeout=LIMIT, capture_output=True, **as_account())
    with subprocess.Popen(["supervise", service], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_account()) as supervisor:
        try:
            for _ in range(2):
                wait_until(lambda: listens(port), "tcpserver does not listen")
                client = poplib.POP3("127.0.0.1", port, timeout=LIMIT)
                client.user("alice")
                client.pass_("secret word")
                assert client.stat() == (1, 12)
                client.quit()
                control("svc", "-t")
                wait_until(lambda: not listens(port) or b"up" in control("svstat").stdout, "it is not restarted")
        finally:
            control("svc", "-dx")
            supervisor.wait(LIMIT)


@pytest.mark.parametrize("user, password", [("alice", "secret"), ("bob", "secret word"), ("alice", "x" * 600)], ids=["wrong", "unknown", "long"])
def test_nothing_else_does(mailbox, user, password):
    client = mailbox.client()
    client.user(user)
    with pytest.raises(poplib.error_proto, match="authorization failed"):
        client.pass_(password)
    assert client.sock.recv(1) == b""
    client.close()


def test_one_digest_is_good_for_one_greeting(mailbox):
    first, second = mailbox.client(), mailbox.client()
    digest = hashlib.md5(first.welcome[4:] + b"secret word").hexdigest()
    with pytest.raises(poplib.error_proto, match="authorization failed"):
        second._shortcmd(f"APOP alice {digest}")
    second.close()
    # The timestamp that a digest was made for cannot be put behind it.
    third = mailbox.client()
    with pytest.raises(poplib.error_proto, match="syntax error"):
        third._shortcmd(f"APOP alice {digest}\0{first.welcome[4:].decode()}\0")
    third.close()
    first.close()


def test_lines_without_end_end_the_connection(mailbox):
    with mailbox.server.connect() as connection:
        connection.recv(1000)
        connection.sendall(b"USER " + b"x" * 2000)
        assert connection.recv(1000) == b"-ERR line too long\r\n"
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


# A session


def test_mail_that_came_by_smtp_is_read(server):
    maildir = server.home / "home/alice/Maildir"
    server.send("s@example.org", "alice", b"Subject: dots\r\n\r\n.\r\n..two\r\nend\r\n")
    server.wait_for_messages("alice", 1)
    file = next((maildir / "new").iterdir())
    wait_until(lambda: time.time() > file.stat().st_mtime + 1, "a second does not pass")
    stub = server.home / "stub"
    stub.write_text(STUB.replace("@HOME@", repr(str(maildir.parent))))
    stub.chmod(0o755)
    with TcpServer(server, [server.programs / "qmail-popup", "h", stub, server.programs / "qmail-pop3d", "Maildir"]) as door:
        client = poplib.POP3("127.0.0.1", door.port, timeout=LIMIT)
        client.user("alice")
        client.pass_("secret word")
        _, lines, _ = client.retr(1)
        assert lines[-6:] == [b"Subject: dots", b"", b".", b"..two", b"end", b""]
        assert client.uidl(1).split()[2].decode() == file.name
        client.dele(1)
        client.quit()
    assert not file.exists()
    assert server.messages("alice") == []


def test_what_a_session_shows_and_leaves(mailbox):
    mailbox.put("new/2.h", b"Subject: two\n\n.dot\r\nlone\rcr\nend")
    mailbox.put("cur/1.h:2,S", b"Subject: one\n\nbody\nmore\n", age=5)
    mailbox.put("new/.hidden", b"x")
    (mailbox.maildir / "new/folder").mkdir()
    mailbox.put("new/3.h", b"")
    fresh = mailbox.put("new/4.h", b"of this second")
    os.utime(fresh, (time.time() + 60, time.time() + 60))
    client = mailbox.login()
    assert client.stat() == (3, 55)
    assert client.list()[1] == [b"1 24", b"2 31", b"3 0"]
    assert client.uidl()[1] == [b"1 1.h", b"2 2.h", b"3 3.h"]
    assert client.retr(2)[1] == [b"Subject: two", b"", b".dot", b"lone cr", b"end", b""]
    assert client.top(1, 1)[1] == [b"Subject: one", b"", b"body", b""]
    client.dele(1)
    client.rset()
    client.dele(1)
    assert client.quit() == b"+OK "
    assert mailbox.names() == ["cur/2.h:2,", "cur/3.h:2,", "new/.hidden", "new/4.h", "new/folder"]


def test_a_lost_client_changes_nothing(mailbox):
    mailbox.put("new/1.h", b"x\n")
    client = mailbox.login()
    client.dele(1)
    client.sock.shutdown(socket.SHUT_RDWR)
    client.close()
    client = mailbox.login()
    assert client.stat() == (1, 2)
    client.quit()


def test_another_session_removes_and_files_meanwhile(mailbox):
    for number in range(1, 5):
        mailbox.put(f"new/{number}.h", b"Subject: %d\n\n" % number, age=10 - number)
    first, second = mailbox.login(), mailbox.login()
    ids = first.uidl()[1]
    second.dele(2)
    second.quit()
    assert mailbox.names() == ["cur/1.h:2,", "cur/3.h:2,", "cur/4.h:2,"]
    # A reader with flags, as an IMAP server.
    (mailbox.maildir / "cur/3.h:2,").rename(mailbox.maildir / "cur/3.h:2,FRS")
    assert first.retr(1)[1][0] == b"Subject: 1"
    with pytest.raises(poplib.error_proto, match="unable to open that message"):
        first.retr(2)
    assert first.retr(3)[1][0] == b"Subject: 3"
    for number in (2, 3, 4):
        first.dele(number)
    assert first.quit() == b"+OK ", "one that is gone is deleted"
    assert mailbox.names() == ["cur/1.h:2,"]
    third = mailbox.login()
    assert third.uidl()[1] == [ids[0]]
    third.quit()


def test_unique_ids_stay(mailbox):
    """Through renames, flags and deliveries; also those of names that cannot be one (hardening.md POP3/UIDL)."""
    mailbox.put("new/1.h", b"one\n", age=9)
    mailbox.put("new/a b\xff".encode("latin-1").decode("utf-8", "surrogateescape"), b"two\n", age=8)
    mailbox.put("new/" + "n" * 100, b"three\n", age=7)
    mailbox.put("cur/1.h:2,", b"four\n", age=6)
    client = mailbox.login()
    before = [line.split()[1] for line in client.uidl()[1]]
    client.quit()
    assert len(set(before)) == 4 and before[0] == b"1.h"
    assert all(1 <= len(each) <= 70 and all(0x21 <= byte <= 0x7E for byte in each) for each in before)
    for path in list((mailbox.maildir / "cur").iterdir()):
        os.rename(path, os.fsdecode(os.fsencode(path).replace(b":2,", b":2,S")))
    mailbox.put("new/5.h", b"five\n", age=20)
    client = mailbox.login()
    assert [line.split()[1] for line in client.uidl()[1]] == [b"5.h", *before]
    client.quit()


@pytest.mark.parametrize("number", ["0", "-1", "4294967296", "4294967297", "18446744073709551617", "9" * 100, "x"])
def test_numbers_that_are_none(mailbox, number):
    mailbox.put("new/1.h", b"x\n")
    client = mailbox.login()
    for verb in ("RETR", "TOP", "DELE", "LIST", "UIDL"):
        with pytest.raises(poplib.error_proto):
            client._shortcmd(f"{verb} {number}")
    assert client.stat() == (1, 2)
    client.quit()


@pytest.fixture
def memory():
    """A folder in memory: some disks need a minute for so many files."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="martlet-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def test_a_mailbox_of_100_000_messages(mailbox, memory):
    """Listed and emptied by one session; some of it gone and some filed meanwhile."""
    count = 100_000
    shutil.copytree(mailbox.maildir, memory / "Maildir")
    shutil.rmtree(mailbox.maildir)
    mailbox.maildir.symlink_to(memory / "Maildir")
    for number in range(count):
        path = mailbox.maildir / ("cur" if number % 2 else "new") / f"{number:06}.h"
        path.write_bytes(b"x\n")
        os.utime(path, (PAST, PAST))
    for path in (memory, memory / "Maildir", *(memory / "Maildir").iterdir()):
        mailbox.home._give(path)
    client = mailbox.login()
    assert client.stat() == (count, 2 * count)
    assert len(client.list()[1]) == count
    assert client.uidl()[1][-1] == b"100000 099999.h"
    for number in range(0, 20_000, 2):
        path = mailbox.maildir / "new" / f"{number:06}.h"
        if number % 4:
            path.unlink()
        else:
            path.rename(mailbox.maildir / "cur" / f"{number:06}.h:2,S")
    for start in range(0, count, 5000):
        client.sock.sendall(b"".join(b"DELE %d\r\n" % (number + 1) for number in range(start, start + 5000)))
        for _ in range(5000):
            assert client._getresp() == b"+OK "
    client.sock.settimeout(4 * LIMIT)
    assert client.quit() == b"+OK "
    assert mailbox.names() == []
    mailbox.maildir.unlink()


def test_a_large_message_passes_in_little_memory(home):
    maildir = home.user("alice") / "Maildir"
    size = 100 << 20
    with open(maildir / "new/1.h", "wb") as file:
        file.write(b"Subject: large\n\n" + (b"y" * 1000 + b"\n") * (size // 1001))
    os.utime(maildir / "new/1.h", (PAST, PAST))
    home._give(maildir / "new/1.h")
    with subprocess.Popen(
            [home.programs / "qmail-pop3d", "Maildir"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=maildir.parent, **as_account()) as child:
        child.stdin.write(b"RETR 1\r\nQUIT\r\n")
        child.stdin.close()
        received = peak = 0
        while part := child.stdout.read(1 << 20):
            received += len(part)
            if received <= size:
                peak = peak_memory(child.pid)
    assert child.returncode == 0
    assert received > size
    assert 0 < peak < 40 << 10, "KiB"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_is_refused(home):
    maildir = home.user("alice") / "Maildir"
    ran = home.command("qmail-pop3d", maildir, stdin=b"QUIT\r\n", user=0, group=0)
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, b"", b"qmail-pop3d invoked as uid 0, terminating\n")


# checkpassword


def checkpassword(home, given, *arguments, **options):
    """Runs checkpassword with `given` on its descriptor 3."""
    reader, writer = os.pipe()
    try:
        os.write(writer, given)
        os.close(writer)
        script = f'exec "$@" 3<&{reader}'
        return subprocess.run(
            ["bash", "-c", script, "bash", *options.pop("wrapper", []), home.programs / "checkpassword", *arguments], capture_output=True, timeout=LIMIT,
            cwd="/", pass_fds=[reader], env={"PATH": os.environ["PATH"], "KEPT": "yes"}, **{**as_account(), **options})
    finally:
        os.close(reader)


@pytest.mark.parametrize("given, arguments, code", [
    (b"joe\0p\0t\0", [], 2), (b"joe\0p", ["true"], 2), (b"", ["true"], 2), (b"nobody-of-this-name\0p\0t\0", ["true"], 1), (b"\0\0\0", ["true"], 1),
    (b"joe\0" + b"p" * 520 + b"\0t\0", ["true"], 1), (b"root\0\0t\0", ["true"], 1), (b"nobody\0\0t\0", ["true"], 1), (b"nobody\0*\0t\0", ["true"], 1),
], ids=["no program", "one field", "none", "unknown", "empty", "long", "root", "without password", "locked"])
def test_checkpassword_refuses(home, given, arguments, code):
    assert checkpassword(home, given, *arguments).returncode == code


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_checkpassword_lets_in_with_the_right_password(home):
    """Accounts of the test's own lie over /etc/passwd and /etc/shadow in a mount namespace."""
    person = home.user("joe")
    home.home.chmod(0o755)
    (home.home / "home").chmod(0o755)
    uid, gid = account()
    # crypt(3) of "pass word" by SHA-512 with 1,000 rounds.
    made = subprocess.run(["openssl", "passwd", "-6", "-salt", "saltsalt", "pass word"], capture_output=True, text=True, timeout=LIMIT, check=True).stdout.strip()
    passwd, shadow = home.home / "passwd", home.home / "shadow"
    passwd.write_text(
        open("/etc/passwd").read() + f"joe:x:{uid}:{gid}::{person}:/bin/sh\nopen:x:{uid}:{gid}::{person}:/bin/sh\n"
        f"toor:x:0:0::{person}:/bin/sh\nlocked:x:{uid}:{gid}::{person}:/bin/sh\nold:{made}:{uid}:{gid}::{person}:/bin/sh\n"
        f"homeless:x:{uid}:{gid}::/nonexistent:/bin/sh\n")
    shadow.write_text(f"joe:{made}:1::::::\nopen::1::::::\ntoor:{made}:1::::::\nlocked:!{made}:1::::::\nhomeless:{made}:1::::::\n")
    script = f'mount --bind {passwd} /etc/passwd && mount --bind {shadow} /etc/shadow && exec "$@"'
    wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]

    def ask(login, password, *arguments):
        return checkpassword(home, f"{login}\0{password}\0<t>\0".encode(), *arguments, wrapper=wrapper, user=0, group=0, extra_groups=[0])

    show = ["sh", "-c", 'echo "$USER $HOME $SHELL $KEPT $(pwd) $(id -u) $(id -g) $(id -G)"; read -r line <&3 || echo closed']
    ran = ask("joe", "pass word", *show)
    assert ran.stdout.decode() == f"joe {person} /bin/sh yes {person} {uid} {gid} {gid}\nclosed\n", ran.stderr
    assert ran.returncode == 0
    assert ask("old", "pass word", "true").returncode == 0, "a hash in the passwd file"
    for login, password in [("joe", "password"), ("joe", ""), ("open", ""), ("open", "x"), ("toor", "pass word"), ("locked", "pass word"), ("ann", "x")]:
        assert ask(login, password, "true").returncode == 1, login
    assert ask("joe", "pass word", "no-such-program").returncode == 111
    assert ask("homeless", "pass word", "true").returncode == 111
