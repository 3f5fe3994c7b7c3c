"""Questions of route about a user's `.qmail` on their way through lspawn, and control/timeoutlocal; queue and route are played by the test.

docs/decisions/0011-rcptprobe.md. MARTLET_BIN names the folder with `martlet-lspawn` and `qmail`.
"""

import array
import os
import pty
import signal
import socket
import struct
import subprocess
import time

import pytest

from test_lspawn import GID, LIMIT, LSPAWN, ROOT, UID, WORKER, Post, counted, dot_qmail, memory_file, post, pytestmark, until  # noqa: F401

UNKNOWN, EXISTS, NONEXISTENT = 0, 1, 2


def ask(post, token, home, dash=b"-", ext=b"x", uid=UID, gid=GID):
    post.route.send(b"\x43" + struct.pack("<IIIB", token, uid, gid, 0) + counted(home if isinstance(home, bytes) else home.encode()) + counted(dash)
                    + counted(ext))


def verdict(post):
    """(token, verdict) of the next answer."""
    kind, token, code = struct.unpack("<BIB", post.route.recv(100))
    assert kind == 2
    return token, code


def give(path, text="./Maildir/\n", mode=0o600):
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)
    if ROOT:
        os.chown(path, UID, GID)


@pytest.mark.parametrize("dash, ext, expected", [
    (b"-", b"list", EXISTS), (b"-", b"LIST", EXISTS), (b"-", b"other", NONEXISTENT), (b"-", b"group-x", EXISTS), (b"-", b"group", NONEXISTENT),
    (b"", b"", EXISTS), (b"-", b"a.b", EXISTS), (b"-", b"folder", NONEXISTENT), (b"-", b"open", UNKNOWN), (b"-", b"../list", NONEXISTENT),
    (b"-", b"x" * 300, NONEXISTENT), (b"-", b"a\0b", NONEXISTENT), (b"s/", b"y", EXISTS),
], ids=repr)
def test_the_worker_says_what_is_there(post, dash, ext, expected):
    home = post.user("alice")
    for name in ("-list", "-group-default", "-a:b", "s/y"):
        os.makedirs(os.path.dirname(f"{home}/.qmail{name}"), exist_ok=True)
        give(f"{home}/.qmail{name}")
    os.mkdir(f"{home}/.qmail-folder", 0o755)
    give(f"{home}/.qmail-open", mode=0o666)
    if ROOT:
        os.chown(f"{home}/.qmails", UID, GID)
    ask(post, 0xFFFFFFFF, home, dash, ext)
    assert verdict(post) == (0xFFFFFFFF, expected)


def test_a_default_answers_for_all(post):
    home = post.user("alice")
    give(f"{home}/.qmail-default", "")
    ask(post, 1, home, b"-", b"anything")
    assert verdict(post) == (1, EXISTS)


@pytest.mark.parametrize("home, uid, gid", [
    ("/nonexistent/home", UID, GID), ("/" + "x" * 4095, UID, GID), (None, 0, GID), pytest.param(None, UID, 0, marks=pytest.mark.skipif(not ROOT, reason="needs root")),
    (None, 0xFFFFFFFF, GID), pytest.param(None, 99, 99, marks=pytest.mark.skipif(not ROOT, reason="needs root")),
], ids=["no home", "long home", "root", "gid 0", "no uid", "below minuid"])
def test_nobody_is_started_who_must_not_be(post, home, uid, gid):
    """hardening.md 1.3: uid 0 is refused everywhere."""
    path = post.user("alice")
    ask(post, 5, home or path, uid=uid, gid=gid)
    assert verdict(post) == (5, UNKNOWN)
    until(lambda: post.workers() == [])


@pytest.mark.parametrize("mode", [0o777, 0o1700], ids=["open to all", "sticky"])
def test_a_home_whose_mail_waits_is_unknown(post, mode):
    home = post.user("alice")
    os.chmod(home, mode)
    ask(post, 1, home)
    assert verdict(post) == (1, UNKNOWN)


