"""Runs one program as a case says: identity, environment, descriptors, and a limit of time."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import time

import namespaces
from cases import field, to_bytes
from namespaces import ACCOUNTS, BOX, GOLDEN, QMAIL
from sandbox import HOME, QUEUE_PROGRAM, put_places

# A scripted peer may be silent for some seconds; whatever takes longer hangs.
LIMIT = 60


@dataclasses.dataclass
class Run:
    """`exit` is negative for a death by that signal; None where the time was up."""

    exit: int
    stdout: bytes
    stderr: bytes
    began: float
    ended: float


def environment(case, queue=True):
    """PATH, what the case gives, and the capturing queue program unless the real queue is wanted."""
    env = {b"PATH": f"{QMAIL}/bin:/usr/bin:/bin".encode()}
    if queue:
        env[b"QMAILQUEUE"] = str(QUEUE_PROGRAM).encode()
    env.update({name.encode(): put_places(to_bytes(value)) for name, value in case.record.get("env", {}).items()})
    return env


def identity(case):
    """Arguments for subprocess: the account that the case was recorded under."""
    if not namespaces.is_root():
        return {}
    uid = 0 if case.is_root else case.record.get("uid", GOLDEN)
    gid = next((gid for number, gid in ACCOUNTS.values() if number == uid), uid)
    return {"user": uid, "group": gid, "extra_groups": [gid]}


def run(case, program=None, stdout=None, queue=True):
    """Runs the case's program to its end. `stdout`: a descriptor in the place of the file for its output."""
    program = program or case.program
    arguments = [put_places(to_bytes(value)) for value in case.record["argv"]]
    arguments = [case.record.get("argv0", program).encode(), *arguments]
    given = BOX / "stdin"
    given.write_bytes(put_places(field(case.record, "stdin")))
    paths = BOX / "stdout", BOX / "stderr"
    with open(given, "rb") as stdin, open(paths[0], "wb") as out, open(paths[1], "wb") as error:
        began = time.time()
        child = subprocess.Popen(
            arguments, executable=QMAIL / "bin" / program, stdin=stdin, stdout=out if stdout is None else stdout, stderr=error, cwd=HOME,
            env=environment(case, queue), umask=0o022, start_new_session=True, **identity(case))
        code = _wait(child)
        ended = time.time()
    return Run(code, paths[0].read_bytes(), paths[1].read_bytes(), began, ended)


def _wait(child):
    try:
        return child.wait(LIMIT)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # What it may have left in its session is the case's, and ends with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
