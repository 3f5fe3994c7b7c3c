"""martletd as root: every role as its own account, and only the permitted peers at each socket.

Needs root. The accounts exist in a mount namespace of the test's own, where copies of passwd and group lie over /etc: the machine's stay as they are.
"""

import os
import re
import shutil
import subprocess

import pytest

from martlet import Martlet, is_running

ACCOUNTS = {
    "alias": 7001, "qmaild": 7002, "qmaill": 7003, "qmailn": 7004, "qmailp": 7005, "qmailq": 7006, "qmailr": 7007, "qmails": 7008, "qmaila": 7009,
    "qmailk": 7010,
}
GROUPS = {"qmail": 7020, "nofiles": 7021, "martlet-deliver-remote": 7022, "martlet-route": 7023, "martlet-dns": 7024, "martlet-admin": 7025, "martlet-keys": 7026,
          "martlet-auth": 7027, "martlet-mailbox": 7028, "qmaila": 7029}
ROLES = {"queue": "qmailq", "route": "qmailp", "dns": "qmailn", "remote": "qmailr", "smtpd": "qmaild", "keys": "qmailk", "auth": "qmaila"}
MAY_ASK = {
    "queue": set(), "route": set(), "dns": set(), "remote": {"martlet-deliver-remote", "martlet-dns"}, "smtpd": {"martlet-route", "martlet-dns", "martlet-auth", "martlet-keys"}, "keys": set(), "auth": set(),
}


def can_have_a_namespace():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_have_a_namespace(), reason="needs root and mount namespaces")


def group_of(account):
    """As Tools/install has it."""
    return GROUPS[{"qmailq": "qmail", "qmailr": "qmail", "qmails": "qmail", "qmaila": "qmaila"}.get(account, "nofiles")]


def lines_without(path, names):
    return [line for line in open(path) if line.split(":")[0] not in names]


class PrivilegedMartlet(Martlet):
    """As `Martlet`, but martletd runs as root, with the accounts above."""

    missing = None
    # {path below /etc: file that lies over it}, besides passwd and group.
    more_of_etc = {}
    users = {}

    def __init__(self, programs):
        super().__init__(programs)
        # martletd makes it, as the role's own.
        (self.home / "queue").rmdir()

    def _give(self, *paths):
        pass

    def launch(self):
        etc = self.home / "etc"
        etc.mkdir(exist_ok=True)
        passwd = lines_without("/etc/passwd", ACCOUNTS)
        group = lines_without("/etc/group", GROUPS)
        for name, uid in ACCOUNTS.items():
            passwd.append(f"{name}:x:{uid}:{group_of(name)}::/nonexistent:/usr/sbin/nologin\n")
        passwd += [f"{name}:x:{uid}:{uid}::{self.home}/home/{name}:/bin/sh\n" for name, uid in self.users.items()]
        group += [f"{name}:x:{gid}:\n" for name, gid in GROUPS.items()]
        (etc / "passwd").write_text("".join(line for line in passwd if line.split(":")[0] != self.missing))
        (etc / "group").write_text("".join(line for line in group if line.split(":")[0] != self.missing))
        over = {"passwd": etc / "passwd", "group": etc / "group", **self.more_of_etc}
        mounts = "".join(f"mount --bind {file} /etc/{name} && " for name, file in over.items())
        script = f"{mounts}exec {self.programs}/martletd {self.home}"
        with open(self.log_path, "ab") as log:
            self.supervisor = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        return self


@pytest.fixture
def home(programs):
    instance = PrivilegedMartlet(programs)
    yield instance
    instance.clean()


@pytest.fixture
def server(home):
    return home.start()


def status(pid, field):
    return re.search(rf"^{field}:\s*(.*)$", open(f"/proc/{pid}/status").read(), re.M)[1].split()


def test_each_role_runs_as_its_account(server):
    pids = server.pids()
    for role, account in ROLES.items():
        assert set(status(pids[role][0], "Uid")) == {str(ACCOUNTS[account])}, role
    assert set(status(pids["lspawn"][0], "Uid")) == {"0"}


def test_each_role_has_only_the_groups_it_needs(server):
    for role, account in ROLES.items():
        pid = server.pid(role)
        assert set(status(pid, "Groups")) == {str(group_of(account))} | {str(GROUPS[name]) for name in MAY_ASK[role]}, role


def test_roles_cannot_gain_privileges(server):
    for role in ROLES:
        assert status(server.pid(role), "NoNewPrivs") == ["1"]
        assert status(server.pid(role), "CapEff") == ["0000000000000000"]


@pytest.mark.parametrize("boundary, mode, group", [
    ("inject", 0o755, 0), ("deliver-local", 0o700, 0), ("identity", 0o700, 0), ("deliver-remote", 0o750, GROUPS["martlet-deliver-remote"]),
    ("route", 0o750, GROUPS["martlet-route"]), ("dns", 0o750, GROUPS["martlet-dns"]), ("admin", 0o750, GROUPS["martlet-admin"]),
])
def test_only_the_permitted_group_enters_a_boundary(server, boundary, mode, group):
    info = os.stat(server.home / "run" / boundary)
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (0, group, mode)


def test_the_queue_belongs_to_its_role(server):
    info = os.stat(server.home / "queue")
    assert (info.st_uid, info.st_mode & 0o7777) == (ACCOUNTS["qmailq"], 0o700)


@pytest.mark.parametrize("missing, mend", [
    ("qmailn", "account qmailn does not exist; run `make install`, or: useradd "),
    ("martlet-dns", "group martlet-dns does not exist; run `make install`, or: groupadd --system martlet-dns"),
])
def test_missing_account_or_group(home, missing, mend):
    home.missing = missing
    code, said = home.run_to_end()
    assert code == 1
    assert mend in said and said.count("\n") == 1


def test_programs_that_an_account_cannot_reach(home, programs):
    closed = home.home / "closed"
    shutil.copytree(programs, closed / "bin", symlinks=True)
    closed.chmod(0o700)
    home.programs = closed / "bin"
    code, said = home.run_to_end()
    assert code == 1
    assert f"cannot start queue: run {closed}/bin/martletd: access denied; its account must be able to reach that file" in said


def test_a_killed_role_comes_back_as_its_account(server):
    server.kill("smtpd")
    assert set(status(server.pid("smtpd"), "Uid")) == {str(ACCOUNTS["qmaild"])}


def test_stop(server):
    pids = [pid for pids in server.pids().values() for pid in pids]
    assert server.stop() == 0
    assert not [pid for pid in pids if is_running(pid)]
