"""A private Martlet for one test: its own home, a free port, an account that is not root. Every wait has a limit; processes are ended by number."""

import contextlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
HOST = "mail.example"

# What a wait may take on a loaded machine; most take milliseconds.
LIMIT = 30.0
# martletd's own limit for an orderly stop is 30 s.
STOP_LIMIT = 40.0


class TooLong(AssertionError):
    """Something that had to happen did not."""


def wait_until(condition, what, limit=LIMIT):
    """The first true value of `condition()`, asked until `limit` seconds have passed."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TooLong(f"{what() if callable(what) else what} (waited {limit} s)")
        time.sleep(0.01)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def account():
    """(uid, gid) that a private Martlet runs under: this process's own, or nobody's for root."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def as_account():
    """Arguments for subprocess that start a program under `account()`."""
    if os.geteuid() != 0:
        return {}
    uid, gid = account()
    return {"user": uid, "group": gid, "extra_groups": []}


def copy_programs(target):
    """The programs under test with qmail's names, where every account can reach them."""
    source = pathlib.Path(os.environ.get("MARTLET_BIN", ROOT / ".build/release"))
    for name in ("martletd", "martlet", "martlet-tls", "qmail", "qmail-inject", "martlet-lspawn"):
        shutil.copy(source / name, target / name)
        os.chmod(target / name, 0o755)
    for name, program in command_names(target).items():
        if name != program:
            os.symlink(program, target / name)


