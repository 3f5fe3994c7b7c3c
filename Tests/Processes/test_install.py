"""`make install`: staged below DESTDIR, and as root with accounts, from which martletd starts as it is."""

import os
import pathlib
import re
import subprocess
import tempfile

import pytest

from martlet import ROOT, Martlet, command_names

def install(programs, destination, home, **options):
    return subprocess.run([ROOT / "Tools/install", programs, destination, home], capture_output=True, text=True, timeout=60, check=True, **options)


def test_staged(programs, tmp_path):
    install(programs, tmp_path, "/var/qmail")
    home = tmp_path / "var/qmail"
    commands = command_names(home / "bin")
    assert {"qmail-inject", "sendmail", "forward", "qmail-start"} <= set(commands)
    links = {path.name: os.readlink(path) for path in (home / "bin").iterdir() if path.is_symlink()}
    assert links == {name: program for name, program in commands.items() if name != program}
    assert {links["sendmail"], links["qmail-queue"], links["forward"]} == {"qmail-inject", "qmail"}
    pages = sorted(path.stem for path in (home / "man").glob("man?/*"))
    assert pages == sorted([*commands, "martlet", "martlet-tls", "martletd"])
    for name in ("martlet", "martlet-tls", "martletd"):
        assert (home / f"man/man8/{name}.8").read_text().startswith(f".TH {name.upper()} 8 ")
    assert (home / "man/man1/forward.1").read_text().startswith(".TH FORWARD 1 ")
    for name in ("home", "proc", "maildir"):
        assert subprocess.run(["sh", "-n", home / "boot" / name], timeout=60).returncode == 0
    for name in ("martletd", "martlet", "martlet-tls", "qmail", "qmail-inject", "martlet-lspawn"):
        assert (home / "bin" / name).stat().st_mode & 0o7777 == 0o755
    modes = {name: (home / name).stat().st_mode & 0o7777 for name in ("control", "users", "alias", "queue", "run", "bin")}
    assert modes == {"control": 0o755, "users": 0o755, "alias": 0o2755, "queue": 0o700, "run": 0o755, "bin": 0o755}
    # The host it is for is not this one.
    assert not (home / "control/me").exists()


def test_control_files_that_are_there_stay(programs, tmp_path):
    home = tmp_path / "var/qmail"
    (home / "control").mkdir(parents=True)
    (home / "control/defaultdelivery").write_text("./Mailbox\n")
    install(programs, tmp_path, "/var/qmail")
    install(programs, tmp_path, "/var/qmail")
    assert (home / "control/defaultdelivery").read_text() == "./Mailbox\n"


def overlay(directory):
    """Shell commands that lay a private, writable copy over /etc."""
    for name in ("upper", "work"):
        (directory / name).mkdir()
    return f"mount -t overlay overlay -o lowerdir=/etc,upperdir={directory}/upper,workdir={directory}/work /etc"


def can_overlay():
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as directory:
        return subprocess.run(["unshare", "--mount", "sh", "-c", overlay(pathlib.Path(directory))], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_overlay(), reason="needs root, mount namespaces and overlays")
def test_martletd_starts_from_a_fresh_installation(programs):
    instance = Martlet(programs)
    home = instance.home / "qmail"
    script = f"""set -e
        {overlay(instance.home)}
        {ROOT}/Tools/install {programs} "" {home}
        echo 127.0.0.1:0 > {home}/control/smtplisten
        cp /etc/passwd {instance.home}/passwd
        exec {home}/bin/martletd {home}"""
    try:
        with open(instance.log_path, "wb") as log:
            instance.supervisor = subprocess.Popen(
                ["unshare", "--mount", "--propagation", "private", "bash", "-c", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        instance.wait_for_log(r"^martletd: ready: smtp on 127\.0\.0\.1:\d+$")
        uids = {line.split(":")[0]: int(line.split(":")[2]) for line in (instance.home / "passwd").read_text().splitlines()}
        assert (home / "queue").stat().st_uid == uids["qmailq"]
        assert (home / "alias").stat().st_uid == uids["alias"]
        assert (home / "alias").stat().st_mode & 0o7777 == 0o2755
        for role, account in {"queue": "qmailq", "route": "qmailp", "dns": "qmailn", "remote": "qmailr", "smtpd": "qmaild", "keys": "qmailk", "auth": "qmaila"}.items():
            status = pathlib.Path(f"/proc/{instance.pid(role)}/status").read_text()
            assert re.search(r"^Uid:\s+(\d+)", status, re.M)[1] == str(uids[account])
        assert instance.stop() == 0
    finally:
        instance.clean()
