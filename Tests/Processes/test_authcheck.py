"""martlet-authcheck: what it asks, and what it believes. The test plays role auth on descriptor 0, and lspawn's part too; one test has the real lspawn."""

import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import pytest

from auth_role import DENIED, counted, hashed, identity
from martlet import LIMIT, account, as_account, is_running, processes, wait_until
from test_lspawn import ROOT as IS_ROOT
from test_openings import office  # noqa: F401
from test_privileged import can_have_a_namespace

SYSTEM, PAM, SHADOW, PROGRAM = 1, 2, 3, 4
POP3 = 2
TROUBLE = 67


class Home:
    def __init__(self, programs):
        self.folder = tempfile.TemporaryDirectory(prefix="martlet-authcheck-")
        self.path = pathlib.Path(self.folder.name)
        self.path.chmod(0o755)
        (self.path / "control").mkdir()
        self.programs = programs
        self.wrapper = []

    def allow(self, *lines):
        (self.path / "control/authbackends").write_text("".join(line + "\n" for line in lines))

    def program(self, text, name="checkpw"):
        path = self.path / name
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def start(self, **options):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(LIMIT)
        process = subprocess.Popen(
            [*self.wrapper, self.programs / "martlet-authcheck"], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.path,
            env={"PATH": os.environ["PATH"], "QMAILHOME": str(self.path)}, **options)
        theirs.close()
        return ours, process

    def ask(self, method, login, password, program="", timestamp=b"", raw=None, **options):
        """The answer's packet."""
        ours, process = self.start(**options)
        with ours:
            packet = raw if raw is not None else bytes([1, method, POP3]) + b"".join(
                counted(f) for f in (program.encode(), login.encode(), password, timestamp, b"192.0.2.1"))
            ours.send(packet)
            answer = ours.recv(1 << 16)
        output, _ = process.communicate(timeout=LIMIT)
        self.output, self.code = output.decode(), process.returncode
        return answer


@pytest.fixture
def home(programs):
    home = Home(programs)
    yield home
    home.folder.cleanup()


# A checkpassword of our own making: it reads descriptor 3 and goes to /tmp.
CHECKPW = """#!/usr/bin/python3
import os, sys
with os.fdopen(3, "rb") as file:
    login, password, timestamp, rest = file.read().split(b"\\0", 3)
if (login, password, timestamp) != (b"alice", b"secret", b"<1@x>"):
    sys.exit(1)
os.chdir("/tmp")
os.environ["USER"] = "alice@example.org"
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_checkpassword_program(home):
    path = home.program(CHECKPW)
    home.allow("accounts", f"program {path}")
    uid, gid = account()
    answer = home.ask(PROGRAM, "alice", b"secret", path, b"<1@x>", **as_account())
    assert answer == identity(uid, gid, b"alice@example.org", b"/tmp")
    assert (home.code, home.output) == (0, "")
    assert home.ask(PROGRAM, "alice", b"wrong", path, b"<1@x>", **as_account()) == DENIED
    # More than 512 bytes, or a NUL that would shift the fields: nobody.
    assert home.ask(PROGRAM, "alice", b"x" * 600, path, **as_account()) == DENIED
    assert home.ask(PROGRAM, "alice", b"secret\0<1@x>\0", path, **as_account()) == DENIED


@pytest.mark.skipif(os.geteuid() != 0, reason="root comes out only where root goes in")
def test_a_program_that_stays_root_lets_nobody_in(home):
    path = home.program(CHECKPW)
    home.allow(f"program {path}")
    assert home.ask(PROGRAM, "alice", b"secret", path, b"<1@x>") == DENIED


@pytest.mark.parametrize("script, kind", [
    ("exit 1", 66), ("exit 3", 66), ("exit 255", 66), ("exit 2", TROUBLE), ("exit 111", TROUBLE), ("exit 0", TROUBLE), ("kill -9 $$", TROUBLE),
    ("echo 1000; exit 0", TROUBLE), (r"printf '0\0000\000root\000/\000'; exit 0", 66), (r"printf '7\0007\000joe\000relative\000'; exit 0", TROUBLE),
    ("head -c 100000 /dev/zero; exit 0", TROUBLE), ("exec 1>&- ; exit 1", 66), ("sleep 1000 & exit 1", 66),
])
def test_what_a_program_says_by_its_end(home, script, kind):
    path = home.program(f"#!/bin/sh\n{script}\n")
    home.allow(f"program {path}")
    began = time.monotonic()
    answer = home.ask(PROGRAM, "alice", b"cAnArY", path, **as_account())
    assert answer[0] == kind
    assert time.monotonic() - began < 10
    assert b"cAnArY" not in answer and "cAnArY" not in home.output
    assert not any(a[:1] == ["sleep"] and "1000" in a for _, a in processes().values())


def test_our_own_checkpassword_serves_it(home):
    """Ours reads the same descriptor 3; the account is nobody's."""
    path = str(home.programs / "checkpassword")
    home.allow(f"program {path}")
    assert home.ask(PROGRAM, "nobody", b"wrong", path, **as_account()) == DENIED