def stopped(post):
    """A worker that answers nothing, and its number."""
    home = post.user("alice")
    ask(post, 1, home)
    assert verdict(post) == (1, NONEXISTENT)
    [pid] = post.workers()
    os.kill(pid, signal.SIGSTOP)
    until(lambda: all(state(f"/proc/{pid}/task/{thread}") == "T" for thread in os.listdir(f"/proc/{pid}/task")))
    return home, pid


def state(process):
    with open(f"{process}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


def test_a_worker_that_hangs_takes_two_questions_and_hinders_nobody(post):
    home, pid = stopped(post)
    for token in range(10, 20):
        ask(post, token, home)
    assert [verdict(post) for _ in range(8)] == [(token, UNKNOWN) for token in range(12, 20)]
    other = post.user("bob")
    ask(post, 30, other)
    assert verdict(post) == (30, NONEXISTENT)
    os.kill(pid, signal.SIGCONT)
    assert sorted(verdict(post) for _ in range(2)) == [(10, NONEXISTENT), (11, NONEXISTENT)]


def test_a_killed_worker_leaves_the_answer_unknown(post):
    home, pid = stopped(post)
    ask(post, 2, home)
    os.kill(pid, signal.SIGKILL)
    assert verdict(post) == (2, UNKNOWN)

    def is_answered():
        ask(post, 3, home)
        return verdict(post) == (3, NONEXISTENT)

    # What is asked before lspawn has seen the end is unknown too.
    until(is_answered)


def test_a_route_that_returns_gets_no_old_answers(post):
    home, pid = stopped(post)
    ask(post, 2, home)
    post.route.close()
    post.connect_route()
    os.kill(pid, signal.SIGCONT)
    ask(post, 7, home)
    assert verdict(post) == (7, NONEXISTENT)


def test_a_route_that_returns_may_name_questions_as_before(post):
    """The worker's answer to the old one is none to the new one of the same name."""
    home, pid = stopped(post)
    give(f"{home}/.qmail-there")
    ask(post, 7, home, b"-", b"not-there")
    post.route.close()
    post.connect_route()
    ask(post, 7, home, b"-", b"there")
    os.kill(pid, signal.SIGCONT)
    assert verdict(post) == (7, EXISTS)


def test_deliveries_go_on_beside_questions(post):
    home = post.user("alice")
    for token in range(30):
        ask(post, token, home)
    post.request(1, b"alice@example.org")
    packets = [post.route.recv(100) for _ in range(31)]
    [question] = [packet for packet in packets if packet[0] == 1]
    post.route.send(b"\x41" + question[1:5] + post.users[b"alice"])
    assert post.report() == (1, "K", "did 1+0+0\n")
    assert len([packet for packet in packets if packet[0] == 2]) == 30


@pytest.mark.parametrize("packet", [
    b"\x43", b"\x43\0\0\0\0", b"\x43" + b"\0" * 13, b"\x43" + b"\0" * 13 + counted(b"relative") + b"\0" * 4,
    b"\x43" + b"\0" * 13 + counted(b"/a\0b") + b"\0" * 4, b"\x43" + b"\0" * 13 + counted(b"/a") + b"\0" * 5,
    b"\x43" + b"\0" * 12 + b"\2" + counted(b"/a") + b"\0" * 4,
])
def test_a_malformed_question_costs_route_its_connection(post, packet):
    home = post.user("alice")
    post.route.send(packet)
    assert post.route.recv(100) == b""
    post.connect_route()
    ask(post, 1, home)
    assert verdict(post) == (1, NONEXISTENT)


@pytest.mark.parametrize("answer", [b"\x43\x09\0\0\0\x01", b"\x43\x01\0\0\0\x03", b"\x43\x01\0\0\0", b"\x43"], ids=repr)
def test_a_worker_may_answer_only_what_it_was_asked(answer, tmp_path):
    """A worker that answers for others is ended."""
    program = tmp_path / "worker"
    program.write_text(
        "#!/usr/bin/python3\nimport socket\ns = socket.socket(fileno=0)\nwhile p := s.recv(9999):\n"
        f"    s.send({answer!r})\n    s.send(b'\\x43' + p[1:5] + b'\\2')\n")
    program.chmod(0o755)
    os.chmod(tmp_path, 0o755)
    for folder in list(tmp_path.parents)[:2]:
        os.chmod(folder, 0o755)
    post = Post(worker=str(program))
    try:
        ask(post, 1, post.user("alice"))
        assert verdict(post) == (1, UNKNOWN)
    finally:
        post.close()


# What route and lspawn say of a delivery


def test_a_home_that_is_too_long_is_deferred_and_not_asked_for_again(post):
    post.user("alice")
    post.request(1, b"alice@example.org")
    long = post.users[b"alice"].replace(counted(f"{post.home}/home/alice".encode()), counted(b"/" + b"x" * 4095))
    packet = post.route.recv(1 << 16)
    post.route.send(b"\x41" + packet[1:5] + long)
    assert post.report() == (1, "Z", "Unable to switch to home directory: file name too long. (#4.3.0)\n")
    assert post.deliver(b"alice@example.org")[0] == "K"


def test_workers_get_no_terminal():
    """Descriptor 2 of lspawn is one: of a worker's it is not, for its user could read it and set it."""
    ours, theirs = pty.openpty()
    post = Post.__new__(Post)
    original = subprocess.Popen
    try:
        subprocess.Popen = lambda *arguments, **options: original(*arguments, **{**options, "stderr": theirs})
        post.__init__()
    finally:
        subprocess.Popen = original
    try:
        post.user("alice")
        assert post.deliver(b"alice@example.org")[0] == "K"
        [pid] = post.workers()
        assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (1, 2)] == ["/dev/null"] * 2
    finally:
        post.close()
        os.close(ours)
        os.close(theirs)


