"""Who may send to whom: lists of addresses, the program of RCPTCHECK, lists of clients in DNS, FIXCRIO."""

import re
import smtplib
import socket
import struct
import time

import pytest

from martlet import HOST, LIMIT, wait_until
from tcpserver import TcpServer
from test_next_hop import names  # noqa: F401

REVERSED = "1.0.0.127"


def rcpt(server, recipient=f"alice@{HOST}", sender="a@b.example", helo="client.example"):
    """The reply to RCPT in a session of its own."""
    with server.smtp(local_hostname=helo) as client:
        client.ehlo()
        assert client.mail(sender)[0] == 250
        code, text = client.rcpt(recipient)
        return f"{code} {text.decode()}"


def test_lists_of_addresses(server):
    server.user("bob")
    for file, text, arguments, reply in [
        ("badmailfrom", "*@spam?.example\n!good@*", {"sender": "x@spam1.example"}, "553 5.7.1 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"),
        ("badmailfrom", "*@spam?.example\n!good@*", {"sender": "good@spam1.example"}, "250 "),
        ("badhelo", "localhost\n*.dyn.example", {"helo": "p7.dyn.example"}, "553 5.7.1 sorry, your HELO host name is in my badhelo list (#5.7.1)"),
        ("badrcptto", "alice@*", {}, "553 5.7.1 sorry, that recipient is in my badrcptto list (#5.7.1)"),
        ("badrcptto", "alice@*", {"recipient": f"bob@{HOST}"}, "250 "),
        ("goodrcptto", f"bob@{HOST}", {}, "550 5.1.1 sorry, no mailbox here by that name (#5.1.1)"),
        ("goodrcptto", f"bob@{HOST}", {"recipient": f"bob@{HOST}"}, "250 "),
    ]:
        server.control(file, text)
        assert rcpt(server, **arguments).startswith(reply), (file, arguments)
        server.control(file, None)
    assert rcpt(server).startswith("250 ")


CHECK = """#!/bin/sh
env >>{home}/asked
echo "said by the check"
case $RECIPIENT in
no@*) exit 100 ;;
later@*) exit 111 ;;
broken@*) exit 120 ;;
strange@*) exit 3 ;;
slow@*) sleep 60 ;;
left@*) echo $$ >>{home}/left; sleep 60 ;;
child@*) sleep 60 & echo $! >>{home}/left ;;
esac
"""


@pytest.fixture
def checked(home):
    """A running Martlet with users and a program for RCPTCHECK."""
    for user in ("alice", "no", "later", "broken", "strange", "slow", "left", "child"):
        home.user(user)
    program = home.home / "check"
    program.write_text(CHECK.format(home=home.home))
    program.chmod(0o755)
    home.control("smtprules", f'127.0.0.1:allow,RCPTCHECK="{program}"\n:allow')
    return home.start()


def test_rcptcheck(checked):
    for user, reply in [
        ("alice", "250 2.1.5 ok"), ("no", "550 5.1.1 sorry, no mailbox here by that name (#5.1.1)"),
        ("later", "451 4.3.0 unable to verify recipient (#4.3.0)"), ("broken", "451 4.3.0 unable to execute recipient check (#4.3.0)"),
        ("strange", "250 2.1.5 ok"),
    ]:
        assert rcpt(checked, f"{user}@{HOST}") == reply
    asked = (checked.home / "asked").read_text()
    assert "SENDER=a@b.example\n" in asked and f"RECIPIENT=alice@{HOST}\n" in asked and "HELO=client.example\n" in asked
    assert "TCPREMOTEIP=127.0.0.1\n" in asked
    # Nothing of smtpd's own.
    assert set(re.findall(r"^(\w+)=", asked, re.M)) <= {
        "SENDER", "RECIPIENT", "HELO", "PATH", "PROTO", "TCPREMOTEIP", "TCPREMOTEHOST", "TCPLOCALHOST", "PWD", "SHLVL", "_", "OLDPWD"}
    assert "said by the check\n" in checked.log()


