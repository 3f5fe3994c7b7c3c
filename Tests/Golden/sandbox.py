"""The files of one case: QMAIL with control/ and users/, the working directory home/, and what is different in them after a run."""

import os
import pathlib
import stat

import capture
import namespaces
from cases import to_bytes
from namespaces import ACCOUNTS, BOX, GOLDEN, HOMES, PROGRAMS, QMAIL

HOME = BOX / "home"
PLACES = {"HOME": str(HOME), "HOMES": str(HOMES), "QMAIL": str(QMAIL), "BOX": str(BOX)}
QUEUE_PROGRAM = BOX / "queue" / "take"
# What roles of martletd say in this case.
LOG = BOX / "log"

# First part of a recorded path → the folder it means.
_FOLDERS = {"home": HOME, "control": QMAIL / "control", "users": QMAIL / "users", "queue": QMAIL / "queue"}


class Sandbox:
    """Everything is made anew for each case by `reset`."""

    def __init__(self, names):
        self.names = names

    def reset(self, case):
        """An empty installation with the case's files."""
        for folder in (HOME, QMAIL, HOMES, QUEUE_PROGRAM.parent):
            if folder.exists():
                namespaces.empty(folder)
            folder.mkdir(mode=0o755, exist_ok=True)
        for folder in ("control", "users", "queue", "bin", "alias"):
            (QMAIL / folder).mkdir()
        for name in ACCOUNTS:
            namespaces.home(name).mkdir(exist_ok=True)
            give(namespaces.home(name), *ACCOUNTS[name])
        self.put_programs()
        HOME.chmod(0o755)
        give(HOME, GOLDEN, GOLDEN)
        capture.install(QUEUE_PROGRAM, case.record.get("queue_exit", 0), case.record.get("queue_error"))
        give(QUEUE_PROGRAM.parent, GOLDEN, GOLDEN)
        LOG.write_bytes(b"")
        self._make_files(case)

    def put_programs(self):
        """qmail's names for the programs, as an installation has them."""
        for name, program in self.names.items():
            (QMAIL / "bin" / name).symlink_to(PROGRAMS / program)
        for name in ("martletd", "martlet-lspawn", "qmail"):
            if (PROGRAMS / name).exists():
                (QMAIL / "bin" / name).symlink_to(PROGRAMS / name)

    def _make_files(self, case):
        write_files(case.record.get("files", {}))
        for name, mode in (case.record.get("modes") or {}).items():
            place(name).chmod(int(mode, 8))
        for name, at in (case.record.get("mtimes") or {}).items():
            os.utime(place(name), (at, at))

    def snapshot(self):
        """{recorded path, of a directory with a slash behind it: (mode, content; None for a directory)} of home/, control/ and users/."""
        found = {}
        for first in ("home", "control", "users"):
            for path in _FOLDERS[first].rglob("*"):
                info = path.lstat()
                content = None if stat.S_ISDIR(info.st_mode) else path.read_bytes() if stat.S_ISREG(info.st_mode) else b"(special)"
                found[f"{first}/{path.relative_to(_FOLDERS[first])}{'/' * (content is None)}"] = (f"{stat.S_IMODE(info.st_mode):04o}", content)
        return found


def changes(before, after):
    """Differences of two snapshots, in the shape of `expect.files` with contents as bytes."""
    found = {}
    for path in before.keys() | after.keys():
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        if new is None:
            found[path] = None
        elif old is None:
            found[path] = {"dir": True, "mode": new[0]} if new[1] is None else {"mode": new[0], "content": new[1]}
        elif old[0] == new[0]:
            found[path] = new[1]
        else:
            found[path] = {"mode": new[0]} if old[1] == new[1] else {"mode": new[0], "content": new[1]}
    return found


def write_files(files):
    """Recorded paths with contents; a path that ends in a slash is a directory."""
    for name, content in files.items():
        path = place(name)
        if name.endswith("/"):
            _make_folder(path)
        else:
            _make_folder(path.parent)
            path.write_bytes(put_places(to_bytes(content)))
            _give_to_owner(path)


def _make_folder(path):
    if not path.exists():
        _make_folder(path.parent)
        path.mkdir()
        _give_to_owner(path)


def _give_to_owner(path):
    if path.is_relative_to(HOME):
        give(path, GOLDEN, GOLDEN)


def place(name):
    """Where a recorded path is."""
    first, _, rest = name.partition("/")
    return _FOLDERS[first] / rest


def put_places(text):
    for name, path in PLACES.items():
        text = text.replace(f"<{name}>".encode(), path.encode())
    return text


def give(path, uid, gid):
    """Where only one account is mapped, everything is its own anyway."""
    if namespaces.is_root():
        os.chown(path, uid, gid, follow_symlinks=False)
