"""The two servers that are compared, each a private instance on a free port of the loopback, and the sink that mail goes to."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import martlet
from postfix import private_settings

SINK_DOMAIN = "sink.example"
MAX_RECIPIENTS = 20_000
# A server that was just started still writes: Martlet prepares its log. It is measured when it has been quiet for so long.
QUIET_SECONDS = 0.5
SETTLE_LIMIT = 60.0


def family(pid):
    return {pid} | martlet.below(pid)


def memory(pids):
    """Bytes of all these processes together: each page counted once, shared ones in parts."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += 1024 * int(re.search(r"^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
    return total


def written(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)[1])
    return total


def settle(pid):
    """Returns when the server has stopped writing, and all of it is on the disk."""
    end = time.monotonic() + SETTLE_LIMIT
    before = -1
    while True:
        # First: who waits for a sync writes nothing, and goes on after it.
        os.sync()
        now = written(family(pid))
        if now == before or time.monotonic() > end:
            return
        before = now
        time.sleep(QUIET_SECONDS)


def wait_cheaply(condition, what, limit):
    """As martlet.wait_until, for conditions that cost time themselves: at most a twentieth of it goes into asking."""
    end = time.monotonic() + limit
    while True:
        start = time.monotonic()
        if value := condition():
            return value
        now = time.monotonic()
        if now > end:
            raise martlet.TooLong(f"{what()} (waited {limit} s)")
        time.sleep(max(0.01, 19 * (now - start)))


class Sink:
    """smtp-sink: takes everything, stores nothing, counts."""

    def __init__(self):
        self.port = martlet.free_port()
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            ["smtp-sink", "-u", "nobody", "-c", f"127.0.0.1:{self.port}", "1024"], stdout=self.output, stderr=subprocess.DEVNULL)
        martlet.wait_until(lambda: martlet.listens(self.port), "smtp-sink does not listen")

    def count(self):
        # One line rewritten in place; only its end is of interest.
        size = os.fstat(self.output.fileno()).st_size
        found = re.findall(rb"mesg=(\d+)", os.pread(self.output.fileno(), 4096, max(0, size - 4096)))
        return int(found[-1]) if found else 0

    def close(self):
        self.process.kill()
        self.process.wait()
        self.output.close()