def test_rcptcheck_holds_nobody_else(checked):
    """A check that takes its time, many times over, and pipelined commands behind it."""
    slow = [socket.create_connection(checked.address, timeout=LIMIT + 10) for _ in range(20)]
    for connection in slow:
        connection.sendall(f"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<slow@{HOST}>\r\nNOOP\r\nQUIT\r\n".encode())
    began = time.monotonic()
    assert rcpt(checked).startswith("250 ")
    assert time.monotonic() - began < 5
    for connection in slow:
        said = b""
        while piece := connection.recv(1 << 16):
            said += piece
        assert re.search(rb"\r\n451 4\.3\.0 unable to verify recipient \(#4\.3\.0\)\r\n250 [^\r]*\r\n221 ", said), said
        connection.close()
    # They were killed, with what they had started.
    assert 25 < time.monotonic() - began < 45


@pytest.mark.parametrize("user", ["left", "child"])
def test_rcptcheck_is_not_left_behind(checked, user):
    """By a client that goes without waiting, nor is what it has started itself."""
    with socket.create_connection(checked.address, timeout=LIMIT) as connection:
        connection.sendall(f"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<{user}@{HOST}>\r\n".encode())
        left = checked.home / "left"
        pid = wait_until(lambda: left.exists() and left.read_text().strip(), "the check does not run")
        if user == "child":
            wait_until(lambda: not alive(pid), f"{pid} lives on")
        else:
            assert alive(pid)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: not alive(pid), f"{pid} lives on")


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_rcptcheck_hears_nothing_that_a_shell_runs(checked):
    assert rcpt(checked, helo="() { :;};touch hit").startswith("250 ")
    assert "HELO=_) { :;};touch hit\n" in (checked.home / "asked").read_text()


def test_rcptcheck_that_cannot_be_run(checked):
    (checked.home / "check").chmod(0o644)
    assert rcpt(checked) == "451 4.3.0 unable to execute recipient check (#4.3.0)"


def test_rcptcheck_of_the_program(checked):
    with TcpServer(checked, [checked.programs / "qmail-smtpd"], {"RCPTCHECK": str(checked.home / "check")}) as server:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=LIMIT) as client:
            client.ehlo()
            client.mail("a@b.example")
            assert client.rcpt(f"no@{HOST}") == (550, b"sorry, no mailbox here by that name (#5.1.1)")
            assert client.rcpt(f"later@{HOST}") == (451, b"unable to verify recipient (#4.3.0)")
            assert client.rcpt(f"alice@{HOST}")[0] == 250


@pytest.fixture
def listed(home, names):  # noqa: F811
    """A running Martlet that asks a name server of the test's own."""
    home.user("alice")
    home.control("resolvers", names.resolver)
    home.names = names
    return home.start()


def test_lists_of_clients(listed):
    zone = listed.names.zone
    zone.write_text(
        f"{REVERSED}.txt.test TXT see http://txt.test/?127.0.0.1\n{REVERSED}.a.test A 127.0.0.2\n{REVERSED}.sold.test A 192.0.2.80\n"
        f"{REVERSED}.white.test A 127.0.0.9\n{REVERSED}.broken.test SERVFAIL\nelse.test A 192.0.2.1\n")
    for lists, reply in [
        ("txt.test", "451 4.7.1 see http://txt.test/?127.0.0.1"), ("-txt.test", "553 5.7.1 see http://txt.test/?127.0.0.1"),
        ("a.test:%IP% is on a list", "451 4.7.1 127.0.0.1 is on a list"), ("a.test:-%IP% is on a list", "553 5.7.1 127.0.0.1 is on a list"),
        ("none.test\nbroken.test\nsold.test:no", "250 "), ("+white.test\ntxt.test", "250 "), ("=txt.test\n-a.test:no", "553 5.7.1 no"),
    ]:
        listed.control("dnsbllist", lists)
        assert rcpt(listed).startswith(reply), lists
    assert re.search(r"^rblsmtpd: 127\.0\.0\.1 pid \d+: 451 see_http://txt\.test/\?127\.0\.0\.1$", listed.log(), re.M)
    assert re.search(r"^rblsmtpd: 127\.0\.0\.1 pid \d+: listed by txt\.test$", listed.log(), re.M)


