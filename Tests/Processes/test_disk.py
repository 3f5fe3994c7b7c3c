"""What goes wrong below the queue, and on its sockets: a full disk, no inodes, damage, failing syncs, peers that talk nonsense. What was accepted is
safe, what cannot be kept is refused, deliveries go on, and all mends itself when the cause is gone."""

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

import martlet as harness
from dialogue import Closed, Dialogue
from martlet import HOST, wait_until

ALICE = f"alice@{HOST}"
SENDER = "s@x.example"
needs_mounts = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts small disks")
needs_strace = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("strace"), reason="needs strace, and the right to trace")


def send(server, word, size=0):
    """One message; the code of the last reply (0 for a connection that was closed without one: the queue went away with the message)."""
    try:
        with Dialogue(server.address) as client:
            client.envelope(SENDER, ALICE)
            answer = client.say("DATA")
            if answer.startswith("354"):
                client.write(f"word {word}\r\n\r\n" + ("x" * 76 + "\r\n") * (size // 78) + ".\r\n")
                answer = client.reply()
            return int(answer[:3])
    except (Closed, ConnectionError):
        return 0


def words(server):
    return sorted(int(re.search(rb"^word (\d+)$", message, re.M)[1]) for message in server.messages("alice"))


def quarantine(server):
    folder = server.home / "queue/quarantine"
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def stored(server):
    """Files of the log and of large messages, with their sizes."""
    return {path: path.stat().st_size for part in ("journal", "content") for path in (server.home / "queue" / part).rglob("*") if path.is_file()}


# A full disk


@contextlib.contextmanager
def small_disk(home, *options, image_megabytes=None):
    """A file system of its own below queue/: tmpfs, or ext4 in an image when a size is given."""
    queue, image = home.home / "queue", home.home / "image"
    if image_megabytes:
        with open(image, "wb") as file:
            file.truncate(image_megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", *options, image], check=True, timeout=60)
        done = subprocess.run(["mount", "-o", "loop", image, queue], capture_output=True, timeout=60)
    else:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "martlet-test", queue], capture_output=True, timeout=60)
    if done.returncode:
        pytest.skip(f"this system mounts nothing: {done.stderr.decode()}")
    try:
        home._give(queue)
        yield queue
    finally:
        home.end()
        subprocess.run(["umount", "--lazy", queue], check=True, timeout=60)


def fill_until_refused(server, size, limit=2000):
    """Sends until the queue says no; (numbers accepted, the code that said no)."""
    accepted = []
    for number in range(limit):
        code = send(server, number, size)
        if code != 250:
            return accepted, code
        accepted.append(number)
    pytest.fail(f"{limit} messages of {size} bytes fit")


@needs_mounts
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
@pytest.mark.parametrize("size", [20_000, 1_500_000], ids=["in the journal", "in files"])
def test_a_full_disk_refuses_and_drains(home, kind, size):
    home.user("alice")
    home.control("queuesegmentbytes", str(1 << 20))
    home.control("concurrencylocal", "0")
    disk = small_disk(home, "size=14m,mode=755") if kind == "tmpfs" else small_disk(home, image_megabytes=16)
    with disk as queue:
        home.start()
        accepted, code = fill_until_refused(home, size)
        assert code == 452 and len(accepted) >= 4
        home.wait_for_log(r"^warning: queue disk is full|^queue: warning: a message could not be kept: .*out of disk space")
        # Still so, and the session says it again and again.
        assert [send(home, 1000, size) for _ in range(3)] == [code] * 3
        assert home.stop() == 0
        # A full queue starts, and deliveries go on while the disk is full.
        home.control("concurrencylocal", "10")
        ballast = queue / "ballast"
        with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\1" * 4096)
        home.start()
        home.wait_for_messages("alice", len(accepted))
        assert words(home) == accepted
        ballast.unlink()
        # And it takes mail again without being told.
        wait_until(lambda: send(home, 2000, size) == 250, lambda: "it still refuses:\n" + home.log()[-3000:])
        wait_until(lambda: 2000 in words(home), home.log)
        assert words(home) == [*accepted, 2000]
        assert quarantine(home) == []


@needs_mounts
def test_no_inodes(home):
    """Large messages need a file each; small ones do not, and still come in."""
    home.user("alice")
    home.control("queuesegmentbytes", str(1 << 20))
    home.control("concurrencylocal", "0")
    with small_disk(home, "-b", "4096", "-N", "32", image_megabytes=120):
        home.start()
        accepted, code = fill_until_refused(home, 1_200_000, 100)
        assert code == 452 and len(accepted) > 3
        assert home.stop() == 0
        home.control("concurrencylocal", "10")
        home.start()
        wait_until(lambda: len(home.messages("alice")) >= len(accepted), home.log)
        wait_until(lambda: send(home, 2000, 1_200_000) == 250, home.log)
        wait_until(lambda: words(home) == [*accepted, 2000], home.log)


@needs_mounts
def test_a_maildir_on_a_full_disk_defers(home):
    """The user's disk, not ours: his mail waits, and a retry brings it."""
    home.user("alice")
    home.user("bob")
    mailbox = home.home / "home/alice/Maildir/tmp"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=777", "martlet-test", home.home / "home/alice/Maildir"], check=True, timeout=60)
    try:
        for part in ("tmp", "new", "cur"):
            (mailbox.parent / part).mkdir(mode=0o700)
            home._give(mailbox.parent / part)
        home.start()
        assert send(home, 1, 100_000) == 250
        home.wait_for_log(r"^delivery 1: deferral: ")
        assert list(mailbox.iterdir()) == [] and home.messages("alice") == []
        home.send(SENDER, "bob", "hello")
        home.wait_for_messages("bob", 1)
        subprocess.run(["mount", "-o", "remount,size=1m", mailbox.parent], check=True, timeout=60)
        home.send_signal(signal.SIGALRM)
        wait_until(lambda: words(home) == [1], home.log)
    finally:
        home.end()
        subprocess.run(["umount", "--lazy", mailbox.parent], check=True, timeout=60)


# Damage


def hold_messages(home, count, size=20_000):
    """`count` accepted messages in a stopped queue."""
    home.user("alice")
    home.control("queuesegmentbytes", str(1 << 20))
    home.control("concurrencylocal", "0")
    home.start()
    assert [send(home, number, size) for number in range(count)] == [250] * count
    assert home.stop() == 0
    home.control("concurrencylocal", "10")


def place_of(home, word):
    """(file, offset) of a message's content in the log."""
    for path in (home.home / "queue/journal").iterdir():
        offset = path.read_bytes().find(f"\nword {word}\n".encode())
        if offset >= 0:
            return path, offset
    raise AssertionError(f"message {word} is nowhere")


def flip(path, offset, count=16):
    with open(path, "r+b") as file:
        file.seek(offset)
        bytes_ = file.read(count)
        file.seek(offset)
        file.write(bytes(byte ^ 0xFF for byte in bytes_))


def test_damaged_content_costs_that_message_only(home):
    """It is never delivered; the others are; the system says so."""
    hold_messages(home, 80)
    path, offset = place_of(home, 20)
    flip(path, offset + 5000)
    home.start()
    wait_until(lambda: len(home.messages("alice")) >= 79, lambda: f"{words(home)}\n{home.log()[-3000:]}")
    home.wait_for_log(r"^delivery \d+: deferral: The_queue_cannot_read_this_message\._\(#4\.3\.0\)/$")
    assert words(home) == [number for number in range(80) if number != 20]
    wait_until(lambda: b"messages in queue: 1\n" in home.command("qmail-qstat").stdout, "the others stay in the queue")


def test_a_damaged_batch_is_reported_and_quarantined(home):
    """The block that says what a message is: its bytes are kept, and the rest is delivered."""
    hold_messages(home, 80)
    path, offset = place_of(home, 20)
    flip(path, offset // 4096 * 4096, 64)
    home.start()
    home.wait_for_log(r"^alert: queue: segment \d+ batches \d+ to \d+ are damaged; bytes kept in quarantine/")
    wait_until(lambda: len(home.messages("alice")) >= 79, lambda: f"{words(home)}\n{home.log()[-3000:]}")
    assert words(home) == [number for number in range(80) if number != 20]
    [kept] = quarantine(home)
    assert b"\nword 20\n" in (home.home / "queue/quarantine" / kept).read_bytes()
    # Once said, it is not said again.
    assert home.stop() == 0
    said = len(home.log())
    home.start()
    assert "damaged" not in home.log()[said:]
    assert send(home, 100) == 250


@pytest.mark.parametrize("how", ["zeros", "noise", "cut", "gone"])
@pytest.mark.parametrize("word", [3, 70], ids=["the oldest", "one between"])
def test_a_segment_that_is_lost_whole(home, word, how):
    """What was in the others is delivered, and the loss is said."""
    hold_messages(home, 120)
    path, _ = place_of(home, word)
    lost = {number for number in range(120) if place_of(home, number)[0] == path}
    assert 10 < len(lost) < 110
    size = path.stat().st_size
    if how == "gone":
        path.unlink()
    elif how == "cut":
        os.truncate(path, 8192)
    else:
        with open(path, "r+b") as file:
            file.write(b"\0" * size if how == "zeros" else os.urandom(size))
    home.start()
    home.wait_for_log(r"^alert: queue: segment \d+ (is missing|batches \d+ to \d+ are damaged)")
    wait_until(lambda: len(home.messages("alice")) >= 120 - len(lost), lambda: f"{words(home)}\n{home.log()[-3000:]}")
    found = set(words(home))
    # Of a segment that was cut, what stands before the cut is still good.
    assert set(range(120)) - lost <= found and len(found & lost) <= (2 if how == "cut" else 0)
    assert send(home, 200) == 250


def test_foreign_files_are_set_aside(home):
    hold_messages(home, 3)
    for name in ("notes.txt", "-1", "18446744073709551616"):
        path = home.home / "queue/journal" / name
        path.write_text("not a segment")
        home._give(path)
    home.start()
    wait_until(lambda: len(home.messages("alice")) == 3, home.log)
    assert len(quarantine(home)) == 3 and home.log().count("is no segment; kept as quarantine/") == 3


def test_a_tail_that_a_crash_cut_off(home):
    """Bytes behind the last batch, as a crash leaves them: dropped with a word, and nothing that was accepted goes with them."""
    hold_messages(home, 30)
    path, offset = place_of(home, 29)
    end = (offset + 20_000) // 4096 * 4096 + 8 * 4096
    with open(path, "r+b") as file:
        file.seek(min(end, path.stat().st_size - 8192))
        file.write(os.urandom(4096))
    home.start()
    wait_until(lambda: words(home) == list(range(30)), lambda: f"{words(home)}\n{home.log()[-3000:]}")
    assert "alert" not in home.log()


# Syncs that fail


@contextlib.contextmanager
def tracing(server, role, *arguments):
    """strace on all threads of a role."""
    process = subprocess.Popen(
        ["strace", "-f", "-q", "-o", "/dev/null", "-p", str(server.pid(role)), *arguments], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    pid = server.pid(role)

    def attached():
        assert process.poll() is None, process.stderr.read()
        with contextlib.suppress(OSError):
            return all("TracerPid:\t0" not in open(f"/proc/{pid}/task/{task}/status").read() for task in os.listdir(f"/proc/{pid}/task"))

    try:
        wait_until(attached, "strace does not attach")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            # It waits without end for a process that ends while it lets go.
            process.kill()
            process.communicate()


@needs_strace
@pytest.mark.parametrize("when", ["1", "2", "1+2", "3..5"])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_a_failed_sync_is_never_a_250(home, error, when):
    """What it covered is refused or left unanswered, and never delivered when refused; what follows is accepted again (design: "void")."""
    home.user("alice")
    home.control("queuesegmentbytes", str(1 << 20))
    home.start()
    codes = {}
    with tracing(home, "queue", "-e", "trace=fdatasync,fsync", "-e", f"inject=fdatasync,fsync:error={error}:when={when}"):
        for number in range(12):
            codes[number] = send(home, number)
    for number in range(100, 103):
        wait_until(lambda: codes.update({number: send(home, number)}) or codes[number] == 250, lambda: home.log()[-3000:])
    accepted = {number for number, code in codes.items() if code == 250}
    refused = {number for number, code in codes.items() if code in (451, 452)}
    # Nothing else was ever said; what got no answer may have come to pass.
    silent = {number for number, code in codes.items() if code == 0}
    assert set(codes) == accepted | refused | silent
    assert refused | silent, f"no sync failed: {codes}"

    def all_there():
        home.send_signal(signal.SIGALRM)
        return accepted <= set(words(home))

    wait_until(all_there, lambda: f"{codes} {words(home)}\n{home.log()[-3000:]}")
    home.kill("queue")
    said = len(home.log())
    home.wait_for_log(r"^status: local 0/10 remote 0/20", after=said)
    time.sleep(0.5)
    assert not refused & {word for word in words(home) if word < 100}, f"{codes} {words(home)}\n{home.log()[-3000:]}"
    assert "are damaged" not in home.log()


@needs_strace
def test_a_delivery_whose_sync_fails_is_not_done(home):
    """The worker's fsync: deferred, and the retry delivers."""
    home.user("alice")
    home.start()
    assert send(home, 1) == 250
    wait_until(lambda: words(home) == [1], home.log)
    lspawn = home.pid("lspawn")
    [worker] = [pid for pid, (parent, _) in harness.processes().items() if parent == lspawn]
    process = subprocess.Popen(
        ["strace", "-f", "-q", "-o", "/dev/null", "-p", str(worker), "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=1"],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: "TracerPid:\t0" not in open(f"/proc/{worker}/status").read(), "strace does not attach")
        assert send(home, 2) == 250
        home.wait_for_log(r"^delivery 2: deferral: ")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    home.send_signal(signal.SIGALRM)
    wait_until(lambda: 2 in words(home), home.log)


# Sockets below run/

STREAMS = {"inject": "queue", "admin": "queue", "route": "route", "dns": "dns"}
PACKETS = {"deliver-local": "queue", "deliver-remote": "queue", "identity": "route"}
GARBAGE = {
    "zeros": b"\0" * 64, "ones": b"\xff" * 64, "text": b"EHLO here\r\nGET / HTTP/1.1\r\n\r\n", "noise": bytes(range(256)) * 16,
    "huge length": struct.pack("<I", 1 << 31) + b"\2", "length 0": struct.pack("<I", 0), "unknown type": struct.pack("<IB", 1, 200),
    "cut short": struct.pack("<IB", 5, 3) + b"\1\0\0\0", "address runs over": struct.pack("<IBIH", 8, 3, 1, 60000) + b"x",
    "NUL in an address": struct.pack("<IBIH", 9, 4, 1, 2) + b"\0x", "trailing bytes": struct.pack("<IB", 3, 1) + b"xx",
}


def talk(path, kind, data):
    """Sends, then reads until the peer closes or is silent for a while."""
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.settimeout(0.3)
        client.connect(str(path))
        with contextlib.suppress(OSError):
            client.send(data)
            while client.recv(65536):
                pass


@pytest.fixture(scope="module")
def shared(programs):
    instance = harness.Martlet(programs)
    instance.user("alice")
    yield instance.start()
    instance.clean()


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage_on_every_socket_hurts_nobody(shared, data):
    before = shared.pids()
    count = len(shared.messages("alice"))
    with Dialogue(shared.address) as client:
        client.envelope(SENDER, ALICE)
        for name in STREAMS:
            talk(shared.home / f"run/{name}/socket", socket.SOCK_STREAM, data)
        for name in PACKETS:
            talk(shared.home / f"run/{name}/socket", socket.SOCK_SEQPACKET, data if data else b"\0")
        client.say("DATA")
        assert client.say("after garbage\r\n.").startswith("250 2.0.0 ok ")
    shared.wait_for_messages("alice", count + 1)
    assert shared.pids() == before


def test_a_peer_that_only_connects_costs_nothing(shared):
    held = []
    try:
        for name in STREAMS:
            for _ in range(50):
                held.append(socket.socket(socket.AF_UNIX))
                held[-1].settimeout(5)
                held[-1].connect(str(shared.home / f"run/{name}/socket"))
        count = len(shared.messages("alice"))
        assert send(shared, 1) == 250
        shared.wait_for_messages("alice", count + 1)
    finally:
        for peer in held:
            peer.close()


def test_a_message_without_commit_leaves_nothing(shared):
    """A client of run/inject that goes away in the middle of a large message."""
    before = stored(shared)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(shared.home / "run/inject/socket"))
        client.sendall(struct.pack("<IBI", 5 + 60_000, 2, 1) + b"x" * 60_000)
        for _ in range(40):
            client.sendall(struct.pack("<IBI", 5 + 60_000, 2, 1) + b"x" * 60_000)
        wait_until(lambda: len(stored(shared)) > len(before), "no file for a large message")
    wait_until(lambda: len(stored(shared)) == len(before), lambda: f"left: {set(stored(shared)) - set(before)}")
    wait_until(lambda: shared.command("qmail-qstat").stdout.startswith(b"messages in queue: 0\n"), "something stays in the queue")
