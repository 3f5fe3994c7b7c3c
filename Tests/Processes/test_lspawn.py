"""martlet-lspawn with real delivery workers, between a queue and a route played by the test.

As root, deliveries go to uids of no account, so that the change of identity is real; otherwise to our own uid.
MARTLET_BIN names the folder with `martlet-lspawn` and `qmail`.
"""

import array
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

BIN = os.environ.get("MARTLET_BIN", "")
LSPAWN = os.path.join(BIN, "martlet-lspawn")
WORKER = os.path.join(BIN, "qmail")
pytestmark = pytest.mark.skipif(not (BIN and os.access(LSPAWN, os.X_OK) and os.access(WORKER, os.X_OK)), reason="MARTLET_BIN is not set")

ROOT = os.geteuid() == 0
UID, GID = (20001, 20001) if ROOT else (os.geteuid(), os.getegid())
LIMIT = 20.0


def counted(text):
    return struct.pack("<H", len(text)) + text


def memory_file(content):
    fd = os.memfd_create("message")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


class Post:
    """A qmail home with lspawn running in it; the test holds the other ends of both sockets."""

    def __init__(self, worker=WORKER, uid=None):
        self.home = tempfile.mkdtemp(prefix="martlet-lspawn-")
        os.chmod(self.home, 0o755)
        for name in ("control", "run", "run/deliver-local", "run/identity", "home"):
            os.mkdir(f"{self.home}/{name}", 0o755)
        self.queue_listener = self.listen("deliver-local")
        self.route_listener = self.listen("identity")
        self.users = {}
        self.answers = {}
        self.queue = self.route = None
        identity = {"user": uid, "group": uid, "extra_groups": []} if uid and ROOT else {}
        self.log = open(f"{self.home}/log", "wb")
        self.process = subprocess.Popen([LSPAWN, os.path.abspath(worker)], cwd=self.home, stderr=self.log, stdin=subprocess.DEVNULL,
                                        env={"SECRET": "x", "LD_LIBRARY_PATH": "/nonexistent"}, **identity)
        self.connect()

    def listen(self, name):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(f"{self.home}/run/{name}/socket")
        os.chmod(f"{self.home}/run/{name}/socket", 0o666)
        listener.listen(8)
        listener.settimeout(LIMIT)
        return listener

    def connect(self):
        self.connect_queue()
        self.connect_route()

    def connect_queue(self):
        self.queue = self.queue_listener.accept()[0]
        self.queue.settimeout(LIMIT)
        kind, self.capacity = struct.unpack("<BI", self.queue.recv(1 << 16))
        assert kind == 65

    def connect_route(self):
        self.route = self.route_listener.accept()[0]
        self.route.settimeout(LIMIT)

    def user(self, name, uid=UID, gid=GID, dash=b"", ext=b"", default=b"./Maildir/\n", home=None, seconds=0, confined=False, quota=b""):
        """Makes a home with a Maildir and has route know it."""
        path = home or f"{self.home}/home/{name}"
        if not os.path.exists(path):
            for folder in ("", "/Maildir", "/Maildir/tmp", "/Maildir/new", "/Maildir/cur"):
                os.mkdir(path + folder, 0o700)
                if ROOT:
                    os.chown(path + folder, uid, gid)
        self.users[name.encode()] = struct.pack("<IIIB", uid, gid, seconds, confined) + b"".join(
            map(counted, [name.encode(), path.encode(), dash, ext, default, quota]))
        return path

    def request(self, slot, recipient, content=b"Subject: x\n\nbody\n", sender=b"s@example.org", descriptor=True, raw=None):
        packet = raw if raw is not None else b"\1" + struct.pack("<I", slot) + counted(b"") + counted(sender) + counted(recipient)
        if not descriptor:
            return self.queue.send(packet)
        fd = memory_file(content) if isinstance(content, bytes) else content
        self.queue.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        if isinstance(content, bytes):
            os.close(fd)

    def answer_route(self, raw=None):
        """Answers one question of lspawn; returns the local part."""
        packet = self.route.recv(1 << 16)
        token = packet[1:5]
        length = struct.unpack("<H", packet[5:7])[0]
        local, domain = packet[7:7 + length], packet[9 + length:]
        assert packet[0] == 1 and struct.unpack("<H", packet[7 + length:9 + length])[0] == len(domain)
        known = self.users.get(local)
        self.route.send(raw or (b"\x41" + token + known if known else b"\x42" + token + b"D" + counted(b"nobody\n")))
        return local

    def report(self):
        """(slot, letter, text) of the next answer."""
        packet = self.queue.recv(1 << 18)
        kind, slot, letter, length = struct.unpack("<BIcH", packet[:8])
        assert kind == 66 and length == len(packet) - 8
        return slot, letter.decode(), packet[8:].decode()

    def deliver(self, recipient, **options):
        self.request(7, recipient, **options)
        self.answer_route()
        slot, letter, text = self.report()
        assert slot == 7
        return letter + text

    def workers(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            return [int(pid) for pid in children.read().split()]

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for end in (self.queue, self.route, self.queue_listener, self.route_listener, self.log):
            if end:
                end.close()
        shutil.rmtree(self.home)


@pytest.fixture
def post():
    post = Post()
    yield post
    post.close()


def until(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_message_lies_in_the_maildir(post):
    home = post.user("alice")
    assert post.capacity == 1000
    assert post.deliver(b"alice@example.org") == "Kdid 1+0+0\n"
    [name] = os.listdir(f"{home}/Maildir/new")
    path = f"{home}/Maildir/new/{name}"
    with open(path, "rb") as file:
        assert file.read() == b"Return-Path: <s@example.org>\nDelivered-To: alice@example.org\nSubject: x\n\nbody\n"
    info = os.stat(path)
    assert (info.st_uid, info.st_gid, info.st_mode & 0o777) == (UID, GID, 0o600)
    assert os.listdir(f"{home}/Maildir/tmp") == []


def test_large_messages_arrive_whole(post):
    home = post.user("alice")
    content = b"Subject: large\n\n" + os.urandom(3_000_001)
    assert post.deliver(b"alice@example.org", content=content) == "Kdid 1+0+0\n"
    [name] = os.listdir(f"{home}/Maildir/new")
    with open(f"{home}/Maildir/new/{name}", "rb") as file:
        assert file.read().split(b"\n", 2)[2] == content


def test_the_split_is_at_the_last_at_sign(post):
    post.user("a@b")
    assert post.deliver(b"a@b@example.org")[0] == "K"


@pytest.mark.parametrize("recipient, report", [
    (b"@example.org", "K"),
    (b"alice", "DSorry, address must include host name. (#5.1.3)\n"),
])
def test_recipients_that_need_no_worker(post, recipient, report):
    post.request(3, recipient)
    slot, letter, text = post.report()
    assert (slot, letter + text) == (3, report)
    assert post.workers() == []


def test_routes_refusal_is_the_report(post):
    assert post.deliver(b"nobody@example.org") == "Dnobody\n"


def test_a_request_without_message_is_deferred(post):
    post.request(3, b"a@b", descriptor=False)
    assert post.report() == (3, "Z", "qmail-spawn unable to open message. (#4.3.0)\n")


def test_uid_0_is_never_delivered_to(post):
    post.user("root", uid=0, gid=0) if ROOT else post.user("root", uid=0, home=post.home)
    expected = "ZNot allowed to perform deliveries as root.\n"
    assert post.deliver(b"root@example.org") == expected
    assert post.workers() == []


@pytest.mark.skipif(not ROOT, reason="needs root")
def test_uids_below_minuid_are_refused(post):
    post.user("low", uid=99, gid=99)
    text = "ZNot allowed to perform deliveries as a user whose uid is below control/minuid. (#4.3.5)\n"
    assert post.deliver(b"low@example.org") == text
    post.user("alice")
    assert post.deliver(b"alice@example.org")[0] == "K"
    with open(f"{post.home}/control/minuid", "w") as file:
        file.write("20002\n")
    post.process.send_signal(signal.SIGHUP)
    until(lambda: post.deliver(b"alice@example.org") == text)
    for bad in ("many\n", "", "4294967296\n", "99999999999999999999999999\n", "1x\n"):
        with open(f"{post.home}/control/minuid", "w") as file:
            file.write(bad)
        post.process.send_signal(signal.SIGHUP)
        time.sleep(0.1)
        assert post.deliver(b"alice@example.org") == text, bad


def test_without_root_only_the_own_uid_is_served():
    post = Post(uid=UID)
    try:
        post.user("alice")
        assert post.deliver(b"alice@example.org")[0] == "K"
        post.user("bob", uid=UID + 1, home=post.home)
        text = "ZNot allowed to perform deliveries as another user: this installation runs without root. (#4.3.5)\n"
        assert post.deliver(b"bob@example.org") == text
    finally:
        post.close()


def test_what_a_worker_inherits(post):
    home = post.user("alice")
    post.deliver(b"alice@example.org")
    [pid] = post.workers()
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert status["Uid"].split() == [str(UID)] * 4
    if ROOT:
        assert status["Gid"].split() == [str(GID)] * 4
        assert status["Groups"].split() == [str(GID)]
    assert status["SigBlk"] == "0000000000000000"
    with open(f"/proc/{pid}/environ", "rb") as file:
        names = sorted(variable.split(b"=")[0] for variable in file.read().split(b"\0") if variable)
    assert names == [b"PATH", b"QMAILHOME"]
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert file.read() == b"martlet-local\0"
    assert os.readlink(f"/proc/{pid}/cwd") == home
    links = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert links.pop(0).startswith("socket:")
    assert [links.pop(fd) for fd in (1, 2)] == [f"{post.home}/log"] * 2
    # What is left are the home and the Maildir's folders, opened by itself.
    assert all(path.startswith(home) for path in links.values()), links


@pytest.mark.skipif(not ROOT, reason="needs root")
@pytest.mark.parametrize("line", ["./Maildir/", "./Mailbox"])
def test_a_full_disk_defers_and_leaves_nothing(post, line):
    home = post.user("alice")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=256k,mode=700,uid={UID},gid={GID}", "tmpfs", home], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("cannot mount")
    try:
        for folder in ("Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"):
            os.mkdir(f"{home}/{folder}", 0o700)
            os.chown(f"{home}/{folder}", UID, GID)
        dot_qmail(home, line + "\n")
        assert post.deliver(b"alice@example.org")[0] == "K"
        before = sum(os.path.getsize(os.path.join(place, file)) for place, _, files in os.walk(home) for file in files)
        expected = {"./Maildir/": "ZTemporary error on maildir delivery. (#4.3.0)\n",
                    "./Mailbox": "ZUnable to write ./Mailbox: out of disk space. (#4.3.0)\n"}
        assert post.deliver(b"alice@example.org", content=b"x" * 1_000_000) == expected[line]
        assert sum(os.path.getsize(os.path.join(place, file)) for place, _, files in os.walk(home) for file in files) == before
        assert post.deliver(b"alice@example.org")[0] == "K"
    finally:
        # The worker stands in it.
        subprocess.run(["umount", "-l", home], check=True)


def dot_qmail(home, text):
    with open(f"{home}/.qmail", "w") as file:
        file.write(text)
    os.chmod(f"{home}/.qmail", 0o600)
    if ROOT:
        os.chown(f"{home}/.qmail", UID, GID)


def test_programs_run_as_the_user_with_nothing_of_ours(post):
    home = post.user("alice")
    dot_qmail(home, "|id -u; id -g; pwd; grep -E 'SigBlk|SigIgn' /proc/self/status; ls /proc/self/fd | wc -l; umask; cat\n")
    report = post.deliver(b"alice@example.org")
    # Descriptors 0, 1, 2 and the one that ls reads the folder by.
    assert report.splitlines() == [f"K{UID}", str(GID), home, "SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000", "4", "0077",
                                   "Subject: x", "", "body", "did 0+0+1"]


def test_programs_that_share_a_message_each_read_all_of_it(post):
    home = post.user("alice")
    dot_qmail(home, "|sleep 0.02; cat | wc -c; sleep 0.02; cat | wc -c\n")
    content = b"Subject: x\n\n" + b"x" * 300_000
    reports = exchange(post, 40, 10, b"alice@example.org", content)
    assert {text for _, _, text in reports} == {f"{len(content)}\n0\ndid 0+0+1\n"}


def test_one_worker_for_each_uid_gid_and_home(post):
    post.user("alice")
    post.user("bob")
    for name in (b"alice", b"bob", b"alice", b"bob"):
        assert post.deliver(name + b"@example.org")[0] == "K"
    assert len(post.workers()) == 2


def test_more_users_than_workers(post):
    names = [f"user{number}".encode() for number in range(120)]
    for name in names:
        post.user(name.decode())
    for slot, name in enumerate(names):
        post.request(slot, name + b"@example.org")
        post.answer_route()
    reports = [post.report() for _ in names]
    assert {letter + text for _, letter, text in reports} == {"Kdid 1+0+0\n"}
    until(lambda: len(post.workers()) <= 100)


def exchange(post, count, concurrency, recipient, content):
    """Keeps `concurrency` deliveries under way until `count` are done; returns the reports."""
    reports = []
    fd = memory_file(content)
    sent = 0
    while len(reports) < count:
        while sent < count and sent - len(reports) < concurrency:
            post.request(sent % concurrency if concurrency == 1 else sent, recipient, content=fd)
            sent += 1
            post.answer_route()
        reports.append(post.report())
    os.close(fd)
    return reports


def test_a_thousand_deliveries_leak_nothing(post):
    home = post.user("alice")
    content = b"Subject: x\n\n" + b"0123456789abcdef" * 256
    exchange(post, 100, 50, b"alice@example.org", content)
    [pid] = post.workers()
    count = lambda process: len(os.listdir(f"/proc/{process}/fd"))
    before = count(post.process.pid), count(pid)
    reports = exchange(post, 1000, 50, b"alice@example.org", content)
    assert {letter + text for _, letter, text in reports} == {"Kdid 1+0+0\n"}
    assert sorted(slot for slot, _, _ in reports) == list(range(1000))
    assert (count(post.process.pid), count(pid)) == before
    assert len(os.listdir(f"{home}/Maildir/new")) == 1100
    assert os.listdir(f"{home}/Maildir/tmp") == []


def test_a_killed_worker_defers_its_deliveries_and_is_replaced(post):
    post.user("alice")
    post.deliver(b"alice@example.org")
    [pid] = post.workers()
    os.kill(pid, signal.SIGSTOP)
    for slot in (1, 2):
        post.request(slot, b"alice@example.org")
        post.answer_route()
    time.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    assert sorted(post.report() for _ in range(2)) == [(slot, "Z", "qmail-local crashed.\n") for slot in (1, 2)]
    assert post.deliver(b"alice@example.org")[0] == "K"


def test_more_deliveries_than_one_worker_takes_at_a_time(post):
    post.user("alice")
    post.deliver(b"alice@example.org")
    [pid] = post.workers()
    os.kill(pid, signal.SIGSTOP)
    for slot in range(300):
        post.request(slot, b"alice@example.org")
        post.answer_route()
    os.kill(pid, signal.SIGCONT)
    reports = [post.report() for _ in range(300)]
    assert {letter for _, letter, _ in reports} == {"K"}


@pytest.mark.parametrize("confined", [False, True])
def test_a_confined_worker_does_not_leave_its_home(post, confined):
    """Both homes are of one uid: without the lock the way is open."""
    other = post.user("other")
    home = post.user("alice", confined=confined)
    dot_qmail(home, "./../other/Maildir/\n")
    assert post.deliver(b"alice@example.org")[0] == ("Z" if confined else "K")
    assert len(os.listdir(f"{other}/Maildir/new")) == (0 if confined else 1)
    dot_qmail(home, "|exit 0\n")
    said = post.deliver(b"alice@example.org")
    assert said == ("ZUh-oh: .qmail has prog delivery but this mailbox runs no programs. (#4.7.0)\n" if confined else "Kdid 0+0+1\n")


def test_a_confined_worker_and_a_free_one_are_two(post):
    home = post.user("alice")
    post.deliver(b"alice@example.org")
    post.user("locked", home=home, confined=True)
    assert post.deliver(b"locked@example.org")[0] == "K"
    assert len(post.workers()) == 2


def test_a_quota_travels_to_the_worker(post):
    post.user("alice", quota=b"1C")
    assert post.deliver(b"alice@example.org")[0] == "K"
    assert post.deliver(b"alice@example.org") == "DThe mailbox is full: this message would go beyond its quota. (#5.2.2)\n"


def test_a_worker_that_cannot_be_run():
    post = Post(worker="/nonexistent/qmail")
    try:
        post.user("alice")
        for _ in range(3):
            assert post.deliver(b"alice@example.org") == "ZUnable to run qmail-local.\n"
    finally:
        post.close()


def test_a_home_that_is_not_there(post):
    post.user("gone", home=post.home)
    post.users[b"gone"] = post.users[b"gone"].replace(counted(post.home.encode()), counted(b"/nonexistent/home"))
    assert post.deliver(b"gone@example.org") == "ZUnable to switch to /nonexistent/home: file does not exist. (#4.3.0)\n"


@pytest.mark.parametrize("packet", [
    b"\2", b"\1", b"\1\0\0\0\0", b"\1\0\0\0\0\0\0\0\0", b"\xff" * 4000, b"\1" + struct.pack("<I", 1) + counted(b"") + b"\xff\xffx",
    b"\1" + struct.pack("<I", 1) + counted(b"") + counted(b"s@x") + counted(b"a@b") + counted(b"c@d"),
    b"\1" + struct.pack("<I", 1) + counted(b"") + counted(b"s" * 1003) + counted(b"a@b"),
])
def test_garbage_from_the_queue_costs_the_connection_only(post, packet):
    post.user("alice")
    post.request(1, b"", raw=packet)
    assert post.queue.recv(100) == b""
    post.connect_queue()
    assert post.deliver(b"alice@example.org")[0] == "K"


@pytest.mark.parametrize("packet", [
    b"\x41", b"\x43\0\0\0\0", b"\x41\0\0\0\0\1", b"\x42\0\0\0\0Q\0\0",
    b"\x41" + b"\0" * 17 + counted(b"a") + counted(b"relative") + b"\0" * 8, b"\x41" + b"\0" * 16 + b"\2" + counted(b"a") + counted(b"/a") + b"\0" * 8,
])
def test_garbage_from_route_costs_the_connection_and_the_question_is_asked_again(post, packet):
    post.user("alice")
    post.request(1, b"alice@example.org")
    post.answer_route(raw=packet)
    post.connect_route()
    post.answer_route()
    assert post.report() == (1, "K", "did 1+0+0\n")


def stopped_with_a_delivery(post):
    """A worker that has a delivery and does not go on until SIGCONT; its number."""
    post.user("alice")
    post.deliver(b"alice@example.org")
    [pid] = post.workers()
    os.kill(pid, signal.SIGSTOP)
    post.request(1, b"alice@example.org")
    post.answer_route()
    time.sleep(0.1)
    return pid


def test_the_queue_may_die_and_return(post):
    pid = stopped_with_a_delivery(post)
    post.queue.close()
    post.connect_queue()
    os.kill(pid, signal.SIGCONT)
    post.request(2, b"alice@example.org")
    post.answer_route()
    assert post.report() == (2, "K", "did 1+0+0\n")


def test_term_relays_what_runs_and_exits_0(post):
    pid = stopped_with_a_delivery(post)
    post.process.terminate()
    time.sleep(0.1)
    os.kill(pid, signal.SIGCONT)
    assert post.report() == (1, "K", "did 1+0+0\n")
    assert post.process.wait(LIMIT) == 0
    until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_an_idle_worker_ends(post):
    post.user("alice")
    post.deliver(b"alice@example.org")
    assert len(post.workers()) == 1
    until(lambda: post.workers() == [])
    assert post.deliver(b"alice@example.org")[0] == "K"


@pytest.mark.parametrize("packet, code", [(None, 0), (b"\2", 111), (b"\1\0\0\0\0", 111), (b"\xff" * 5000, 111)])
def test_a_worker_ends_with_its_socket_or_at_garbage(packet, code):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    worker = subprocess.Popen(["martlet-local"], executable=os.path.abspath(WORKER), stdin=theirs, stderr=subprocess.DEVNULL)
    theirs.close()
    try:
        if packet:
            ours.send(packet)
        else:
            ours.close()
        assert worker.wait(LIMIT) == code
    finally:
        ours.close()
        worker.kill()
        worker.wait()


def test_nothing_of_swift_is_in_it():
    with open(LSPAWN, "rb") as file:
        assert b"swift" not in file.read().lower()
