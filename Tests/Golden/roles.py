"""Starts one role of martletd by itself in the sandbox, with its sockets, as the supervisor would; ends it."""

import os
import pathlib
import signal
import socket
import struct
import subprocess

import frames
import namespaces
from namespaces import ACCOUNTS, BOX, PROGRAMS, QMAIL
from sandbox import LOG, give

# Accounts of ours that qmail does not know.
OURS = {"qmaila": (1009, 1001), "qmailk": (1010, 1001), "qmailn": (1008, 1001)}
_STREAMS = {"inject", "route", "dns", "admin"}
STOP_LIMIT = 40


class Role:
    """A running role. `account` is whom it runs under when the runner is root."""

    def __init__(self, name, account, boundaries, clock=None):
        listeners = [frames.listen(boundary(b), socket.SOCK_STREAM if b in _STREAMS else socket.SOCK_SEQPACKET) for b in boundaries]
        options = [word for b in boundaries for word in ("--socket", b)]
        # Its end tells a role that its supervisor is gone.
        reading, self._life = os.pipe()
        with open(LOG, "ab") as log:
            self.process = subprocess.Popen(
                ["martletd", "--role", name, "--worker", "0", *options], executable=PROGRAMS / "martletd", cwd=QMAIL, stdin=reading, stdout=log,
                stderr=log, env={"PATH": "/usr/bin:/bin", **accounts_variable(), **(clock.environment if clock else {})}, umask=0o077,
                start_new_session=True, **_start(account, listeners))
        os.close(reading)
        for listener in listeners:
            listener.close()

    def signal(self, name):
        self.process.send_signal(getattr(signal, "SIG" + name))

    def is_idle(self):
        """Whether all its threads wait for something: none is on a processor, in line for one, or waiting for the disk."""
        try:
            threads = [path.read_text() for path in pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/stat")]
        except OSError:
            # A thread has ended meanwhile.
            return False
        return all(thread.rsplit(")", 1)[1].split()[0] in "SZ" for thread in threads)

    def stop(self):
        """An orderly stop; its exit code, None for one that had to be killed."""
        if self.process.poll() is None:
            self.signal("TERM")
        try:
            code = self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            code = None
            self.process.kill()
            self.process.wait()
        os.close(self._life)
        return code


def boundary(name):
    return QMAIL / "run" / name / "socket"


def log():
    return LOG.read_bytes()


def trouble():
    """What the roles of the case have said, for a case that went wrong."""
    said = log().decode(errors="replace")
    return ["the log:\n" + said] if said else []


def accounts_variable():
    """MARTLET_ACCOUNTS as the supervisor sets it; without root there is none."""
    if not namespaces.is_root():
        return {}
    names = {**{name: ACCOUNTS[name] for name in ("alias", "qmaild", "qmaill", "qmailp", "qmailq", "qmailr", "qmails")}, **OURS}
    return {"MARTLET_ACCOUNTS": " ".join(f"{name}:{names[name][0]}:{names[name][1]}" for name in sorted(names))}


def _start(account, listeners):
    """Arguments for subprocess: descriptors 3 and up are the sockets, and the identity is the account's."""
    numbers = [listener.fileno() for listener in listeners]
    uid, gid = ACCOUNTS.get(account, (0, 0))

    def prepare():
        # Out of the way first: a number wanted may be one that is still needed.
        high = [os.dup2(number, 200 + index) for index, number in enumerate(numbers)]
        for index, number in enumerate(high):
            os.dup2(number, 3 + index)
        os.closerange(3 + len(numbers), 300)
        if namespaces.is_root():
            os.setgroups([gid])
            os.setgid(gid)
            os.setuid(uid)

    return {"preexec_fn": prepare, "close_fds": False}


class Clock:
    """Moves the clocks of the roles that are started with it."""

    _library = BOX / "clock.so"
    _file = BOX / "clock"

    def __init__(self):
        if not self._library.exists():
            source = __file__.replace("roles.py", "clock.c")
            subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", self._library, source], check=True, timeout=60, capture_output=True)
        self._file.write_bytes(struct.pack("<q", 0))
        self._file.chmod(0o644)
        self.shift = 0
        self.environment = {"LD_PRELOAD": str(self._library), "GOLDEN_CLOCK": str(self._file)}

    def forward(self, seconds):
        self.shift += seconds
        with open(self._file, "r+b") as file:
            file.write(struct.pack("<q", self.shift))


def prepare_queue():
    """queue/ is of the queue's own account."""
    give(QMAIL / "queue", *ACCOUNTS["qmailq"])
