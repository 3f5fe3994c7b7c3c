"""martletd starts every role, starts again what dies, stops in order, and says in one line why it cannot start."""

import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from martlet import account, as_account, is_running, processes, wait_until

ROLES = {"queue", "route", "dns", "lspawn", "remote", "smtpd", "keys", "auth"}


def greeting(address):
    with socket.create_connection(address, timeout=10) as client:
        return client.recv(4)


def test_starts_every_role(server):
    assert set(server.pids()) == ROLES
    assert greeting(server.address) == b"220 "


def test_nothing_runs_as_root(server):
    for pids in server.pids().values():
        for pid in pids:
            assert os.stat(f"/proc/{pid}").st_uid == account()[0] or os.geteuid() == 0
            uids = re.search(r"^Uid:\s+(.*)$", open(f"/proc/{pid}/status").read(), re.M)[1].split()
            assert set(uids) == {str(account()[0])}


def test_gives_no_role_a_descriptor_of_another(server):
    """Sockets between processes are in the hands of the role that answers there, and mail's in smtpd's."""
    inodes = {}
    for role, (pid, *_) in server.pids().items():
        for name in os.listdir(f"/proc/{pid}/fd"):
            inodes.setdefault(role, set()).add(os.readlink(f"/proc/{pid}/fd/{name}"))
    listening = {line.split()[9] for line in open("/proc/net/tcp").readlines()[1:] if line.split()[3] == "0A"}
    holders = {role for role, links in inodes.items() if any(f"socket:[{inode}]" in links for inode in listening)}
    assert holders == {"smtpd"}


@pytest.mark.parametrize("role", sorted(ROLES))
def test_starts_again_what_was_killed(server, role):
    before = server.pids()
    old = server.kill(role)
    server.wait_for_log(rf"^martletd: {role} pid {old} was killed by signal 9; starting it again in 1 s$")
    new = server.pid(role)
    assert new != old
    after = server.pids()
    assert {name: pids for name, pids in after.items() if name != role} == {name: pids for name, pids in before.items() if name != role}
    assert greeting(server.address) == b"220 "


def test_clients_wait_while_smtpd_is_started_again(server):
    server.kill("smtpd")
    assert greeting(server.address) == b"220 "


def test_second_death_waits_longer(server):
    server.kill("dns")
    server.wait_for_log(r"^martletd: dns pid \d+ was killed by signal 9; starting it again in 1 s$")
    server.kill("dns")
    server.wait_for_log(r"^martletd: dns pid \d+ was killed by signal 9; starting it again in 2 s$")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stops_in_order(server, number):
    pids = [pid for pids in server.pids().values() for pid in pids]
    server.send_signal(number)
    assert server.supervisor.wait(40) == 0
    assert not [pid for pid in pids if is_running(pid)]
    assert server.log().endswith("martletd: stopped\n")


def test_stopping_twice_is_stopping_once(server):
    server.send_signal(signal.SIGTERM)
    server.send_signal(signal.SIGTERM)
    assert server.supervisor.wait(40) == 0
    assert server.log().count("martletd: stopping\n") == 1


def test_no_role_outlives_a_killed_supervisor(server):
    pids = [pid for pids in server.pids().values() for pid in pids]
    server.send_signal(signal.SIGKILL)
    server.supervisor.wait(10)
    wait_until(lambda: not any(is_running(pid) for pid in pids), lambda: f"left: {[p for p in pids if is_running(p)]}\n{server.log()}", 40)


def test_a_new_supervisor_waits_for_what_a_killed_one_left(server):
    """The same port, at once, as a service manager does it."""
    server.control("smtplisten", f"127.0.0.1:{server.address[1]}")
    pids = [pid for pids in server.pids().values() for pid in pids]
    for pid in server.pids()["route"]:
        os.kill(pid, signal.SIGSTOP)
    server.send_signal(signal.SIGKILL)
    server.supervisor.wait(10)
    said = len(server.log())
    server.launch()
    server.wait_for_log(r"^martletd: waiting for the roles of pid \d+, which died, to end$", after=said)
    for pid in pids:
        if is_running(pid):
            os.kill(pid, signal.SIGCONT)
    server.wait_for_log(r"^martletd: ready: ", after=said)
    assert not [pid for pid in pids if is_running(pid)]
    assert greeting(server.address) == b"220 "


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGALRM])
def test_signals_that_are_passed_on_end_nothing(server, number):
    before = server.pids()
    server.send_signal(number)
    time.sleep(0.5)
    assert server.pids() == before
    assert greeting(server.address) == b"220 "


