"""Commands that need more than a recorded case gives them: a running system, a clock, syslog, a terminal."""

import fcntl
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from martlet import HOST, LIMIT, STOP_LIMIT, as_account, wait_until

MESSAGE = b"Subject: s\n\nbody\n"


# qmail-start

def qmail_start(home, *arguments, **variables):
    home.user("alice")
    (home.home / "bin2").mkdir(exist_ok=True)
    logger = home.home / "bin2/logger"
    logger.write_text(f'#!/bin/sh\necho "logger: $*"\nexec cat >>{home.log_path}\n')
    logger.chmod(0o755)
    home.log_path.touch()
    os.chmod(home.log_path, 0o666)
    home.supervisor = subprocess.Popen(
        [home.programs / "qmail-start", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
        env={"PATH": f"{home.home}/bin2:{os.environ['PATH']}", "QMAILHOME": str(home.home), **variables}, **as_account())


def stopped(home):
    home.send_signal(signal.SIGTERM)
    code = home.supervisor.wait(STOP_LIMIT)
    return code, home.supervisor.stdout.read().decode()


def test_qmail_start_with_delivery_and_logger(home):
    qmail_start(home, "./Mailbox", "logger", "a", "b c")
    home.wait_for_log(r"^martletd: ready: ")
    # Before control/defaultdelivery, which says ./Maildir/.
    assert home.inject("", f"alice@{HOST}", MESSAGE) == 0
    mailbox = home.home / "home/alice/Mailbox"
    wait_until(lambda: mailbox.exists() and mailbox.read_bytes().endswith(b"body\n\n"), home.log)
    home.wait_for_log(r"^delivery 1: success: ")
    assert stopped(home) == (0, "logger: a b c\n")
    assert home.log().endswith("martletd: stopped\n")


def test_qmail_start_with_a_delivery_that_is_no_utf8(home):
    qmail_start(home, b"./Mail\xffbox", "logger")
    home.wait_for_log(r"^martletd: ready: ")
    assert home.inject("", f"alice@{HOST}", MESSAGE) == 0
    home.wait_for_log(r"^delivery 1: success: ")
    assert b"Mail\xffbox" in os.listdir(os.fsencode(home.home / "home/alice"))
    assert stopped(home)[0] == 0


def test_a_queue_program_whose_name_is_no_utf8(home):
    program = os.fsencode(home.home / "bin2") + b"/queue\xff"
    (home.home / "bin2").mkdir()
    with open(program, "w") as script:
        script.write(f"#!/bin/sh\ncat >{home.home}/bin2/message\n")
    os.chmod(program, 0o755)
    os.chmod(home.home / "bin2", 0o777)
    done = home.command("qmail-inject", f"alice@{HOST}", stdin=MESSAGE, environment={"QMAILQUEUE": os.fsdecode(program)})
    assert (done.returncode, done.stderr) == (0, b"")
    assert (home.home / "bin2/message").read_bytes().endswith(b"body\n")


def test_qmail_start_leaves_no_default_of_its_caller(home):
    """Without an argument control/defaultdelivery holds, ./Maildir/."""
    qmail_start(home, DEFAULTDELIVERY="./Mailbox")
    wait_until(lambda: "smtpd" in home.pids(), "no smtpd")
    assert home.inject("", f"alice@{HOST}", MESSAGE) == 0
    home.wait_for_messages("alice", 1)
    assert stopped(home)[0] == 0


def test_qmail_start_without_arguments_logs_to_its_output(home):
    home.control("defaultdelivery", None)
    qmail_start(home)
    wait_until(lambda: "smtpd" in home.pids(), "no smtpd")
    assert home.inject("", f"alice@{HOST}", MESSAGE) == 0
    mailbox = home.home / "home/alice/Mailbox"
    wait_until(lambda: mailbox.exists() and mailbox.read_bytes().endswith(b"body\n\n"), "no Mailbox")
    code, said = stopped(home)
    assert code == 0
    assert "\nmartletd: ready: " in said and said.endswith("martletd: stopped\n")


def test_mail_goes_on_when_the_logger_dies(home):
    qmail_start(home, "./Maildir/", "sh", "-c", f"read line; echo \"$line\" >>{home.log_path}")
    home.wait_for_log(r"^martletd: started ")
    wait_until(lambda: "smtpd" in home.pids(), "no smtpd")
    # Every process writes lines now that nobody reads.
    for _ in range(3):
        assert home.inject("", f"alice@{HOST}", MESSAGE) == 0
    assert len(home.wait_for_messages("alice", 3)) == 3
    home.kill("dns")
    wait_until(lambda: home.pids().get("dns"), "dns does not come back")
    assert stopped(home)[0] == 0


def test_a_logger_that_cannot_run(home):
    done = home.command("qmail-start", "./Maildir/", "no-such-logger")
    assert (done.returncode, done.stderr) == (111, b"qmail-start: fatal: unable to run no-such-logger: file does not exist\n")


# splogger

SYSLOG = """
    import socket, subprocess, sys
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind("/dev/log")
    log.settimeout(10)
    subprocess.run(sys.argv[1:], input=sys.stdin.buffer.read(), timeout=10, check=True)
    log.setblocking(False)
    try:
        while True:
            sys.stdout.buffer.write(log.recv(65536) + b"\\n")
    except BlockingIOError:
        pass
"""


def splogger(programs, text, *arguments):
    """What syslog is sent, in a private /dev; lines without their stamps."""
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", 'mount -t tmpfs none /dev && exec "$@"', "-",
         sys.executable, "-c", textwrap.dedent(SYSLOG), programs / "splogger", *arguments], input=text, capture_output=True, timeout=LIMIT)
    if b"unshare" in done.stderr or b"mount" in done.stderr:
        pytest.skip("needs mount namespaces")
    assert done.returncode == 0, done.stderr
    found = [re.fullmatch(rb"<(\d+)>\w{3} [ \d]\d \d\d:\d\d:\d\d ([^:]+): (\d+\.\d{6})([ +])(.*?)\0?", line) for line in done.stdout.splitlines()]
    return [(int(match[1]), match[2].decode(), match[4] + match[5]) for match in found]


