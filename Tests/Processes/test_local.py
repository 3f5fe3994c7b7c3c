"""Local delivery against what hardening.md 1.3 lists: shell, paths, links, modes and owners; `control/rcptprobe` and `control/timeoutlocal` in a
whole system. The `qmail-local` program is the delivery worker's code, so what needs no queue is tested with it."""

import fcntl
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time

import pytest

from dialogue import Dialogue
from martlet import HOST, LIMIT, ROOT, account, is_running, processes, wait_until

IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root")
UID, GID = (20001, 20001) if IS_ROOT else (os.geteuid(), os.getegid())
OTHER = 20002


def can_have_a_namespace():
    return IS_ROOT and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


needs_namespace = pytest.mark.skipif(not can_have_a_namespace(), reason="needs root and mount namespaces")


class Local:
    """A home, and qmail-local run as its owner."""

    def __init__(self, programs):
        self.program = programs / "qmail-local"
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="martlet-local-"))
        self.home.chmod(0o755)
        self.give(self.home)

    def give(self, *paths):
        if IS_ROOT:
            for path in paths:
                os.chown(path, UID, GID, follow_symlinks=False)

    def write(self, name, text, mode=0o600):
        path = self.home / name
        path.write_text(text)
        path.chmod(mode)
        self.give(path)
        return path

    def maildir(self, name="Maildir"):
        for path in (self.home / name, *(self.home / name / part for part in ("tmp", "new", "cur"))):
            path.mkdir(mode=0o700)
            self.give(path)

    def arguments(self, dash="", ext="", sender="s@y.example", local="joe", domain="x.example", default="./Maildir/"):
        return ["--", "joe", self.home, local, dash, ext, domain, sender, default]

    def start(self, *arguments, prefix=(), stdin=None, environment=None, **options):
        identity = {} if prefix or not IS_ROOT else {"user": UID, "group": GID, "extra_groups": []}
        return subprocess.Popen(
            [*prefix, self.program, *arguments], stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/",
            env={"PATH": "/usr/bin:/bin", "QMAILHOME": str(self.home), **(environment or {})}, **{**identity, **options})

    def run(self, *arguments, message=b"Subject: x\n\nbody\n", **options):
        """(exit code, what it printed)."""
        with tempfile.TemporaryFile() as file:
            file.write(message)
            file.seek(0)
            process = self.start(*arguments, stdin=file, **options)
            try:
                output, errors = process.communicate(timeout=LIMIT)
            finally:
                if process.poll() is None:
                    process.kill()
            return process.returncode, (output + errors).decode(errors="replace")

    def deliver(self, **options):
        names = ("dash", "ext", "sender", "local", "domain", "default")
        return self.run(*self.arguments(**{n: options.pop(n) for n in names if n in options}), **options)


@pytest.fixture
def local(programs):
    instance = Local(programs)
    yield instance
    shutil.rmtree(instance.home, ignore_errors=True)


# The program