def test_a_terminal_signal_reaches_the_supervisor_only(server):
    """Ctrl-C goes to the whole foreground group; roles have sessions of their own, so that martletd stops them in order."""
    assert all(os.getsid(pid) != os.getsid(server.supervisor.pid) for pids in server.pids().values() for pid in pids)


def test_smtpworkers(home):
    home.control("smtpworkers", "3")
    home.start()
    assert len(home.pids()["smtpd"]) == 3


def test_every_line_of_smtplisten_is_listened_on(home):
    path = home.home / "smtp"
    home.control("smtplisten", f"# two\n127.0.0.1:0\n\nunix:{path}")
    home.start()
    assert greeting(home.address) == b"220 "
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        assert client.recv(4) == b"220 "
    # Whoever may reach the path may connect, whatever the umask of the supervisor.
    assert stat.S_IMODE(path.stat().st_mode) == 0o666


def one_line(home):
    code, said = home.run_to_end()
    assert code == 1
    assert said.startswith("martletd: ") and said.count("\n") == 1, said
    assert not [pid for pid, (parent, _) in processes().items() if parent == home.supervisor.pid]
    return said


def test_port_taken(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        line = f"127.0.0.1:{taken.getsockname()[1]}"
        home.control("smtplisten", line)
        assert re.search(rf"cannot listen on {line}: address already used; .*control/smtplisten", one_line(home))


@pytest.mark.parametrize("text", [None, ""])
def test_missing_me(home, text):
    home.control("me", text)
    assert "control/me is missing or empty; write this host's full name into control/me" in one_line(home)


@pytest.mark.parametrize("line", ["localhost:25", "25", "127.0.0.1:70000", "unix:relative", "[::1"])
def test_bad_smtplisten_line(home, line):
    home.control("smtplisten", f"# first\n127.0.0.1:0\n{line}")
    assert "control/smtplisten line 3: " in one_line(home)


def test_address_that_this_host_has_not(home):
    home.control("smtplisten", "192.0.2.1:2525")
    assert "cannot listen on 192.0.2.1:2525: address not available; this host has no such address" in one_line(home)


@pytest.mark.skipif(os.geteuid() != 0, reason="the harness runs martletd as another account only for root")
def test_privileged_port(home):
    if int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read()) <= 25:
        pytest.skip("every account may take port 25 here")
    home.control("smtplisten", "127.0.0.1:25")
    assert "ports below 1024 are root's" in one_line(home)


def test_missing_home(home):
    home.home.rename(moved := home.home.with_name(home.home.name + "-moved"))
    try:
        home.log_path = moved / "log"
        assert "make it with `make install`, or name another" in one_line(home)
    finally:
        moved.rename(home.home)


def test_one_supervisor_a_home(server):
    first = server.supervisor
    try:
        server.log_path = server.home / "log2"
        assert "another martletd runs in" in one_line(server)
    finally:
        server.supervisor = first


def test_home_that_cannot_be_written(home):
    if os.geteuid() != 0:
        (home.home / "run").rmdir()
        home.home.chmod(0o555)
    else:
        (home.home / "run").rmdir()
        os.chown(home.home, 0, 0)
    try:
        assert re.search(r"run: .*; let the account that starts martletd own ", one_line(home))
    finally:
        home.home.chmod(0o755)


def test_lines_go_to_the_log_of_the_home(home):
    home.log_path = home.home / "outside"
    with open(home.log_path, "w") as outside:
        home.supervisor = subprocess.Popen(
            [home.programs / "martletd", "-l", home.home], stderr=outside, stdin=subprocess.DEVNULL, **as_account())
    current = home.home / "log/current"
    wait_until(lambda: current.exists() and "martletd: ready" in current.read_text(), "no ready line in log/current")
    home.stop()
    assert current.read_text().rstrip().endswith("martletd: stopped")
    assert home.log_path.read_text() == ""