def test_a_program_that_hangs_is_ended_with_what_it_started(home):
    nap = str(100_000 + os.getpid())  # told from everybody else's
    path = home.program(f"#!/bin/sh\nsleep {nap} &\nsleep {nap}\n")
    home.allow(f"program {path}")
    began = time.monotonic()
    answer = home.ask(PROGRAM, "alice", b"x", path, **as_account())
    assert answer[0] == TROUBLE and b"within 20 seconds" in answer
    assert 15 < time.monotonic() - began < 30
    wait_until(lambda: not any(nap in a for _, a in processes().values()), "children of the program live on")


def test_only_what_the_site_names_is_run(home):
    """Somebody who has taken auth over cannot have root run what he likes."""
    path = home.program("#!/bin/sh\ntouch ran\n")
    for lines in (None, ["accounts"], [f"program {path} "[:-1] + "x"], ["system", "pam"]):
        if lines is not None:
            home.allow(*lines)
        answer = home.ask(PROGRAM, "alice", b"x", path)
        assert answer[0] == TROUBLE and b"does not name" in answer
    home.allow("system")
    assert b"does not name" in home.ask(SHADOW, "alice", b"x")
    assert b"does not name" in home.ask(PAM, "alice", b"x")
    assert not (home.path / "ran").exists()


@pytest.mark.parametrize("packet", [b"\x02", b"\x01", b"\x01\x09\x02" + b"\0" * 10, b"\x01\x04\x02" + b"\xff\xff", b"\x01\x01\x02" + b"\0" * 10 + b"more"])
def test_what_is_no_question_has_no_answer(home, packet):
    home.allow("system")
    assert home.ask(SYSTEM, "", b"", raw=packet) == b""
    assert home.code == 111


@pytest.mark.parametrize("stdin", ["null", "stream", "pipe"])
def test_it_runs_for_lspawn_alone(home, stdin):
    ours, theirs = socket.socketpair() if stdin == "stream" else map(os.fdopen, os.pipe(), "rw")
    with ours, theirs:
        source = subprocess.DEVNULL if stdin == "null" else ours
        done = subprocess.run([home.programs / "martlet-authcheck"], stdin=source, capture_output=True, cwd=home.path, timeout=LIMIT)
    assert done.returncode == 100 and b"no socket of auth's" in done.stderr


def test_nobody_asks(home):
    ours, process = home.start()
    ours.close()
    assert process.wait(LIMIT) == 111


# As root, with accounts of the test's own


needs_namespace = pytest.mark.skipif(not can_have_a_namespace(), reason="needs root and mount namespaces")


@pytest.fixture
def system(home):
    """passwd, shadow and pam.d lie over the machine's in a namespace of the process's own."""
    etc = home.path / "etc"
    etc.mkdir()
    password = hashed(b"secret")
    (etc / "passwd").write_text(
        "root:x:0:0::/root:/bin/sh\nalice:x:7101:7101::/home/alice:/bin/sh\nlocked:x:7102:7102::/home/locked:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n"
        "expired:x:7103:7103::/home/expired:/bin/sh\nempty:x:7104:7104::/home/empty:/bin/sh\n")
    (etc / "shadow").write_text(
        f"root:{password}:19000:0:99999:7:::\nalice:{password}:19000:0:99999:7:::\nlocked:!{password}:19000:0:99999:7:::\n"
        f"toor:{password}:19000:0:99999:7:::\nexpired:{password}:19000:0:99999:7::19001:\nempty::19000:0:99999:7:::\n")
    (etc / "shadow").chmod(0o600)
    (etc / "pam.d").mkdir()
    mounts = " && ".join(f"mount --bind {etc}/{name} /etc/{name}" for name in ("passwd", "shadow", "pam.d"))
    home.wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    home.allow("system", "pam", "shadow")

    def service(*lines):
        (etc / "pam.d/martlet").write_text("".join(f"{line}\n" for line in lines))
    home.service = service
    return home