# control/timeoutlocal


def running(text):
    """Processes whose command line holds `text`."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                if entry.isdigit() and text.encode() in file.read():
                    found.append(int(entry))
        except OSError:
            pass
    return found


def deliver_timed(post, line, seconds=1):
    home = post.user("alice", seconds=seconds)
    dot_qmail(home, line + "\n")
    start = time.monotonic()
    return post.deliver(b"alice@example.org"), time.monotonic() - start, home


OVER = "Program did not end within 1 seconds and was ended. (#4.3.0)\n"


def test_a_program_that_runs_on_is_ended_with_its_group(post):
    report, took, _ = deliver_timed(post, "|echo begun; sleep 987654 & sleep 987654")
    assert report == "Zbegun\n" + OVER
    assert 1 <= took < 5
    until(lambda: not running("987654"))


def test_a_program_that_ignores_the_request_is_killed(post):
    report, took, _ = deliver_timed(post, "|trap '' TERM; while :; do sleep 0.1; done")
    assert report == "Z" + OVER
    assert 6 <= took < 12


def test_a_program_may_use_its_grace(post):
    report, took, home = deliver_timed(post, "|trap 'echo tidy; echo x >tidied; exit 0' TERM; sleep 987655 & wait")
    assert report == "Ztidy\n" + OVER
    assert os.path.exists(f"{home}/tidied") and took < 5


def test_a_program_that_closed_its_output_is_ended_too(post):
    report, took, _ = deliver_timed(post, "|exec >&- 2>&-; sleep 987656")
    assert report == "Z" + OVER and took < 5


@pytest.mark.parametrize("code, report", [(0, "Kdid 0+0+1\n"), (100, "D")])
def test_a_program_that_ended_in_time_counts_whoever_holds_its_output(post, code, report):
    got, took, _ = deliver_timed(post, f"|sleep 987657 & exit {code}")
    assert got == report and 1 <= took < 5
    until(lambda: not running("987657"))


def test_what_ends_in_time_is_as_without_a_limit(post):
    report, took, _ = deliver_timed(post, "|cat; echo to stderr >&2; exit 99", seconds=20)
    assert report == "KSubject: x\n\nbody\nto stderr\ndid 0+0+1\n" and took < 5


def test_much_output_with_a_limit(post):
    report, took, _ = deliver_timed(post, "|head -c 5000000 /dev/zero | tr '\\0' x", seconds=20)
    assert report == "K" + "x" * 2966 + "\nError report too long, sorry.\n" and took < 10


def test_without_a_limit_programs_run_as_long_as_they_like(post):
    report, took, _ = deliver_timed(post, "|sleep 2.5", seconds=0)
    assert report == "Kdid 0+0+1\n" and took >= 2.5