def test_splogger(programs):
    text = b"status: 100%s\nalert: oh no\nwarning: hm\n\n\x01\xff\tx\nlast"
    info, alert, warning = 2 * 8 + 6, 2 * 8 + 1, 2 * 8 + 4
    assert splogger(programs, text, "qmail") == [
        (info, "qmail", b" status: 100%s"), (alert, "qmail", b" alert: oh no"), (warning, "qmail", b" warning: hm"), (info, "qmail", b" ???x"),
        (info, "qmail", b" last")]


def test_splogger_folds_long_lines(programs):
    lines = splogger(programs, b"alert: " + b"x" * 1700 + b"\nnext\n", "t", "3")
    assert [(code, text[:1], len(text)) for code, _, text in lines] == [(25, b" ", 800), (25, b"+", 800), (25, b"+", 110), (30, b" ", 5)]


# qbiff

def test_qbiff_without_a_terminal(programs):
    """Nobody is logged in: it says nothing and never fails."""
    done = subprocess.run([programs / "qbiff"], input=MESSAGE, capture_output=True, timeout=LIMIT, env={"USER": "nobody-here", "LOCAL": "a", "SENDER": "b@c"})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


UTMP = r"""
import os, pty, struct, subprocess, sys, termios
master, terminal = pty.openpty()
name = os.ttyname(terminal)
os.chmod(name, 0o700)
with open("/run/utmp", "wb") as file:
    file.write(struct.pack("<hxxi32s4s32s256s", 7, os.getpid(), name[5:].encode(), b"x", b"tester", b"").ljust(384, b"\0"))
if sys.argv[2] == "stopped":
    termios.tcflow(terminal, termios.TCOOFF)
subprocess.run([sys.argv[1]], check=True, timeout=float(sys.argv[3]), env={"USER": "tester", "LOCAL": "a", "SENDER": "b@c"})
os.set_blocking(master, False)
try: sys.stdout.buffer.write(os.read(master, 1000))
except BlockingIOError: pass
"""