def command_names(programs):
    """{name: program} of what is linked to a program of ours under qmail's name."""
    lines = subprocess.run([programs / "qmail", "--names"], capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    return {name: program for name, _, program in map(str.split, lines.splitlines())}


def processes():
    """{pid: (parent's pid, arguments)} of everything that runs now; zombies left out."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            state, parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                found[int(entry.name)] = (int(parent), (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1])
    return found


def below(pid):
    """Process numbers of all descendants of `pid`."""
    parents = {child: parent for child, (parent, _) in processes().items()}
    found, waiting = set(), {pid}
    while waiting:
        waiting = {child for child, parent in parents.items() if parent in waiting} - found
        found |= waiting
    return found


def peak_memory(pid):
    """KiB at most so far of the program that runs now; `ru_maxrss` would count what its parent held as well."""
    return int(re.search(r"^VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def is_running(pid):
    return pid in processes()


class Martlet:
    """One home and its martletd. `start()` it after the control files are as the test wants them."""

    def __init__(self, programs):
        self.programs = pathlib.Path(programs)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="martlet-"))
        self.log_path = self.home / "log"
        self.supervisor = None
        self.address = None
        # Of each door, its last TCP address.
        self.doors = {}
        # Arguments in front of martletd's, for what starts it elsewhere; they see to the account then.
        self.wrapper = []
        self._seen = set()
        for name in ("control", "users", "alias", "queue", "run", "home"):
            (self.home / name).mkdir(mode=0o755)
        (self.home / "bin").symlink_to(self.programs)
        self.home.chmod(0o755)
        self._give(self.home, *self.home.iterdir())
        self.control("me", HOST)
        self.control("locals", HOST)
        self.control("rcpthosts", HOST)
        self.control("defaultdelivery", "./Maildir/")
        self.control("smtplisten", "127.0.0.1:0")

    # Files

    def _give(self, *paths):
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, *account(), follow_symlinks=False)

    def control(self, name, text):
        """Writes control/NAME, text or bytes, as an editor does: a new file over the old one. None removes it."""
        path = self.home / "control" / name
        if text is None:
            path.unlink(missing_ok=True)
            return
        new = path.with_name(f".{name}.new")
        data = text if isinstance(text, bytes) else (text + "\n").encode()
        new.write_bytes(data)
        self._give(new)
        new.rename(path)

    def user(self, name):
        """Makes the user NAME with a Maildir; its home."""
        home = self.home / "home" / name
        for path in (home, home / "Maildir", *(home / "Maildir" / part for part in ("tmp", "new", "cur"))):
            path.mkdir(mode=0o700)
            self._give(path)
        return home

    # Life

    def start(self):
        """Starts martletd and waits until it is ready."""
        said = len(self.log())
        self.launch()
        ready = self.wait_for_log(r"^martletd: ready: (.*)$", after=said)
        self.doors = {door: (host.strip("[]"), int(port)) for door, host, port in re.findall(r"(\w+) on (\S+?):(\d+)(?:,|$)", ready[1])}
        self.address = self.doors.get("smtp")
        return self

    def launch(self):
        """Starts martletd without waiting for anything."""
        with open(self.log_path, "ab") as log:
            self.supervisor = subprocess.Popen(
                [*self.wrapper, self.programs / "martletd", self.home], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                **({} if self.wrapper else as_account()))
        return self

    def run_to_end(self, limit=LIMIT):
        """For a martletd that must not start: its exit code and everything it said."""
        self.launch()
        try:
            code = self.supervisor.wait(limit)
        except subprocess.TimeoutExpired:
            raise TooLong("martletd still runs:\n" + self.log()) from None
        return code, self.log()

    def stop(self, limit=STOP_LIMIT):
        """An orderly stop; martletd's exit code."""
        self.send_signal(signal.SIGTERM)
        try:
            return self.supervisor.wait(limit)
        except subprocess.TimeoutExpired:
            raise TooLong("martletd did not stop:\n" + self.log()) from None

    def send_signal(self, number):
        self._seen |= below(self.supervisor.pid)
        os.kill(self.supervisor.pid, number)

    def clean(self):
        """Ends what is left, by number, and removes the home."""
        self.end()
        shutil.rmtree(self.home, ignore_errors=True)

    def end(self):
        """Ends what is left, by number."""
        if self.supervisor:
            left = self._seen | below(self.supervisor.pid)
            self.supervisor.kill()
            self.supervisor.wait()
            for pid in left:
                # A number may have gone to somebody else meanwhile: only what runs our programs is ours.
                if self._is_ours(pid):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            wait_until(lambda: not any(self._is_ours(pid) for pid in left), "processes do not end")
            self.supervisor = None

    def _is_ours(self, pid):
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{pid}/exe").startswith(f"{self.programs}/")
        return False

    # Processes

    def pids(self):
        """{role: [pid, …]} of what the supervisor keeps; `lspawn` too."""
        found = {}
        for pid, (parent, arguments) in processes().items():
            if parent != self.supervisor.pid or not arguments:
                continue
            if "--role" in arguments:
                found.setdefault(arguments[arguments.index("--role") + 1], []).append(pid)
            elif arguments[0].endswith("martlet-lspawn"):
                found.setdefault("lspawn", []).append(pid)
        self._seen |= below(self.supervisor.pid)
        return found

    def pid(self, role):
        """The number of the role's process, the first worker's; waits until there is one."""
        return wait_until(lambda: self.pids().get(role), lambda: f"no {role} runs:\n{self.log()}")[0]

    def kill(self, role, number=signal.SIGKILL):
        """Kills the role's process; its old number."""
        pid = self.pid(role)
        os.kill(pid, number)
        wait_until(lambda: not is_running(pid) if number == signal.SIGKILL else True, f"{role} does not die")
        return pid

    # Mail

    def smtp(self, **options):
        """A connected smtplib client."""
        return smtplib.SMTP(*self.address, timeout=LIMIT, **options)

    def send(self, sender, recipients, message):
        """One message in one session; smtplib raises for a refusal. Recipients without host are at this one."""
        recipients = [r if "@" in r else f"{r}@{HOST}" for r in ([recipients] if isinstance(recipients, str) else recipients)]
        with self.smtp() as client:
            return client.sendmail(sender, recipients, message)

    def command(self, name, *arguments, stdin=b"", environment=None, limit=LIMIT, **options):
        """Runs one of qmail's commands against this home; a CompletedProcess with bytes."""
        return subprocess.run(
            [self.programs / name, *arguments], input=stdin, capture_output=True, timeout=limit, cwd="/",
            env={"PATH": os.environ["PATH"], "QMAILHOME": str(self.home), **(environment or {})}, **{**as_account(), **options})

    def inject(self, sender, recipients, message):
        """One message by qmail-queue, which takes any bytes and asks nobody whether a mailbox exists; its exit code."""
        recipients = [recipients] if isinstance(recipients, str) else recipients
        envelope, write_end = os.pipe()
        try:
            # Less than a pipe holds.
            os.write(write_end, f"F{sender}\0{''.join(f'T{r}{chr(0)}' for r in recipients)}\0".encode(errors="surrogateescape"))
            os.close(write_end)
            with tempfile.TemporaryFile() as file:
                file.write(message if isinstance(message, bytes) else message.encode())
                file.seek(0)
                return subprocess.run(
                    [self.programs / "qmail-queue"], stdin=file, stdout=envelope, timeout=LIMIT, cwd="/",
                    env={"PATH": os.environ["PATH"], "QMAILHOME": str(self.home)}, **as_account()).returncode
        finally:
            os.close(envelope)

    def messages(self, user):
        """The messages in a user's Maildir, as bytes, in the order of their names."""
        files = sorted((self.home / "home" / user / "Maildir/new").iterdir())
        return [file.read_bytes() for file in files]

    def wait_for_messages(self, user, count, limit=LIMIT):
        """Waits until the user's Maildir holds at least `count` messages; all of them."""
        wait_until(lambda: len(self.messages(user)) >= count, lambda: f"{user} has {len(self.messages(user))} of {count}:\n{self.log()}", limit)
        return self.messages(user)

    # Log

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_for_log(self, pattern, limit=LIMIT, after=0):
        """Waits for a line that matches; the match. `after` skips that many characters, as `len(log())` gives them."""
        def find():
            return re.compile(pattern, re.M).search(self.log(), after) or (self.supervisor.poll() is not None and "ended")

        match = wait_until(find, lambda: f"no line like {pattern!r} in\n{self.log()}", limit)
        if match == "ended":
            match = re.compile(pattern, re.M).search(self.log(), after)
            if not match:
                raise AssertionError(f"martletd ended with {self.supervisor.returncode}:\n{self.log()}")
        return match