ALICE = identity(7101, 7101, b"alice", b"/home/alice")


@needs_namespace
@pytest.mark.parametrize("login, password, answer", [
    ("alice", b"secret", ALICE), ("alice", b"wrong", DENIED), ("alice", b"", DENIED), ("nobody", b"secret", DENIED), ("", b"secret", DENIED),
    ("root", b"secret", DENIED), ("toor", b"secret", DENIED), ("locked", b"secret", DENIED), ("expired", b"secret", DENIED), ("empty", b"", DENIED),
    ("empty", b"x", DENIED), ("alice\0x", b"secret", DENIED)])
def test_shadow(system, login, password, answer):
    assert system.ask(SHADOW, login, password) == answer


@needs_namespace
@pytest.mark.parametrize("lines, login, answer", [
    (["auth required pam_permit.so", "account required pam_permit.so"], "alice", ALICE),
    (["auth required pam_deny.so", "account required pam_permit.so"], "alice", DENIED),
    # Who knows the password, but may not come in.
    (["auth required pam_permit.so", "account required pam_deny.so"], "alice", DENIED),
    (["auth required pam_permit.so", "account required pam_permit.so"], "root", DENIED),
    (["auth required pam_permit.so", "account required pam_permit.so"], "toor", DENIED),
    (["auth required pam_permit.so", "account required pam_permit.so"], "nobody-here", DENIED),
    (["auth required pam_unix.so", "account required pam_unix.so"], "alice", ALICE),
    (["auth required pam_unix.so", "account required pam_unix.so"], "expired", DENIED),
    (["auth required pam_unix.so", "account required pam_unix.so"], "locked", DENIED),
])
def test_pam(system, lines, login, answer):
    system.service(*lines)
    began = time.monotonic()
    assert system.ask(PAM, login, b"secret") == answer
    # pam_unix would sleep two seconds after a failure.
    assert time.monotonic() - began < 1.5
    # With a service of ours, PAM is the system's way.
    assert system.ask(SYSTEM, login, b"secret") == answer


@needs_namespace
def test_pam_tells_a_wrong_password(system):
    system.service("auth required pam_unix.so", "account required pam_unix.so")
    assert system.ask(PAM, "alice", b"wrong") == DENIED


@needs_namespace
def test_pam_in_trouble_is_no_verdict(system):
    system.service("auth required pam_no_such_module.so", "account required pam_permit.so")
    assert system.ask(PAM, "alice", b"secret")[0] == TROUBLE


@needs_namespace
def test_without_a_service_the_system_is_the_shadow_file(system):
    assert system.ask(SYSTEM, "alice", b"secret") == ALICE
    assert system.ask(SYSTEM, "alice", b"wrong") == DENIED


# lspawn's part


def test_lspawn_starts_it_as_itself(office):  # noqa: F811
    """The script that stands for the program tells what it was given."""
    import array
    ours, theirs = socket.socketpair()
    ours.settimeout(LIMIT)
    office.opening.sendmsg([b"\x02"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
    theirs.close()
    text = b""
    while not text.endswith(b"END\n"):
        piece = ours.recv(1 << 16)
        assert piece
        text += piece
    lines = text.decode().splitlines()
    assert lines[1] == str(os.geteuid())
    assert lines[4:7] == [str(office.home), "USER= HOME= SECRET=", f"QMAILHOME={office.home}"]
    assert lines[7] == "0077" and lines[9] == "0"
    ours.close()


@pytest.mark.parametrize("packet, descriptors", [(b"\x02", 0), (b"\x02x", 1)])
def test_lspawn_drops_who_orders_no_check(office, packet, descriptors):  # noqa: F811
    office.order(raw=packet, descriptors=descriptors)
    assert office.opening.recv(1) == b""