def test_rblsmtpd_goes_before_lists(listed):
    listed.names.zone.write_text(f"{REVERSED}.txt.test TXT listed\n")
    listed.control("dnsbllist", "txt.test")
    for rules, reply in [
        ('127.:allow,RBLSMTPD=""', "250 "), ('127.:allow,RBLSMTPD="-go away"', "553 5.7.1 go away"), ('127.:allow,RBLSMTPD="later"', "451 4.7.1 later"),
        ('127.:allow,RELAYCLIENT=""', "250 "), (":allow", "451 4.7.1 listed"),
    ]:
        listed.control("smtprules", rules)
        assert rcpt(listed).startswith(reply), rules


def test_a_list_that_is_silent_holds_nobody_up_for_long(listed):
    """It fails open; the greeting does not wait, nor does anybody else."""
    listed.names.zone.write_text(f"{REVERSED}.silent.test SILENT\n")
    listed.control("dnsbllist", "silent.test")
    began = time.monotonic()
    with listed.smtp() as client:
        client.ehlo()
        client.mail("a@b.example")
        assert time.monotonic() - began < 3
        assert client.rcpt(f"alice@{HOST}")[0] == 250
    assert 8 < time.monotonic() - began < 14
    # Without dns nobody is asked.
    listed.kill("dns")
    began = time.monotonic()
    assert rcpt(listed).startswith("250 ")
    assert time.monotonic() - began < 5


def test_no_text_of_a_list_breaks_a_reply(listed):
    """T: RESP injection: a list's text with control bytes, 8-bit and great length."""
    listed.names.zone.write_bytes(f"{REVERSED}.evil.test TXT 451-x\x01\x1b[2J\x7f{'y' * 180}\u00e9\u00e9\u00e9{'z' * 20}\n".encode())
    listed.control("dnsbllist", "evil.test")
    with listed.smtp() as client:
        client.ehlo()
        client.mail("a@b.example")
        client.putcmd(f"RCPT TO:<alice@{HOST}>")
        line = client.file.readline()
        assert re.fullmatch(rb"451 4\.7\.1 451-x[\x20-\x7e]{1,200}\r\n", line), line


def talk(server, content):
    """The reply to a message sent byte for byte."""
    with server.smtp() as client:
        client.ehlo()
        client.mail("a@b.example")
        client.rcpt(f"alice@{HOST}")
        assert client.docmd("DATA")[0] == 354
        client.sock.sendall(content)
        return client.file.readline()


def test_fixcrio_mends_after_framing(server):
    """hardening.md SMG-in, `normalize`: LF becomes CRLF, but ends no message."""
    content = b"Subject: x\n\none\n.\nMAIL FROM:<evil@x>\nRCPT TO:<alice@mail.example>\nDATA\ntwo\r\n.\r\n"
    assert talk(server, content).startswith(b"550 5.5.2 ")
    server.control("smtprules", '127.0.0.1:allow,FIXCRIO=""')
    assert talk(server, content).startswith(b"250 2.0.0 ok ")
    message, = server.wait_for_messages("alice", 1)
    assert message.endswith(b"Subject: x\n\none\n.\nMAIL FROM:<evil@x>\nRCPT TO:<alice@mail.example>\nDATA\ntwo\n")
    time.sleep(0.3)
    assert len(server.messages("alice")) == 1
    assert talk(server, b"Subject: x\r\n\r\nbare\rCR\r\n.\r\n").startswith(b"550 5.5.2 ")