@pytest.mark.parametrize("state, shown", [("ready", b"\a*** TO <a> FROM <b@c>\r\r\n    s/body/"), ("stopped", b"")])
def test_qbiff_tells_a_terminal_and_does_not_wait_for_it(programs, state, shown):
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", 'mount -t tmpfs none /run && exec "$@"', "-",
         sys.executable, "-c", textwrap.dedent(UTMP), programs / "qbiff", state, str(LIMIT / 2)], input=MESSAGE, capture_output=True, timeout=LIMIT)
    if b"unshare" in done.stderr or b"mount" in done.stderr:
        pytest.skip("needs mount namespaces")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == shown


# Maildir and mbox

def maildir(path):
    for part in ("", "tmp", "new", "cur"):
        (path / part).mkdir()


def test_maildir2mbox_takes_what_arrived_and_cleans_up(programs, tmp_path):
    maildir(tmp_path / "Maildir")
    now = time.time()
    for name, age, text in [("new/1", 100, b"Return-Path: <>\nFrom x\n"), ("cur/2:2,S", 200, b"From y\n"), ("new/young", -60, b"z\n"), ("tmp/stale", 200_000, b"q")]:
        path = tmp_path / "Maildir" / name
        path.write_bytes(text)
        os.utime(path, (now - age, now - age))
    environment = {"MAILDIR": str(tmp_path / "Maildir"), "MAIL": str(tmp_path / "mbox"), "MAILTMP": str(tmp_path / "mbox.tmp")}
    done = subprocess.run([programs / "maildir2mbox"], capture_output=True, timeout=LIMIT, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.fullmatch(rb"From XXX .*\n>From y\n\nFrom MAILER-DAEMON .*\nReturn-Path: <>\n>From x\n\n", (tmp_path / "mbox").read_bytes())
    assert [path.name for path in (tmp_path / "Maildir").rglob("*") if path.is_file()] == ["young"]
    assert not (tmp_path / "mbox.tmp").exists()


@pytest.mark.parametrize("name, reader", [("qail", "Mail"), ("pinq", "pine"), ("elq", "elm")])
def test_readers_after_maildir2mbox(programs, tmp_path, name, reader):
    maildir(tmp_path / "Maildir")
    program = tmp_path / reader
    program.write_text('#!/bin/sh\necho "$0" "$@"\n')
    program.chmod(0o755)
    environment = {"MAILDIR": str(tmp_path / "Maildir"), "MAIL": str(tmp_path / "mbox"), "MAILTMP": str(tmp_path / "mbox.tmp"), "PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run([programs / name, "-f", "a b"], capture_output=True, text=True, timeout=LIMIT, env=environment)
    assert (done.returncode, done.stdout) == (0, f"{program} -f a b\n")
    done = subprocess.run([programs / name], capture_output=True, text=True, timeout=LIMIT, env={**environment, "MAILDIR": str(tmp_path / "none")})
    assert (done.returncode, done.stderr) == (111, f"maildir2mbox: fatal: unable to chdir to {tmp_path}/none: file does not exist\n")


def test_a_new_mbox_is_found_after_waiting_for_the_lock_of_an_old_one(programs, tmp_path):
    maildir(tmp_path / "Maildir")
    message = tmp_path / "Maildir/new/1"
    message.write_bytes(b"new\n")
    os.utime(message, (1000, 1000))
    mbox = tmp_path / "mbox"
    mbox.write_bytes(b"From old\n\n")
    environment = {"MAILDIR": str(tmp_path / "Maildir"), "MAIL": str(mbox), "MAILTMP": str(tmp_path / "mbox.tmp")}
    with open(mbox) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = subprocess.Popen([programs / "maildir2mbox"], env=environment)
        wait_until(lambda: pathlib.Path(f"/proc/{waiting.pid}/wchan").read_text().count("flock") or
                   pathlib.Path(f"/proc/{waiting.pid}/syscall").read_text().startswith("73 "), "it does not wait for the lock")
        (tmp_path / "other").write_bytes(b"From other\n\n")
        (tmp_path / "other").rename(mbox)
    assert waiting.wait(LIMIT) == 0
    assert re.fullmatch(rb"From other\n\nFrom XXX .*\nnew\n\n", mbox.read_bytes())


# Control files

def test_config_fast(programs, tmp_path):
    (tmp_path / "control").mkdir()
    (tmp_path / "control/locals").write_text("localhost")
    for _ in range(2):
        done = subprocess.run([programs / "config-fast", "mx.a.example.org"], capture_output=True, text=True, timeout=LIMIT, env={"QMAILHOME": str(tmp_path)})
        assert (done.returncode, done.stderr) == (0, "")
    assert {path.name: path.read_text() for path in (tmp_path / "control").iterdir()} == {
        "me": "mx.a.example.org\n", "defaultdomain": "a.example.org\n", "plusdomain": "example.org\n", "locals": "localhost\nmx.a.example.org\n",
        "rcpthosts": "mx.a.example.org\n"}
    for wrong in (["host"], ["a..b"], ["a b.c"], [], ["a.b", "c.d"]):
        done = subprocess.run([programs / "config-fast", *wrong], capture_output=True, text=True, timeout=LIMIT, env={"QMAILHOME": str(tmp_path)})
        assert (done.returncode, done.stderr) == (100, "config-fast: usage: config-fast host\n")


# Programs of .qmail files, run by a delivery

def test_the_helpers_in_a_qmail_file(server):
    server.user("bob")
    home = server.home / "home/bob"
    bin = server.programs
    lines = {
        ".qmail-fwd": f"|{bin}/forward alice@{HOST}\n",
        ".qmail-cond": f"|{bin}/condredirect alice@{HOST} grep -q redirect\n./Maildir/\n",
        ".qmail-no": f"|{bin}/bouncesaying 'no thanks' {bin}/except grep -q password\n./Maildir/\n",
        ".qmail-pre": f"|{bin}/preline -f sh -c 'cat >{home}/lines'\n",
        ".qmail-rcpt": f"|{bin}/qreceipt bob-rcpt@{HOST}\n./Maildir/\n",
    }
    for name, text in lines.items():
        (home / name).write_text(text)
        os.chmod(home / name, 0o644)
        server._give(home / name)
    for extension in ("fwd", "cond", "pre"):
        assert server.inject(f"alice@{HOST}", f"bob-{extension}@{HOST}", f"Subject: {extension}\n\nredirect\n") == 0
    forwarded = server.wait_for_messages("alice", 2)
    assert all(f"\nDelivered-To: bob-{kind}@{HOST}\n".encode() in b"".join(forwarded) for kind in ("fwd", "cond"))
    wait_until(lambda: (home / "lines").exists() and (home / "lines").read_bytes().endswith(b"redirect\n"), server.log)
    assert (home / "lines").read_text().startswith(f"Return-Path: <alice@{HOST}>\nDelivered-To: bob-pre@{HOST}\n")
    assert server.messages("bob") == []
    assert server.inject(f"alice@{HOST}", f"bob-no@{HOST}", "Subject: n\n\nno word\n") == 0
    bounce = server.wait_for_messages("alice", 3)
    assert any(b"\nno thanks\n" in text for text in bounce)
    assert server.inject(f"alice@{HOST}", f"bob-rcpt@{HOST}", f"Notice-Requested-Upon-Delivery-To: bob-rcpt@{HOST}\n\nb\n") == 0
    notice = server.wait_for_messages("alice", 4)
    assert any(f"following address: bob-rcpt@{HOST}. Thanks for asking.\n".encode() in text for text in notice)
    assert len(server.wait_for_messages("bob", 1)) == 1


# The manual

def test_pages_are_good_troff(programs):
    names = subprocess.run([programs / "qmail", "--names"], capture_output=True, text=True, timeout=LIMIT, check=True).stdout.split("\n")
    if subprocess.run(["sh", "-c", "command -v mandoc"], capture_output=True).returncode:
        pytest.skip("mandoc is not installed")
    own = [[programs / name, "--man"] for name in ("martlet", "martlet-tls", "martletd")]
    for command in own + [[programs / "qmail", "--man", line.split()[0]] for line in names if line]:
        page = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True).stdout
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=page, capture_output=True, text=True, timeout=LIMIT)
        # A date would make each build another.
        assert [line for line in done.stdout.splitlines() if "missing date" not in line] == [], command
