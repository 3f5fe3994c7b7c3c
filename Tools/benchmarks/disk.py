"""The disk that is measured, and a second one: ext4 with a journal, in a file."""

import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

IMAGE_BYTES = 6 << 30
# More inodes than mke2fs makes by default: Postfix keeps each held message in a file.
IMAGE_BYTES_PER_INODE = 8192
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
PROBE_SYNCS = 300


def file_system(directory):
    """Its kind, in words."""
    found = subprocess.run(["findmnt", "-no", "SOURCE,FSTYPE", "-T", directory], capture_output=True, text=True).stdout.split()
    if len(found) != 2:
        return "a file system of unknown kind"
    source, kind = found
    if kind == "ext4":
        # The kernel keeps a folder of statistics for each journal.
        kind += " with a journal" if list(pathlib.Path("/proc/fs/jbd2").glob(f"{os.path.basename(source)}-*")) else " without a journal"
    return f"{kind} on {source}"


def syncs_a_second(directory):
    """Overwrites of 4 KiB, each with fdatasync: what a single writer could get at most."""
    with tempfile.NamedTemporaryFile(dir=directory) as file:
        file.write(bytes(1 << 20))
        file.flush()
        os.fsync(file.fileno())
        start = time.monotonic()
        for number in range(PROBE_SYNCS):
            os.pwrite(file.fileno(), b"x" * 4096, number % 256 * 4096)
            os.fdatasync(file.fileno())
        return PROBE_SYNCS / (time.monotonic() - start)


def machine():
    memory = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / (1 << 20)
    postfix = subprocess.run(["postconf", "-hd", "mail_version"], capture_output=True, text=True).stdout.strip()
    return f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB of memory, Linux {os.uname().release.split('-')[0]}, Postfix {postfix}"


def free_bytes(directory):
    return shutil.disk_usage(directory).free


class NoImage(Exception):
    """Why there is no second disk."""


@contextlib.contextmanager
def journaled_image(directory):
    """Mounts a new ext4 that lives in a file below `directory`; its path. Nobody else sees the mount, and nothing of it outlives this process."""
    if free_bytes(directory) < IMAGE_BYTES + (1 << 30):
        raise NoImage(f"needs {(IMAGE_BYTES + (1 << 30)) / 1e9:.0f} GB of disk, {free_bytes(directory) / 1e9:.0f} GB are free")
    image, mount = directory / "ext4.image", directory / "ext4"
    try:
        with open(image, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, IMAGE_BYTES)
        mount.mkdir()
        _own_mounts()
        _call("mkfs.ext4", "-q", "-F", "-i", str(IMAGE_BYTES_PER_INODE), "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
        _call("mount", "-t", "ext4", "-o", "loop", image, mount)
    except OSError as error:
        raise NoImage(str(error)) from None
    finally:
        # The mount keeps the blocks as long as it is there.
        image.unlink(missing_ok=True)
    try:
        mount.chmod(0o755)
        yield mount
    finally:
        _call("umount", "--lazy", mount)


def _own_mounts():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "no mounts of its own: " + os.strerror(ctypes.get_errno()))


def _call(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise OSError(f"{arguments[0]}: {done.stderr.strip() or done.returncode}")