class MartletServer:
    name = "Martlet"

    def __init__(self, programs, sink_port=1, hold=False, sessions=50):
        self.programs = programs
        self.server = martlet.Martlet(programs)
        self.server.user("alice")
        self.server.control("rcpthosts", f"{martlet.HOST}\n{SINK_DOMAIN}")
        self.server.control("smtproutes", f"{SINK_DOMAIN}:127.0.0.1:{sink_port}")
        self.server.control("maxrecipients", str(MAX_RECIPIENTS))
        self.server.control("concurrencyperip", str(sessions + 50))
        self.hold(hold)
        self.inbox = self.server.home / "home/alice/Maildir/new"
        try:
            self.start()
            settle(self.pid)
        except BaseException:
            self.close()
            raise

    def hold(self, held):
        for name in ("concurrencylocal", "concurrencyremote"):
            self.server.control(name, "0" if held else None)

    def start(self):
        self.server.start()
        self.port = self.server.address[1]
        self.pid = self.server.supervisor.pid

    def alice_file(self, name, text):
        path = self.server.home / "home/alice" / name
        path.write_text(text)
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, *martlet.account())

    def arrived(self):
        return len(os.listdir(self.inbox))

    def is_done(self):
        """spec-qmail §10.1: the queue's line when a message has left it."""
        with open(self.server.log_path, "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
            return re.search(rb"^end msg \d+$", log.read(), re.M)

    def writers(self):
        """The processes that sync."""
        return {self.server.pid("queue")}

    def injection(self, name):
        """How a local command is started: arguments and environment."""
        return [str(self.programs / name), f"alice@{martlet.HOST}"], {"QMAILHOME": str(self.server.home), "PATH": os.environ["PATH"]}

    def log_size(self):
        return self.server.log_path.stat().st_size

    def close(self):
        """Ends it. Files stay until all is measured: inodes just freed would change what the next run costs. Only the log goes, for its size."""
        with contextlib.suppress(martlet.TooLong):
            if self.server.supervisor:
                self.server.stop()
        self.server.end()
        shutil.rmtree(self.server.home / "queue/journal", ignore_errors=True)


class PostfixServer:
    """Its own configuration, queue and port."""

    name = "Postfix"
    settings = (
        "Debian's master.cf with the SMTP port changed (no chroot, no milters, no filters), maillog_file, default_process_limit above the "
        "number of sessions, smtpd_client_connection_count_limit = 0, smtpd_peername_lookup = no, no DNS; held mail by check_recipient_access "
        "static:HOLD, then with in_flow_delay = 0; one mailbox by virtual(8) to a Maildir; everything else as Postfix has it by default")

    def __init__(self, _, sink_port=1, hold=False, sessions=50):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="postfix-"))
        self.directory.chmod(0o755)
        self.port = martlet.free_port()
        for name in ("etc", "queue", "data", "mail"):
            (self.directory / name).mkdir()
        shutil.chown(self.directory / "data", "postfix")
        shutil.chown(self.directory / "mail", "nobody")
        self.inbox = self.directory / "mail/alice/Maildir/new"
        (self.directory / "etc/main.cf").write_text(self._main(sink_port, hold, sessions))
        (self.directory / "etc/master.cf").write_text(self._master())
        try:
            self._postfix("start")
            martlet.wait_until(lambda: martlet.listens(self.port), "Postfix does not listen")
            self.pid = self._master_pid()
            settle(self.pid)
        except BaseException:
            self.close()
            raise

    def _master_pid(self):
        return int((self.directory / "queue/pid/master.pid").read_text())

    def _main(self, sink_port, hold, sessions):
        held = "smtpd_recipient_restrictions = check_recipient_access static:HOLD\nin_flow_delay = 0\n" if hold else ""
        return f"""{private_settings(self.directory, martlet.HOST)}virtual_mailbox_maps = static:alice/Maildir/
transport_maps = inline:{{{SINK_DOMAIN}=smtp:[127.0.0.1]:{sink_port}}}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_recipient_limit = {MAX_RECIPIENTS}
smtpd_client_connection_count_limit = 0
default_process_limit = {sessions + 100}
disable_dns_lookups = yes
smtp_dns_support_level = disabled
maillog_file = {self.directory}/data/log
maillog_file_prefixes = {self.directory}
{held}"""

    def _master(self):
        standard = (pathlib.Path("/usr/share/postfix/master.cf.dist")).read_text()
        changed, count = re.subn(r"(?m)^smtp\s+inet\s", f"127.0.0.1:{self.port} inet ", standard, count=1)
        assert count == 1, "master.cf.dist has no SMTP server"
        # The fifth column says whether a service is chrooted.
        return re.sub(r"(?m)^(\S+\s+(?:inet|unix|unix-dgram)\s+\S+\s+\S+\s+)y\b", r"\1n", changed)

    def _postfix(self, command):
        done = subprocess.run(["postfix", "-c", self.directory / "etc", command], capture_output=True, text=True, timeout=60)
        if command == "start" and done.returncode:
            raise OSError(f"postfix does not start: {done.stderr}")

    def arrived(self):
        return len(os.listdir(self.inbox)) if self.inbox.exists() else 0

    def is_done(self):
        return not any(files for name in ("incoming", "active", "deferred") for _, _, files in os.walk(self.directory / "queue" / name))

    def writers(self):
        return family(self.pid)

    def injection(self, name):
        return ["/usr/sbin/sendmail", "-C", str(self.directory / "etc"), f"alice@{martlet.HOST}"], {"PATH": os.environ["PATH"]}

    def log_size(self):
        return (self.directory / "data/log").stat().st_size

    def close(self):
        """Files stay until all is measured, as Martlet's."""
        pids = set()
        # None, if it was interrupted before it ran.
        with contextlib.suppress(OSError, ValueError):
            pids = family(self._master_pid())
        self._postfix("abort")
        with contextlib.suppress(martlet.TooLong):
            martlet.wait_until(lambda: not any(map(martlet.is_running, pids)), "Postfix does not end")