def test_a_message_that_is_no_file_waits(local):
    local.maildir()
    reader, writer = os.pipe()
    os.close(writer)
    process = local.start(*local.arguments(), stdin=reader)
    os.close(reader)
    output, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, errors) == (111, b"Unable to read message: unseekable descriptor. (#4.3.0)\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_harm_no_file(local, closed):
    """No file that is opened takes the place of a descriptor that was closed."""
    local.maildir()
    local.write(".qmail", "|echo printed\n./Maildir/\n./box\n")
    message = local.write("message", "Subject: x\n\nbody\n")
    script = f'exec "$@" <{message} {closed}'
    process = subprocess.run(
        ["sh", "-c", script, "sh", local.program, *local.arguments()], capture_output=True, timeout=LIMIT, cwd="/",
        env={"PATH": "/usr/bin:/bin"}, **({"user": UID, "group": GID, "extra_groups": []} if IS_ROOT else {}))
    # What must read or print finds that it cannot.
    assert process.returncode == (0 if closed == "2>&-" else 111), process
    for path in (*(local.home / "Maildir/new").iterdir(), local.home / "box"):
        if path.exists():
            assert b"printed" not in path.read_bytes() and path.read_bytes().rstrip().endswith(b"body")


@pytest.mark.parametrize("argument", ["user\nx", "a" * 100_000])
def test_odd_arguments_get_one_answer(local, argument):
    local.maildir()
    code, said = local.run("--", argument, local.home, argument, "-", argument, argument, "s@y", "./Maildir/")
    assert code == 100 and said == "Sorry, no mailbox here by that name. (#5.1.1)\n"
    code, said = local.run("--", "joe", local.home, "joe", "", "", "x", argument, "./Maildir/")
    assert code == 100 and said == "Sorry, sender address has a line break or is too long. (#5.1.7)\n"


@needs_root
def test_root_delivers_to_nobody(local):
    local.maildir()
    code, said = local.deliver(user=0, group=0)
    assert (code, said) == (111, "Not allowed to perform deliveries as root.\n")
    assert list((local.home / "Maildir/new").iterdir()) == []


# SHELL


PAYLOADS = [
    "() { :;}; touch hit", "() { :;}; touch hit;@y", "() { ignored; }; touch hit", "() {", "$(touch hit)", "`touch hit`", ";touch hit;", "|touch hit",
    "&& touch hit", "a\ttouch hit", "'; touch hit; '", '"; touch hit; "', "\x7f\x1b[2J", "() \u00a0{ :;}; touch hit", "-c touch hit", "*", "~", "${IFS}",
]

# As a shell with CVE-2014-6271 does it: what looks like a function is a program.
VULNERABLE_SHELL = """#!/usr/bin/python3
import os, sys
for name, value in os.environb.items():
    if value.startswith(b"() {"):
        open(os.environb[b"HOME"] + b"/hit", "wb").close()
with open(os.environb[b"HOME"] + b"/environment", "wb") as log:
    log.write(b"\\0".join(name + b"=" + value for name, value in os.environb.items()))
with open(os.environb[b"HOME"] + b"/arguments", "wb") as log:
    log.write(b"\\0".join(map(os.fsencode, sys.argv[1:])))
"""

ALLOWED = {
    "PATH", "QMAILHOME", "QMAILQUEUE", "USER", "HOME", "HOST", "HOST2", "HOST3", "HOST4", "LOCAL", "EXT", "EXT2", "EXT3", "EXT4", "DEFAULT", "SENDER",
    "NEWSENDER", "RECIPIENT", "DTLINE", "RPLINE", "UFLINE",
}
# What a shell, or the loader, would obey.
HOSTILE = {
    "BASH_ENV": "/tmp/x", "ENV": "/tmp/x", "IFS": "a", "LD_PRELOAD_X": "x", "LD_LIBRARY_PATH": "/nonexistent", "LD_AUDIT": "", "BASH_FUNC_cat%%": "() { :; }",
    "SHELLOPTS": "xtrace", "PS4": "$(touch hit)", "PYTHONPATH": "/nonexistent", "DEFAULT": "inherited", "CDPATH": "/tmp", "MAIL": "x",
}


@needs_namespace
@pytest.mark.parametrize("payload", PAYLOADS, ids=repr)
def test_a_vulnerable_shell_gets_nothing_to_run(local, payload):
    """CVE-2014-6271: /bin/sh is, in a mount namespace of the test's own, a shell that has it and logs what it is given."""
    fake = local.write("fake-shell", VULNERABLE_SHELL, 0o755)
    shell = os.path.realpath("/bin/sh")
    prefix = [
        "unshare", "--mount", "--propagation", "private", "bash", "-c",
        f'mount --bind {fake} {shell} && exec setpriv --reuid {UID} --regid {GID} --clear-groups "$@"', "bash", "env",
        *(f"{name}={value}" for name, value in HOSTILE.items())]
    local.write(".qmail-default", "|the command\n")
    code, said = local.deliver(
        dash="-", ext=payload, local=f"joe-{payload}", domain=payload, sender=payload, prefix=prefix)
    assert (code, said) == (0, "did 0+0+1\n")
    assert not (local.home / "hit").exists()
    assert (local.home / "arguments").read_bytes() == b"-c\0the command"
    environment = dict(v.split(b"=", 1) for v in (local.home / "environment").read_bytes().split(b"\0"))
    # Python adds LC_CTYPE to its own.
    assert {name.decode() for name in environment} - {"LC_CTYPE"} <= ALLOWED
    for name, value in environment.items():
        assert not value.startswith(b"() {"), name
        assert not re.search(rb"[\x00-\x1f\x7f]", value[:-1] if name in (b"DTLINE", b"RPLINE", b"UFLINE") else value), name
    safe = re.sub(rb"[\x00-\x1f\x7f]", b"_", payload.encode())
    safe = b"_" + safe[1:] if safe.startswith(b"() {") else safe
    assert environment[b"SENDER"] == environment[b"EXT"] == environment[b"DEFAULT"] == environment[b"HOST"] == safe


def test_no_shell_is_run_but_for_a_users_command():
    """`/bin/sh -c` in one place of all sources, `/bin/sh FILE` in one (a script without `#!`, run by name), and no call that would run a shell."""
    shells, calls = [], []
    for path in (ROOT / "Sources").rglob("*.[chs]*"):
        if path.suffix not in (".swift", ".c", ".h"):
            continue
        for line in path.read_text().splitlines():
            code = re.split(r"//|/\*", line)[0] if '"' not in line else line
            if re.search(r"\b(popen|system|wordexp|NSTask)\s*\(|\bProcess\s*\(\)", code):
                calls.append(f"{path}: {line.strip()}")
            if re.search(r'"[^"]*/(ba|da|z|k)?sh"', code):
                shells.append(path.name)
    assert calls == []
    assert set(shells) == {"Child.swift", "UserProgram.swift"}


# PATH


EXTENSIONS = ["..", "../x", "a/../../b", "/etc/passwd", "../" * 10 + "etc/passwd", "x" * 300, "default", "-", "\uff0f", "\uff0fetc", ".", "", "x/", "a\nb"]


@pytest.mark.parametrize("ext", EXTENSIONS, ids=repr)
def test_no_extension_leads_out_of_the_home(local, ext):
    """Neither to a file beside the home nor to a sentence about it; strace tells what was opened."""
    outside = local.home.parent / (local.home.name + "-x")
    outside.write_text("./Maildir/\n")
    try:
        local.maildir()
        trace = local.home / "trace"
        code, said = local.deliver(dash="-", ext=ext, local=f"joe-{ext}", prefix=[
            "setpriv", "--reuid", str(UID), "--regid", str(GID), "--clear-groups", "strace", "-f", "-o", trace, "-e", "trace=openat,open,stat,newfstatat"
        ] if IS_ROOT else ["strace", "-f", "-o", trace, "-e", "trace=openat,open,stat,newfstatat"])
        assert (code, said) == (100, "Sorry, no mailbox here by that name. (#5.1.1)\n")
        tried = re.findall(r'"((?:[^"\\]|\\.)*\.qmail(?:[^"\\]|\\.)*)"', trace.read_text())
        assert tried, "nothing was looked for"
        for name in tried:
            assert name.startswith(".qmail-") and "/.." not in name and "../" not in name, name
    finally:
        outside.unlink()


# LINKS


def make(kind, path, victim):
    """Puts something of this kind at `path`, which is free."""
    if kind == "symlink":
        os.symlink(victim, path)
    elif kind == "hardlink":
        os.link(victim, path)
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        os.mkdir(path, 0o700)
    elif kind == "file":
        path.touch(0o600)
    if IS_ROOT and kind not in ("hardlink", "nothing"):
        os.chown(path, UID, GID, follow_symlinks=False)


def clear(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


KINDS = ["symlink", "hardlink", "fifo", "folder", "file", "nothing"]


@pytest.mark.parametrize("kind, code, said", [
    ("symlink", 111, "Unable to open ./box: symbolic link loop. (#4.2.1)\n"), ("hardlink", 111, "Unable to open ./box: permission denied. (#4.2.1)\n"),
    ("fifo", 111, "Unable to open ./box: device not configured. (#4.2.1)\n"), ("folder", 111, "Unable to open ./box: is a directory. (#4.2.1)\n"),
    ("file", 0, "did 1+0+0\n"), ("nothing", 0, "did 1+0+0\n")])
def test_what_may_be_an_mbox(local, kind, code, said):
    victim = local.write("victim", "precious\n")
    make(kind, local.home / "box", victim)
    assert local.deliver(default="./box") == (code, said)
    assert victim.read_text() == "precious\n"


@needs_root
def test_an_mbox_of_another_is_not_written(local):
    path = local.home / "box"
    path.write_text("")
    os.chown(path, OTHER, OTHER)
    path.chmod(0o666)
    assert local.deliver(default="./box") == (111, "Unable to open ./box: permission denied. (#4.2.1)\n")
    assert path.read_text() == ""


def test_a_fifo_with_a_reader_is_no_mbox(local):
    os.mkfifo(local.home / "box", 0o600)
    local.give(local.home / "box")
    reader = os.open(local.home / "box", os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert local.deliver(default="./box") == (111, "Unable to open ./box: permission denied. (#4.2.1)\n")
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)


@pytest.mark.parametrize("part", ["tmp", "new"])
@pytest.mark.parametrize("kind", ["symlink", "fifo", "file", "nothing"])
def test_what_may_be_in_a_maildir(local, part, kind):
    local.maildir()
    local.maildir("Other")
    path = local.home / "Maildir" / part
    path.rmdir()
    make(kind, path, local.home / "Other" / part)
    assert local.deliver() == (111, "Temporary error on maildir delivery. (#4.3.0)\n")
    assert not any(any((local.home / "Other" / name).iterdir()) for name in ("tmp", "new"))


def test_an_mbox_that_another_holds_is_waited_for(local):
    box = local.write("box", "")
    with open(box, "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with open(local.write("message", "Subject: x\n\nbody\n")) as message:
            process = local.start(*local.arguments(default="./box"), stdin=message)
        time.sleep(0.5)
        assert process.poll() is None and box.read_text() == ""
    output, _ = process.communicate(timeout=LIMIT)
    assert (process.returncode, output) == (0, b"did 1+0+0\n") and box.read_text().startswith("From s@y.example ")


def test_an_mbox_that_is_replaced_while_it_is_waited_for_is_found_again(local):
    """A mail reader locks the mbox and puts another in its place: mail goes into that one, not into the file without a name."""
    box = local.write("box", "old\n")
    with open(box, "a") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with open(local.write("message", "Subject: x\n\nbody\n")) as message:
            process = local.start(*local.arguments(default="./box"), stdin=message)
        time.sleep(0.3)
        local.write("new", "new\n").rename(box)
    output, _ = process.communicate(timeout=LIMIT)
    assert (process.returncode, output) == (0, b"did 1+0+0\n") and box.read_text().startswith("new\nFrom s@y.example ")


ERRORS = [
    ("openat", "EMFILE"), ("openat", "ENOSPC"), ("openat", "EIO"), ("flock", "ENOLCK"), ("lseek", "ESPIPE"), ("write", "ENOSPC"), ("write", "EINTR"),
    ("write", "EDQUOT"), ("fsync", "EIO"), ("renameat2", "EIO"), ("renameat2", "EINVAL"), ("newfstatat", "ESTALE"), ("fstat", "EIO"), ("pread64", "EIO"),
    ("pread64", "EINTR"), ("linkat", "EIO"), ("unlinkat", "EIO"), ("ftruncate", "EIO"),
]


@pytest.mark.parametrize("line", ["./box", "./Maildir/"])
@pytest.mark.parametrize("call, error", ERRORS)
def test_an_error_of_the_system_defers_and_leaves_nothing(local, line, call, error):
    """hardening.md 2.3, each error at each of the last calls: either all of the message is there, or it is deferred and none of it."""
    local.maildir()
    before = "From a@b Sat Jan 03 01:05:34 1996\nold\n\n"
    identity = ["setpriv", "--reuid", str(UID), "--regid", str(GID), "--clear-groups"] if IS_ROOT else []
    trace = local.home / "trace"

    def deliver(*extra):
        for path in (local.home / "Maildir/new").iterdir():
            path.unlink()
        local.write("box", before)
        return local.deliver(default=line, prefix=[*identity, "strace", "-f", "-o", trace, "-e", f"trace={call}", *extra])

    assert deliver()[0] == 0
    whole = (local.home / "box").read_text()
    count = len(re.findall(rf"^\d+ +{call}\(", trace.read_text(), re.M))
    # Those before are the C library's.
    for number in range(max(1, count - 7), count + 1):
        code, said = deliver("-e", f"inject={call}:error={error}:when={number}")
        new = list((local.home / "Maildir/new").iterdir())
        assert code in (0, 111) or "rror while loading shared" in said, (number, code, said)
        if line == "./box":
            box = (local.home / "box").read_text()
            assert re.sub(r"\d\d:\d\d:\d\d", "", box) == re.sub(r"\d\d:\d\d:\d\d", "", whole if code == 0 else before), (number, said)
        else:
            assert [path.read_text().endswith("body\n") for path in new] == ([True] if code == 0 else []), (number, said)


CALLS = ["openat", "newfstatat", "flock", "lseek", "write", "fsync", "renameat2", "unlinkat"]


class Stepper:
    """Runs qmail-local, stops it behind the nth of a system call, has something done meanwhile, and lets it go on."""

    def __init__(self, local, default):
        self.local = local
        self.default = default
        self.identity = ["setpriv", "--reuid", str(UID), "--regid", str(GID), "--clear-groups"] if IS_ROOT else []
        self.message = local.write("message", "Subject: x\n\nbody\n")

    def counts(self):
        """How often each call is made."""
        trace = self.local.home / "trace"
        with open(self.message) as message:
            process = self.local.start(
                *self.local.arguments(default=self.default), prefix=[*self.identity, "strace", "-o", trace, "-e", f"trace={','.join(CALLS)}"], stdin=message)
            process.communicate(timeout=LIMIT)
        assert process.returncode == 0
        names = re.findall(r"^(\w+)\(", trace.read_text(), re.M)
        trace.unlink()
        return {call: names.count(call) for call in CALLS}

    def run(self, call, number, meanwhile):
        """Its exit code."""
        with open(self.message) as message:
            process = self.local.start(
                *self.local.arguments(default=self.default), stdin=message,
                prefix=[*self.identity, "strace", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGSTOP:when={number}"])
        try:
            pid = wait_until(lambda: self.stopped(process.pid) or (process.poll() is not None and -1), f"{call} {number} is not reached")
            if pid > 0:
                meanwhile()
                os.kill(pid, signal.SIGCONT)
            process.communicate(timeout=LIMIT)
            return process.returncode
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    @staticmethod
    def stopped(parent):
        """The child of strace when it has stopped for good, not for strace alone."""
        for pid, (above, arguments) in processes().items():
            if above != parent or not arguments or not arguments[0].endswith("qmail-local"):
                continue
            def field(name):
                return re.search(rf"^{name}:\s*(.*)$", open(f"/proc/{pid}/status").read(), re.M)[1]
            try:
                # Stopped, and the same a moment later without a switch in between.
                first = field("State"), field("voluntary_ctxt_switches")
                time.sleep(0.03)
                if first[0][0] in "tT" and first == (field("State"), field("voluntary_ctxt_switches")):
                    return pid
            except OSError:
                pass
        return 0


def test_an_mbox_may_be_swapped_at_any_moment(local):
    """hardening.md "LINKS": whatever stands in its place at any system call, no byte gets into another file, and nothing hangs."""
    stepper = Stepper(local, "./box")
    box, victim = local.home / "box", local.home / "victim"
    counts = stepper.counts()
    clear(box)
    places = [(call, number) for call, count in counts.items() for number in range(max(1, count - 12), count + 1) if count]
    assert len(places) >= 8
    for index, (call, number) in enumerate(places):
        kind = KINDS[index % len(KINDS)]
        clear(box)
        local.write("victim", "precious\n")
        make("file" if index % 2 else "nothing", box, victim)

        def swap():
            clear(box)
            make(kind, box, victim)

        code = stepper.run(call, number, swap)
        assert code in (0, 111), (call, number, kind)
        assert victim.read_text() == "precious\n", (call, number, kind)


def test_a_maildirs_folders_may_be_swapped_at_any_moment(local):
    local.maildir()
    stepper = Stepper(local, "./Maildir/")
    maildir, other = local.home / "Maildir", local.home / "Other"
    counts = stepper.counts()
    places = [(call, number) for call, count in counts.items() for number in range(max(1, count - 12), count + 1) if count]
    assert len(places) >= 8
    for index, (call, number) in enumerate(places):
        clear(maildir)
        clear(other)
        local.maildir()
        local.maildir("Other")
        part = ("tmp", "new")[index % 2]

        def swap():
            os.rename(maildir / part, maildir / "aside")
            os.symlink(other / part, maildir / part)

        code = stepper.run(call, number, swap)
        assert code in (0, 111), (call, number, part)
        assert not any(any((other / name).iterdir()) for name in ("tmp", "new")), (call, number, part)
        # What was said to be delivered lies in the folder that was held open.
        landed = [path for path in maildir.rglob("*") if path.is_file() and path.parent.name in ("new", "aside")]
        assert len(landed) == 1 or code == 111, (call, number, part)


@pytest.mark.parametrize("line", ["./box", "./Maildir/"])
def test_links_swapped_in_a_loop(local, line):
    """As above, without order: ten seconds' worth of chances in two."""
    local.maildir()
    local.maildir("Other")
    victim = local.write("victim", "precious\n")
    place = local.home / ("box" if line == "./box" else "Maildir/new")
    over = threading.Event()

    def swap():
        number = 0
        while not over.is_set():
            kind = KINDS[number % len(KINDS)]
            number += 1
            try:
                if line == "./box":
                    clear(place)
                    make(kind, place, victim)
                else:
                    os.rename(place, local.home / "Maildir/aside")
                    os.symlink(local.home / "Other/new", place)
                    time.sleep(0.0005)
                    place.unlink()
                    os.rename(local.home / "Maildir/aside", place)
            except FileExistsError:
                pass
            time.sleep(0.0002)

    thread = threading.Thread(target=swap)
    thread.start()
    codes = []
    try:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            codes.append(local.deliver(default=line)[0])
    finally:
        over.set()
        thread.join()
    assert set(codes) <= {0, 111} and len(codes) > 20
    assert victim.read_text() == "precious\n"
    assert list((local.home / "Other/new").iterdir()) == []
    if line == "./Maildir/":
        assert len(list(place.iterdir())) == codes.count(0)


# .QMAIL checks


MODES = {
    0o600: 0, 0o644: 0, 0o640: 0, 0o664: 0, 0o660: 0, 0o602: 111, 0o646: 111, 0o666: 111, 0o744: 111, 0o700: 111, 0o611: 0, 0o000: "closed", 0o400: 0,
}


@pytest.mark.parametrize("owner", ["user", pytest.param("root", marks=needs_root), pytest.param("other", marks=needs_root)])
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: f"{mode:03o}")
def test_modes_and_owners_of_a_dot_qmail(local, mode, owner):
    """As notqmail: whoever owns the file, writable for all waits, executable is forward only, and what cannot be read lets no mail past it."""
    local.maildir()
    path = local.write(".qmail-list", "./Maildir/\n", mode)
    local.write(".qmail-default", "|exit 100\n")
    uid = {"user": UID, "root": 0, "other": OTHER}[owner]
    if IS_ROOT:
        os.chown(path, uid, uid)
    readable = mode & (0o400 if owner == "user" else 0o004)
    if not readable:
        expected = 111, "Unable to open .qmail-list: access denied. (#4.3.0)\n"
    elif mode & 0o002:
        expected = 111, "Uh-oh: .qmail file is writable. (#4.7.0)\n"
    elif mode & 0o100:
        expected = 111, "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)\n"
    else:
        expected = 0, "did 1+0+0\n"
    assert local.deliver(dash="-", ext="list", local="joe-list") == expected


@pytest.mark.parametrize("owner", ["user", pytest.param("root", marks=needs_root), pytest.param("other", marks=needs_root)])
@pytest.mark.parametrize("mode, said", [
    (0o755, None), (0o775, None), (0o757, "Uh-oh: home directory is writable. (#4.7.0)\n"), (0o777, "Uh-oh: home directory is writable. (#4.7.0)\n"),
    (0o1755, "Home directory is sticky: user is editing his .qmail file. (#4.2.1)\n"), (0o1777, "Uh-oh: home directory is writable. (#4.7.0)\n"),
], ids=lambda value: f"{value:04o}" if isinstance(value, int) else None)
def test_modes_and_owners_of_a_home(local, mode, said, owner):
    local.maildir()
    if IS_ROOT:
        uid = {"user": UID, "root": 0, "other": OTHER}[owner]
        os.chown(local.home, uid, uid)
    local.home.chmod(mode)
    assert local.deliver() == ((111, said) if said else (0, "did 1+0+0\n"))


# control/rcptprobe, control/timeoutlocal


def refused(home, names):
    """Which of these recipients smtpd refuses."""
    with Dialogue(home.address) as client:
        client.say("EHLO c")
        client.say("MAIL FROM:<s@x.example>")
        answers = {name: client.say(f"RCPT TO:<{name}@{HOST}>") for name in names}
    for answer in answers.values():
        assert answer.startswith("250 ") or answer == "550 5.1.1 sorry, no mailbox here by that name (#5.1.1)"
    return {name for name, answer in answers.items() if answer.startswith("550")}


def give(home, path, text="./Maildir/\n"):
    path.write_text(text)
    path.chmod(0o600)
    home._give(path)


NAMES = ["alice", "alice-list", "alice-LIST", "alice-group-1", "alice-none", "alice-", "nobody-here"]


def test_without_rcptprobe_extensions_are_taken(home):
    home.user("alice")
    home.start()
    assert refused(home, NAMES) == {"nobody-here"}


def test_rcptprobe_has_the_users_worker_look(home):
    alice = home.user("alice")
    give(home, alice / ".qmail-list")
    give(home, alice / ".qmail-group-default")
    home.control("rcptprobe", "1")
    home.start()
    assert refused(home, NAMES) == {"alice-none", "alice-", "nobody-here"}
    # The file counts from the next question on, for what is not known yet too.
    home.control("rcptprobe", "0")
    assert refused(home, ["alice-none", "alice-more"]) == set()
    home.control("rcptprobe", None)
    assert refused(home, ["alice-none"]) == set()
    home.control("rcptprobe", "1")
    # smtpd remembers for a second what it may accept.
    time.sleep(1.2)
    assert refused(home, ["alice-none", "alice-more"]) == {"alice-none", "alice-more"}


def test_an_answer_of_a_probe_is_remembered(home):
    alice = home.user("alice")
    give(home, alice / ".qmail-list")
    home.control("rcptprobe", "1")
    home.start()
    assert refused(home, ["alice-none", "alice-list"]) == {"alice-none"}
    give(home, alice / ".qmail-none")
    (alice / ".qmail-list").unlink()
    time.sleep(1.2)
    assert refused(home, ["alice-none", "alice-NONE", "alice-list", "alice-other"]) == {"alice-none", "alice-NONE", "alice-other"}


def worker(home):
    return next((pid for pid, (_, arguments) in processes().items() if arguments[:1] == ["martlet-local"] and is_ours(home, pid)), None)


def is_ours(home, pid):
    try:
        return os.readlink(f"/proc/{pid}/cwd").startswith(str(home.home))
    except OSError:
        return False


@pytest.mark.parametrize("who", ["worker", "lspawn", "nobody"])
def test_no_answer_within_a_second_takes_the_recipient(home, who):
    home.user("alice")
    home.control("rcptprobe", "1")
    home.start()
    assert refused(home, ["alice-none"]) == {"alice-none"}
    pid = wait_until(lambda: worker(home), "no worker") if who == "worker" else home.pid("lspawn")
    os.kill(pid, signal.SIGKILL if who == "nobody" else signal.SIGSTOP)
    if who == "nobody":
        wait_until(lambda: not is_running(pid), "lspawn lives")
    try:
        start = time.monotonic()
        assert refused(home, ["alice-other"]) == set()
        assert time.monotonic() - start < 3
        # The rest goes on.
        assert refused(home, ["nobody-here", "alice"]) == {"nobody-here"}
    finally:
        if who != "nobody":
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: refused(home, ["alice-third"]), "probes do not return")


def test_probes_of_one_home_have_a_rate(home):
    home.user("alice")
    home.control("rcptprobe", "1")
    home.start()
    # One worker must have started, or its start would be what takes the time.
    assert refused(home, ["alice-first"]) == {"alice-first"}
    names = [f"alice-x{number}" for number in range(25)]
    start = time.monotonic()
    with Dialogue(home.address) as client:
        client.say("EHLO c")
        client.write("MAIL FROM:<s@x.example>\r\n" + "".join(f"RCPT TO:<{name}@{HOST}>\r\n" for name in names))
        client.reply()
        answers = [client.reply()[:3] for _ in names]
    # 10 in a second; the second may have changed once meanwhile.
    assert time.monotonic() - start < 2 and 9 <= answers.count("550") <= 20 and answers.count("250") >= 5


def test_timeoutlocal_defers_what_runs_too_long(home):
    alice = home.user("alice")
    give(home, alice / ".qmail", "|echo begun; sleep 987658\n")
    home.control("timeoutlocal", "1")
    home.start()
    home.send("s@x.example", "alice", "hello")
    home.wait_for_log(r"^delivery 1: deferral: begun/Program_did_not_end_within_1_seconds_and_was_ended\._\(#4\.3\.0\)/$")
    wait_until(lambda: not any("987658" in arguments for _, arguments in processes().values()), "the program runs on")
    home.control("timeoutlocal", None)
    give(home, alice / ".qmail", "|sleep 1.5\n")
    home.send_signal(signal.SIGALRM)
    home.wait_for_log(r"^delivery 2: success: did_0\+0\+1/$")


# Debian's dot-forward and fastforward


@needs_namespace
def test_debians_dot_forward_and_fastforward_run_unchanged(home):
    """Both know the qmail home as /var/lib/qmail: here a bind mount in a namespace of the test's own, at an installation a symbolic link."""
    for program in ("dot-forward", "fastforward"):
        assert shutil.which(program), f"{program} is not installed: Tools/need dot-forward fastforward"
    alice, bob, carol = (home.user(name) for name in ("alice", "bob", "carol"))
    give(home, alice / ".qmail", "|dot-forward .forward\n./Maildir/\n")
    give(home, alice / ".forward", '# mine\nalice, bob (my other), "|cat >piped"\n')
    give(home, home.home / "alias/.qmail-default", "|fastforward -d aliases.cdb\n")
    home.control("defaulthost", HOST)
    home.control("defaultdomain", "example")
    table = "staff@mail.example: &carol@mail.example, &bob@mail.example;\nowned@mail.example: &carol@mail.example, ?keeper@mail.example;\n"
    subprocess.run(["setforward", "aliases.cdb", "aliases.tmp"], cwd=home.home / "alias", input=table.encode(), check=True, timeout=LIMIT)
    home._give(home.home / "alias/aliases.cdb")
    (home.home / "alias/aliases.cdb").chmod(0o644)
    uid, gid = account()
    script = f'mkdir -p {home.home}/empty/qmail && mount --bind {home.home}/empty /var/lib && mount --bind {home.home} /var/lib/qmail && ' \
        f'exec setpriv --reuid {uid} --regid {gid} --clear-groups "$@"'
    home.wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
    home.start()

    assert home.inject("s@x.example", f"alice@{HOST}", "Subject: one\n\nhello\n") == 0
    [direct] = home.wait_for_messages("alice", 1)
    [forwarded] = home.wait_for_messages("bob", 1)
    assert direct.endswith(b"Subject: one\n\nhello\n")
    assert forwarded.startswith(b"Return-Path: <s@x.example>\nDelivered-To: bob@mail.example\n") and b"\nDelivered-To: alice@mail.example\n" in forwarded
    piped = (alice / "piped").read_bytes()
    assert piped.startswith(b"From s@x.example ") and b"\nReturn-Path: <s@x.example>\nDelivered-To: alice@mail.example\n" in piped
    home.wait_for_log(r"^delivery \d+: success: dot-forward:_info:_qp_\d+/did_1\+0\+1/$")

    assert home.inject("s@x.example", [f"staff@{HOST}", f"owned@{HOST}"], "Subject: two\n\nhello\n") == 0
    messages = home.wait_for_messages("carol", 2)
    home.wait_for_messages("bob", 2)
    assert sorted(m.split(b"\n", 1)[0] for m in messages) == [b"Return-Path: <keeper@mail.example>", b"Return-Path: <s@x.example>"]
    home.wait_for_log(r"^delivery \d+: success: fastforward:_qp_\d+/did_0\+0\+1/$")

    assert home.inject(f"carol@{HOST}", f"unknown@{HOST}", "Subject: three\n\nhello\n") == 0
    bounce = home.wait_for_messages("carol", 3)[-1]
    assert b"<unknown@mail.example>:\nSorry, no mailbox here by that name. (#5.1.1)\n" in bounce
