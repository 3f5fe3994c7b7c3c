"""Mail programs of Debian fetch mail by POP3 with TLS from role access, which takes no login without it. Auth is played by the test."""

import contextlib
import hashlib
import mailbox
import os
import pathlib
import pty
import select
import shutil
import ssl
import subprocess
import tempfile
import time

import pytest

from access_desk import PASSWORD, AccessDesk
from martlet import HOST, LIMIT, account, as_account, wait_until

MESSAGES = [b"From: <s@example.org>\nTo: <alice@mail.example>\nSubject: message %d\nMessage-ID: <%d@example.org>\n\n.dot\nline %d\n" % (n, n, n) for n in range(3)]


@pytest.fixture
def desk(programs):
    with AccessDesk(programs) as desk:
        for number, message in enumerate(MESSAGES):
            desk.put(f"new/{number}.h", message, age=100 - number)
        wait_until(lambda: offers_tls(desk), desk.log)
        yield desk


@pytest.fixture
def place():
    """A folder of the account that runs the clients: some do not work as root."""
    with tempfile.TemporaryDirectory(prefix="martlet-clients-") as folder:
        if os.geteuid() == 0:
            os.chown(folder, *account())
        yield pathlib.Path(folder)


def offers_tls(desk):
    with desk.connect() as connection:
        connection.recv(1000)
        connection.sendall(b"CAPA\r\nQUIT\r\n")
        return b"STLS\r\n" in connection.makefile("rb").read()


def certificate(desk):
    return desk.home / "tls/default/cert.pem"


def fingerprint(desk, separator):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate(desk).read_text())).digest().hex(*separator).upper()


def run(arguments, folder, **options):
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, timeout=LIMIT, cwd=folder, env={
        "PATH": os.environ["PATH"], "HOME": str(folder), "USER": "tester", "LANG": "C"}, **as_account(), **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done


def private(path, text):
    path.write_text(text)
    path.chmod(0o600)
    return give(path)


def give(path):
    if os.geteuid() == 0:
        os.chown(path, *account())
    return path


def maildir(folder):
    for name in ("", "tmp", "new", "cur"):
        (folder / "inbox" / name).mkdir()
        give(folder / "inbox" / name)
    return folder / "inbox"


def essence(content):
    """What no client changes."""
    head, body = content.replace(b"\r\n", b"\n").split(b"\n\n", 1)
    return next(line for line in head.split(b"\n") if line.startswith(b"Subject: ")), body.rstrip(b"\n")


def assert_fetched(desk, files):
    """All three messages, and none is left."""
    assert sorted(map(essence, files)) == sorted(map(essence, MESSAGES))
    box = desk.home / "home/alice/Maildir"
    assert [path for part in ("new", "cur") for path in (box / part).iterdir()] == []
    assert desk.begun and all(encrypted for _, _, encrypted in desk.begun), "a login in clear"


needs = lambda program: pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@needs("mpop")
@pytest.mark.parametrize("door, starttls", [("pop3", "on"), ("pop3s", "off")])
def test_mpop(desk, place, door, starttls):
    inbox = maildir(place)
    config = private(place / "mpoprc", f"""
defaults
tls on
tls_starttls {starttls}
tls_fingerprint {fingerprint(desk, ":")}
account a
host 127.0.0.1
port {desk.doors[door][1]}
user alice
auth plain
passwordeval printf "%s" "{PASSWORD.decode()}"
delivery maildir {inbox}
uidls_file {place}/uidls
keep off
account default : a
""")
    run(["mpop", "-C", config], place)
    assert_fetched(desk, [path.read_bytes() for path in (inbox / "new").iterdir()])


@needs("fetchmail")
@pytest.mark.parametrize("door", ["pop3", "pop3s"])
def test_fetchmail(desk, place, door):
    script = place / "deliver"
    script.write_text(f'#!/bin/sh\nexec cat >"$(mktemp {place}/mail.XXXXXX)"\n')
    script.chmod(0o755)
    tls = "ssl" if door == "pop3s" else "sslproto tls1.2+"
    config = private(place / "fetchmailrc", f"""
poll 127.0.0.1 service {desk.doors[door][1]} protocol pop3 uidl
  user alice password "{PASSWORD.decode()}" {tls} sslcertck sslcertfile {certificate(desk)} sslcommonname {HOST} mda {script}
""")
    run(["fetchmail", "-f", config, "-i", place / "ids", "--pidfile", place / "pid", "--nosyslog"], place)
    assert_fetched(desk, [path.read_bytes() for path in place.glob("mail.*")])


