"""The capturing queue program: behaves like qmail-queue towards its caller and keeps what it was given."""

import os
import pathlib
import re

_PROGRAM = r'''#!/usr/bin/python3 -IS
import os, re, signal, sys
folder, code, error = os.path.dirname(sys.argv[0]), @CODE@, @ERROR@

def read(descriptor):
    parts = []
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)

message, envelope = read(0), read(1)
file = os.open("%s/taken.%d" % (folder, os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
os.write(file, b"%d\n" % len(message) + message + envelope)
if not re.fullmatch(rb"F[^\0]*\0(?:T[^\0]*\0)*\0", envelope):
    os._exit(54)
if error is not None:
    os.write(6, error)
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
'''


def install(path, code, error):
    """Writes the program; it exits `code` (negative: dies by that signal) after writing `error`, if any, to descriptor 6."""
    error = None if error is None else error.encode()
    path.write_text(_PROGRAM.replace("@CODE@", str(code)).replace("@ERROR@", repr(error)))
    path.chmod(0o755)


def taken(path):
    """What the program was given, in order: {message, envelope}, or False where the envelope was incomplete."""
    found = []
    for file in sorted(path.parent.glob("taken.*"), key=lambda file: int(file.suffix[1:])):
        length, rest = file.read_bytes().split(b"\n", 1)
        message, envelope = rest[:int(length)], rest[int(length):]
        is_complete = re.fullmatch(rb"F[^\0]*\0(?:T[^\0]*\0)*\0", envelope)
        found.append({"message": message, "envelope": envelope} if is_complete else False)
    return found
