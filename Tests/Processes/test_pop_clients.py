"""Mail programs of Debian fetch mail by POP3 with TLS from role access, which takes no login without it. Auth is played by the test."""

import contextlib
import hashlib
import os
import pty
import select
import shutil
import ssl
import subprocess
import time

import pytest

from access_desk import PASSWORD, AccessDesk
from martlet import HOST, LIMIT, wait_until

MESSAGES = [b"From: <s@example.org>\nTo: <alice@mail.example>\nSubject: message %d\nMessage-ID: <%d@example.org>\n\n.dot\nline %d\n" % (n, n, n) for n in range(3)]


@pytest.fixture
def desk(programs):
    with AccessDesk(programs) as desk:
        for number, message in enumerate(MESSAGES):
            desk.put(f"new/{number}.h", message, age=100 - number)
        wait_until(lambda: offers_tls(desk), desk.log)
        yield desk


def offers_tls(desk):
    with desk.connect() as connection:
        connection.recv(1000)
        connection.sendall(b"CAPA\r\nQUIT\r\n")
        return b"STLS\r\n" in connection.makefile("rb").read()


def certificate(desk):
    return desk.home / "tls/default/cert.pem"


def fingerprint(desk, algorithm):
    return hashlib.new(algorithm, ssl.PEM_cert_to_DER_cert(certificate(desk).read_text())).hexdigest().upper()


def run(arguments, folder, **options):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=LIMIT, cwd=folder, env={
        "PATH": os.environ["PATH"], "HOME": str(folder), "USER": "tester", "LANG": "C"}, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return path


def maildir(folder):
    for name in ("", "tmp", "new", "cur"):
        (folder / "inbox" / name).mkdir()
    return folder / "inbox"


def assert_fetched(desk, files):
    """All three messages, in whatever trace lines the client adds, and none is left."""
    found = sorted(files, key=lambda content: content.index(b"Subject: message"))
    assert sorted(content[content.index(b"Subject: "):].replace(b"\r\n", b"\n").rstrip(b"\n") for content in found) == [
        message[message.index(b"Subject: "):].rstrip(b"\n") for message in MESSAGES]
    box = desk.home / "home/alice/Maildir"
    assert [path for part in ("new", "cur") for path in (box / part).iterdir()] == []
    assert desk.begun and all(encrypted for _, _, encrypted in desk.begun), "a login in clear"


needs = lambda program: pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@needs("mpop")
@pytest.mark.parametrize("door, starttls", [("pop3", "on"), ("pop3s", "off")])
def test_mpop(desk, tmp_path, door, starttls):
    inbox = maildir(tmp_path)
    config = private(tmp_path / "mpoprc", f"""
defaults
tls on
tls_starttls {starttls}
tls_fingerprint {fingerprint(desk, "sha256")}
account a
host 127.0.0.1
port {desk.doors[door][1]}
user alice
auth plain
passwordeval printf "%s" "{PASSWORD.decode()}"
delivery maildir {inbox}
uidls_file {tmp_path}/uidls
keep off
account default : a
""")
    run(["mpop", "-C", config], tmp_path)
    assert_fetched(desk, [path.read_bytes() for path in (inbox / "new").iterdir()])


@needs("fetchmail")
@pytest.mark.parametrize("door", ["pop3", "pop3s"])
def test_fetchmail(desk, tmp_path, door):
    script = tmp_path / "deliver"
    script.write_text(f'#!/bin/sh\nexec cat >"$(mktemp {tmp_path}/mail.XXXXXX)"\n')
    script.chmod(0o755)
    tls = "ssl" if door == "pop3s" else "sslproto tls1.2+"
    config = private(tmp_path / "fetchmailrc", f"""
poll 127.0.0.1 service {desk.doors[door][1]} protocol pop3 uidl
  user alice password "{PASSWORD.decode()}" {tls} sslcertck sslcertfile {certificate(desk)} sslcommonname {HOST} mda {script}
""")
    run(["fetchmail", "-f", config, "-i", tmp_path / "ids", "--pidfile", tmp_path / "pid", "--nosyslog"], tmp_path)
    assert_fetched(desk, [path.read_bytes() for path in tmp_path.glob("mail.*")])


@needs("getmail")
def test_getmail(desk, tmp_path):
    inbox = maildir(tmp_path)
    (tmp_path / "getmail").mkdir()
    private(tmp_path / "getmail/getmailrc", f"""
[retriever]
type = SimplePOP3SSLRetriever
server = 127.0.0.1
port = {desk.doors["pop3s"][1]}
username = alice
password = {PASSWORD.decode()}
ssl_fingerprints = ('{fingerprint(desk, "sha256")}',)
[destination]
type = Maildir
path = {inbox}/
[options]
delete = true
""")
    run(["getmail", "--getmaildir", tmp_path / "getmail"], tmp_path)
    assert_fetched(desk, [path.read_bytes() for path in (inbox / "new").iterdir()])


@needs("mutt")
@pytest.mark.parametrize("door, scheme", [("pop3", "pop"), ("pop3s", "pops")])
def test_mutt(desk, tmp_path, door, scheme):
    """Reads the mailbox in place, saves all of it and deletes it there."""
    saved = tmp_path / "saved"
    config = private(tmp_path / "muttrc", f"""
set folder={tmp_path} pop_user=alice pop_pass="{PASSWORD.decode()}" ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no
set certificate_file={certificate(desk)} confirmappend=no delete=yes move=no quit=yes pop_delete=yes pop_checkinterval=0
set mbox_type=mbox wait_key=no beep=no message_cachedir="" header_cache="" pop_reconnect=no sleep_time=0 copy=no
push "<tag-pattern>~A<enter><tag-prefix><save-message>{saved}<enter><sync-mailbox><quit>"
""")
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm", "HOME": str(tmp_path), "LANG": "C"})
        os.execvp("mutt", ["mutt", "-n", "-F", str(config), "-f", f"{scheme}://alice@127.0.0.1:{desk.doors[door][1]}/"])
    screen, end = b"", time.monotonic() + LIMIT
    with contextlib.suppress(OSError):
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.5)[0]:
                screen += os.read(terminal, 1 << 16)
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0, screen.decode(errors="replace")
    assert_fetched(desk, [b"From: " + part for part in saved.read_bytes().split(b"\nFrom: ")[1:]])


def test_fetching_again_brings_nothing_twice(desk, tmp_path):
    """UIDL: a client that leaves mail on the server gets each message once, also after another has filed it."""
    if shutil.which("mpop") is None:
        pytest.skip("mpop is not installed")
    inbox = maildir(tmp_path)
    config = private(tmp_path / "mpoprc", f"""
account default
host 127.0.0.1
port {desk.doors["pop3s"][1]}
tls on
tls_starttls off
tls_fingerprint {fingerprint(desk, "sha256")}
user alice
auth user
passwordeval printf "%s" "{PASSWORD.decode()}"
delivery maildir {inbox}
uidls_file {tmp_path}/uidls
keep on
""")
    run(["mpop", "-C", config], tmp_path)
    assert len(list((inbox / "new").iterdir())) == 3
    box = desk.home / "home/alice/Maildir/cur"
    for path in list(box.iterdir()):
        path.rename(box / f"{path.name}RS")
    desk.put("new/9.h", MESSAGES[0].replace(b"message 0", b"message 9"), age=10)
    run(["mpop", "-C", config], tmp_path)
    assert len(list((inbox / "new").iterdir())) == 4
