"""control/remoteprogram: a site's own program in the place of our SMTP. What role remote makes of its report is in the recorded cases too (Tests/Golden)."""

import os
import pathlib
import re
import signal
import time

import pytest

from martlet import wait_until
from test_remote import Sender

TOO_SLOW = "ZProgram did not end within 1 seconds and was ended. (#4.3.0)\n"


class Site(Sender):
    def __init__(self, program):
        super().__init__(program)
        self.said = self.home / "said"
        self.said.touch()

    def put(self, text, name="bin-remote"):
        """A shell script in the place of our SMTP; `$SAID` is a file for what it has to tell."""
        path = self.home / name
        path.write_text(f"#!/bin/sh\nSAID={self.said}\n{text}\n")
        path.chmod(0o755)
        self.control("remoteprogram", name)

    def lines(self):
        return self.said.read_text().splitlines()


@pytest.fixture
def site(programs):
    instance = Site(programs / "martletd")
    yield instance
    instance.clean()


def test_each_recipient_has_a_run_with_the_message_from_its_beginning(site):
    """spec-qmail §14.1: host, sender, one recipient; the message on descriptor 0."""
    site.put('echo "$# $1 $2 $3 $(cat)" >> $SAID; case $3 in bad*) printf "hno\\n\\0Dgiving up\\n\\0";; *) printf "r\\0Kok\\n\\0";; esac')
    reports = site.queue.deliver("X.Example", ["one@X.Example", "bad@X.Example", "no-host", "a@b@other.example"], b"the text\n")
    assert reports == ["Kok\n", "Dno\ngiving up\n", "DSorry, address must include host name. (#5.1.3)\n", "Kok\n"]
    assert site.lines() == [
        "3 X.Example sender@us.example one@X.Example the text", "3 X.Example sender@us.example bad@X.Example the text",
        "3 other.example sender@us.example a@b@other.example the text",
    ]


def test_it_inherits_three_descriptors_and_no_secrets_of_roles(site):
    site.put("ls /proc/self/fd | wc -l >> $SAID; env >> $SAID; printf 'Kok\\0'")
    assert site.queue.deliver("x.example", ["r@x.example"]) == ["Kok"]
    count, *variables = site.lines()
    # ls itself has the folder open.
    assert count.strip() == "4" and not [line for line in variables if line.startswith("MARTLET_")]


def test_errors_are_in_the_report_as_under_rspawn(site):
    site.put("echo oops >&2; printf 'Kok\\0'")
    assert site.queue.deliver("x.example", ["r@x.example"]) == ["Dops\nKok"]


@pytest.mark.parametrize("text, report", [
    ("exit 111", "ZUnable to run qmail-remote.\n"), ("printf 'r\\0Kok\\0'; exit 1", "DUnable to run qmail-remote.\n"),
    ("kill -9 $$", "Zqmail-remote crashed.\n"), ("exit 0", "Zqmail-remote produced no output.\n"),
])
def test_ends(site, text, report):
    site.put(text)
    assert site.queue.deliver("x.example", ["r@x.example"]) == [report]


@pytest.mark.parametrize("name", ["/nowhere/at-all", "control/me"], ids=["missing", "not-executable"])
def test_a_program_that_cannot_be_run_defers(site, name):
    site.control("remoteprogram", name)
    assert site.queue.deliver("x.example", ["a@x.example", "b@x.example"]) == ["ZUnable to run qmail-remote.\n"] * 2


def test_the_time_is_up_for_it_and_its_children(site):
    site.control("timeoutremoteprogram", "1")
    site.put("sleep 600 & echo $! >> $SAID; printf 'r\\0'; wait")
    began = time.monotonic()
    assert site.queue.deliver("x.example", ["r@x.example"]) == [TOO_SLOW]
    assert time.monotonic() - began < 4
    wait_until(lambda: not pathlib.Path("/proc", site.lines()[0]).exists(), "its child lives")


def test_one_that_does_not_heed_term_is_killed(site):
    site.control("timeoutremoteprogram", "1")
    site.put("trap '' TERM; while :; do sleep 0.1; done")
    assert site.queue.deliver("x.example", ["r@x.example"]) == [TOO_SLOW]


def test_a_child_that_left_the_group_does_not_hold_the_delivery(site):
    """It has the output open and goes on; the program itself ended in time and counts."""
    site.control("timeoutremoteprogram", "1")
    site.put("setsid sleep 30 & echo $! >> $SAID; printf 'r\\0Kok\\n\\0'")
    assert site.queue.deliver("x.example", ["r@x.example"]) == ["Kok\n"]
    os.kill(int(site.lines()[0]), signal.SIGKILL)


def test_output_without_end_takes_no_memory(site):
    site.control("timeoutremoteprogram", "2")
    site.put("exec cat /dev/zero")
    assert site.queue.deliver("x.example", ["r@x.example"])[0].startswith("ZProgram did not end")
    site.put("head -c 20000000 /dev/zero | tr '\\0' x; printf '\\0Kok\\0'")
    site.control("timeoutremoteprogram", "60")
    [report] = site.queue.deliver("x.example", ["r@x.example"])
    assert report[0] == "K" and len(report) <= 10_001
    status = pathlib.Path(f"/proc/{site.processes['remote'].pid}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+)", status)[1]) < 60_000


def test_many_at_a_time(site):
    site.put("sleep 0.3; printf 'Kok\\0'")
    began = time.monotonic()
    slots = {site.queue.hand_out("x.example", [f"r{i}@x.example"]) for i in range(20)}
    assert {site.queue.answer()[0] for _ in range(20)} == slots
    assert time.monotonic() - began < 5


def test_what_runs_at_the_end_is_told(site):
    # The shell tells of the end of its sleep where nobody reads any more.
    site.put("exec 2> /dev/null; trap 'echo told >> $SAID; exit 1' TERM; echo runs >> $SAID; while :; do sleep 0.1; done")
    site.queue.hand_out("x.example", ["r@x.example"])
    wait_until(lambda: site.lines() == ["runs"], "it does not run")
    assert site.stop("remote") == 0
    # A shell that forks at that moment may say it twice.
    wait_until(lambda: "told" in site.lines(), "it was not told")


def test_without_the_file_it_is_our_smtp_again(site):
    site.put("printf 'Kok\\0'")
    server = site.server()
    assert site.deliver_to(server) == ["Kok"]
    (site.home / "control/remoteprogram").unlink()
    assert site.deliver_to(server)[0].startswith("K127.0.0.1 accepted message.\n")


def test_qmail_remote_itself_is_such_a_program(site, programs):
    """What sites do: their own steps, then the one that was there."""
    server = site.server()
    site.put(f'echo wrapped >> $SAID; exec {programs}/qmail-remote "$@"')
    os.environ["QMAILHOME"] = str(site.home)
    site.stop("remote")
    site.queue.lose()
    site.start("remote")
    site.queue.connect()
    del os.environ["QMAILHOME"]
    assert site.deliver_to(server)[0].startswith("K127.0.0.1 accepted message.\n")
    assert site.lines() == ["wrapped"] and len(server.messages) == 1
