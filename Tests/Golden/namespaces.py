"""A private view of the machine for one worker, so that the machine itself stays as it is: mounts, host name, network and process numbers of its own.

`command()` starts a worker in new namespaces; `furnish()`, called there first, makes them look like the host that the cases were recorded on.
"""

import ctypes
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess

HOST = "mx.golden.example"
GOLDEN = 2001
ACCOUNTS = {
    "alias": (1001, 1001), "qmaild": (1002, 1001), "qmaill": (1003, 1001), "qmailp": (1004, 1001), "qmailq": (1005, 1002),
    "qmailr": (1006, 1002), "qmails": (1007, 1002),
    "golden": (GOLDEN, GOLDEN), "alice": (2002, 2002), "bob": (2003, 2003), "ann": (2004, 2004), "ann-marie": (2005, 2005),
}
GROUPS = {"nofiles": 1001, "qmail": 1002, "golden": GOLDEN, "alice": 2002, "bob": 2003, "ann": 2004, "ann-marie": 2005}

# Everything lies below /var, which is a memory file system of the worker's.
VAR = pathlib.Path("/var")
QMAIL = VAR / "qmail"
BOX = VAR / "box"
HOMES = VAR / "homes"
PROGRAMS = BOX / "programs"

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 1, 32, 4096, 16384
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_libc = ctypes.CDLL(None, use_errno=True)


def is_root():
    """Whether workers may be every account; else they are `golden` alone."""
    return os.geteuid() == 0


def command(arguments):
    """Arguments that run `arguments` in namespaces of their own; all processes in there end with the worker."""
    account = [] if is_root() else ["--user", f"--map-user={GOLDEN}", f"--map-group={GOLDEN}", "--keep-caps"]
    return ["unshare", *account, "--mount", "--uts", "--net", "--ipc", "--pid", "--fork", "--kill-child", *arguments]


def are_allowed():
    """None, or why this machine does not let us make namespaces."""
    run = subprocess.run(command(["true"]), capture_output=True, timeout=20)
    return None if run.returncode == 0 else run.stderr.decode(errors="replace").strip()


def furnish(programs, scratch):
    """Makes the sandbox out of the empty folder `scratch`; `programs` is the folder with the programs under test."""
    _mount("tmpfs", scratch, "tmpfs", 0, "mode=755,size=512m")
    made = pathlib.Path(scratch)
    for name in ("qmail", "box/programs", "homes", "tmp", "etc"):
        (made / name).mkdir(parents=True)
    _mount(programs, made / "box/programs", None, MS_BIND)
    _mount(programs, made / "box/programs", None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    for name, text in _etc().items():
        (made / "etc" / name).write_text(text)
        if pathlib.Path("/etc", name).exists():
            _mount(made / "etc" / name, f"/etc/{name}", None, MS_BIND)
    _mount("proc", "/proc", "proc", 0)
    # Bind mounts are not recursive by default; the programs' must come along.
    _mount(scratch, VAR, None, MS_BIND | MS_REC)
    socket.sethostname(HOST)
    _raise_loopback()
    _answer_for("192.0.2.0", 24)
    # The rights of a user namespace are for this process; what it runs is an ordinary user.
    _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    os.umask(0o022)
    os.chdir("/")


def _etc():
    system = [line for line in pathlib.Path("/etc/passwd").read_text().splitlines() if int(line.split(":")[2]) < 100 or line.startswith("nobody:")]
    groups = [line for line in pathlib.Path("/etc/group").read_text().splitlines() if int(line.split(":")[2]) < 100 or line.startswith("nogroup:")]
    return {
        "passwd": "\n".join(system + [f"{name}:x:{uid}:{gid}::{home(name)}:/bin/sh" for name, (uid, gid) in ACCOUNTS.items()]) + "\n",
        "group": "\n".join(groups + [f"{name}:x:{gid}:" for name, gid in GROUPS.items()]) + "\n",
        "hosts": "127.0.0.1 localhost\n",
        "resolv.conf": "nameserver 127.0.0.1\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }


def home(name):
    return QMAIL / "alias" if name == "alias" else HOMES / name


def _mount(source, target, kind, flags, data=None):
    encoded = [None if value is None else os.fsencode(value) for value in (source, target, kind)]
    if _libc.mount(*encoded, flags, data.encode() if data else None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def _raise_loopback():
    SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("16sh22x", b"lo", 0))
        flags = struct.unpack("16sh22x", request)[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def _answer_for(network, bits):
    """Makes every address of the network one that this host answers, without giving it to an interface (`ip route add local … dev lo`)."""
    NEWROUTE, REQUEST, ACK, CREATE = 24, 1, 4, 0x400
    LOCAL_TABLE, STATIC, HOST_SCOPE, LOCAL_TYPE, DESTINATION, INTERFACE = 255, 4, 254, 2, 1, 4
    route = struct.pack("BBBBBBBBI", socket.AF_INET, bits, 0, 0, LOCAL_TABLE, STATIC, HOST_SCOPE, LOCAL_TYPE, 0)
    route += struct.pack("HH4s", 8, DESTINATION, socket.inet_aton(network)) + struct.pack("HHI", 8, INTERFACE, socket.if_nametoindex("lo"))
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(struct.pack("IHHII", 16 + len(route), NEWROUTE, REQUEST | ACK | CREATE, 1, 0) + route)
        error = struct.unpack_from("i", kernel.recv(4096), 16)[0]
    if error:
        raise OSError(-error, os.strerror(-error), network)


def empty(folder):
    """Removes what is in the folder, whatever its modes are."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            for path, names, _ in os.walk(entry):
                for name in names:
                    if not os.path.islink(os.path.join(path, name)):
                        os.chmod(os.path.join(path, name), 0o700)
            shutil.rmtree(entry)
        else:
            entry.unlink()