@needs("getmail")
def test_getmail(desk, place):
    inbox = maildir(place)
    (place / "getmail").mkdir()
    give(place / "getmail")
    private(place / "getmail/getmailrc", f"""
[retriever]
type = SimplePOP3SSLRetriever
server = 127.0.0.1
port = {desk.doors["pop3s"][1]}
username = alice
password = {PASSWORD.decode()}
ssl_fingerprints = ('{fingerprint(desk, "")}',)
[destination]
type = Maildir
path = {inbox}/
[options]
delete = true
""")
    run(["getmail", "--getmaildir", place / "getmail"], place)
    assert_fetched(desk, [path.read_bytes() for path in (inbox / "new").iterdir()])


@needs("mutt")
@pytest.mark.parametrize("door, scheme", [("pop3", "pop"), ("pop3s", "pops")])
def test_mutt(desk, place, door, scheme):
    """Reads the mailbox in place, saves all of it and deletes it there."""
    saved = place / "saved"
    config = private(place / "muttrc", f"""
set folder={place} pop_user=alice pop_pass="{PASSWORD.decode()}" ssl_starttls=yes ssl_force_tls=yes ssl_verify_host=no
set certificate_file={certificate(desk)} confirmappend=no confirmcreate=no delete=yes move=no quit=yes pop_delete=yes pop_checkinterval=0
set mbox_type=mbox wait_key=no beep=no message_cachedir="" header_cache="" pop_reconnect=no sleep_time=0 copy=no
push "<tag-pattern>~A<enter><tag-prefix><save-message>{saved}<enter><sync-mailbox><quit>"
""")
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"TERM": "xterm", "HOME": str(place), "LANG": "C"})
        os.execvp("mutt", ["mutt", "-n", "-F", str(config), "-f", f"{scheme}://alice@127.0.0.1:{desk.doors[door][1]}/"])
    screen, end = b"", time.monotonic() + LIMIT
    with contextlib.suppress(OSError):
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.5)[0]:
                screen += os.read(terminal, 1 << 16)
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0, screen.decode(errors="replace")
    assert_fetched(desk, [message.as_bytes() for message in mailbox.mbox(saved)])


def test_fetching_again_brings_nothing_twice(desk, place):
    """UIDL: a client that leaves mail on the server gets each message once, also after another has filed it."""
    if shutil.which("mpop") is None:
        pytest.skip("mpop is not installed")
    inbox = maildir(place)
    config = private(place / "mpoprc", f"""
account default
host 127.0.0.1
port {desk.doors["pop3s"][1]}
tls on
tls_starttls off
tls_fingerprint {fingerprint(desk, ":")}
user alice
auth user
passwordeval printf "%s" "{PASSWORD.decode()}"
delivery maildir {inbox}
uidls_file {place}/uidls
keep on
""")
    run(["mpop", "-C", config], place)
    assert len(list((inbox / "new").iterdir())) == 3
    box = desk.home / "home/alice/Maildir/cur"
    for path in list(box.iterdir()):
        path.rename(box / f"{path.name}RS")
    desk.put("new/9.h", MESSAGES[0].replace(b"message 0", b"message 9"), age=10)
    run(["mpop", "-C", config], place)
    assert len(list((inbox / "new").iterdir())) == 4


@needs("curl")
@pytest.mark.parametrize("door, scheme", [("pop3", "pop3"), ("pop3s", "pop3s")])
def test_curl(desk, place, door, scheme):
    address = f"{scheme}://{HOST}:{desk.doors[door][1]}"
    curl = ["curl", "--silent", "--show-error", "--ssl-reqd", "--cacert", certificate(desk), "--resolve", f"{HOST}:{desk.doors[door][1]}:127.0.0.1",
            "--user", f"alice:{PASSWORD.decode()}"]
    listed = run([*curl, f"{address}/"], place).stdout.splitlines()
    assert len(listed) == 3
    found = [run([*curl, f"{address}/{number}"], place).stdout.encode() for number in (1, 2, 3)]
    for number in (3, 2, 1):
        run([*curl, "--request", f"DELE {number}", "--head", f"{address}/"], place)
    assert_fetched(desk, found)
