"""A qmail home built by hand, as qmail §4.1 describes it: for tests of the import, and as a program for measuring one.

    qmail_home.py DIR MESSAGES [BYTES]     a queue of routed messages below DIR, remote recipients, due far in the future
"""

import os
import pathlib
import sys

KINDS = ("mess", "info", "local", "remote")
NANOSECOND = 123456789


class QmailHome:
    """Folders as qmail's installation makes them. `split` is conf-split; `split_todo` is what the big-todo patch does to todo and intd."""

    def __init__(self, path, split=23, split_todo=False):
        self.path = pathlib.Path(path)
        self.queue = self.path / "queue"
        self.split = split
        self.split_todo = split_todo
        for name in ("control", "users", "alias", "queue/lock", "queue/pid", "queue/bounce"):
            (self.path / name).mkdir(parents=True)
        for kind in KINDS + (("todo", "intd") if split_todo else ()):
            for part in range(split):
                (self.queue / kind / str(part)).mkdir(parents=True)
        if not split_todo:
            (self.queue / "todo").mkdir()
            (self.queue / "intd").mkdir()
        (self.queue / "lock/sendmutex").touch()
        (self.queue / "lock/tcpto").write_bytes(bytes(1024))
        os.mkfifo(self.queue / "lock/trigger", 0o622)

    def file(self, kind, number):
        """Where qmail keeps the file of that kind."""
        is_split = kind in KINDS or self.split_todo and kind in ("todo", "intd")
        return self.queue / kind / str(number % self.split) / str(number) if is_split else self.queue / kind / str(number)

    def write(self, kind, number, data, time=None):
        path = self.file(kind, number)
        path.write_bytes(data)
        if time is not None:
            os.utime(path, ns=(time * 10**9 + NANOSECOND, time * 10**9 + NANOSECOND))

    def message(self, content, uid=1000, pid=4711):
        """Puts a content into mess, named by its inode as qmail does; the number."""
        temporary = self.queue / "pid/new"
        temporary.write_bytes(b"Received: (qmail %d invoked by uid %d); 24 Nov 2026 07:00:48 -0000\n" % (pid, uid) + content)
        number = temporary.stat().st_ino
        temporary.rename(self.file("mess", number))
        return number

    def queued(self, sender, recipients, content, uid=1000, pid=4711, birth=None, with_intd=True):
        """S4: not preprocessed."""
        number = self.message(content, uid, pid)
        if birth:
            os.utime(self.file("mess", number), (birth, birth))
        envelope = b"u%d\0p%d\0" % (uid, pid) + record("F", sender) + b"".join(record("T", r) for r in recipients)
        self.write("todo", number, envelope)
        if with_intd:
            os.link(self.file("todo", number), self.file("intd", number))
        return number

    def routed(self, sender, content, local=None, remote=None, bounce=None, birth=0, next_local=None, next_remote=None, pid=4711):
        """S5. Recipients are given as "Ta@b" or "Da@b"; None: the channel's file is gone."""
        number = self.message(content, pid=pid)
        self.write("info", number, record("F", sender), birth)
        for kind, recipients, due in (("local", local, next_local), ("remote", remote, next_remote)):
            if recipients is not None:
                self.write(kind, number, b"".join(record(r[0], r[1:]) for r in recipients), birth if due is None else due)
        if bounce is not None:
            self.write("bounce", number, bounce)
        return number

    def give(self, uid, gid):
        """All of it to an account; a chown would be a change, so it comes before any snapshot."""
        for path in [self.path, *self.path.rglob("*")]:
            os.chown(path, uid, gid, follow_symlinks=False)

    def control(self, name, text):
        (self.path / "control" / name).write_text(text)

    def snapshot(self):
        """Everything below this home that an import must not change: names, modes, times of modification, contents."""
        return {str(path.relative_to(self.path)): self._state(path) for path in [self.path, *self.path.rglob("*")]}

    @staticmethod
    def _state(path):
        info = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        return info.st_ino, info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns, info.st_nlink, content


def record(letter, text):
    return letter.encode() + (text if isinstance(text, bytes) else text.encode()) + b"\0"


def main(path, messages, size=4000):
    home = QmailHome(path)
    body = b"Subject: measured\n\n" + b"x" * 69 + b"\n"
    body += body * (int(size) // len(body))
    for number in range(int(messages)):
        home.routed(
            f"sender{number}@origin.example", body[:int(size)], remote=[f"Tuser{number}@dest{number % 500}.example"], birth=1795000000,
            next_remote=4000000000)


if __name__ == "__main__":
    main(*sys.argv[1:])
