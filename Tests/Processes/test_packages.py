"""QMTP and QMQP as they are used: tcpserver before qmail-qmtpd and qmail-qmqpd, qmail-qmqpc in the place of qmail-queue, a running martletd behind."""

import os
import re
import socket
import subprocess
import threading

import pytest
from martlet import HOST, LIMIT, Martlet, as_account, peak_memory, wait_until
from tcpserver import TcpServer

OK = rb"Kok \d+ qp \d+"
NOT_ALLOWED = b"Dsorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"
QMQP_PORT = 628
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for port 628")


def netstring(content):
    return b"%d:%s," % (len(content), content)


def package(message, sender, *recipients):
    return netstring(message) + netstring(sender) + netstring(b"".join(map(netstring, recipients)))


def request(message, sender, *recipients):
    return netstring(b"".join(map(netstring, (message, sender, *recipients))))


def responses(received):
    """The contents of netstrings that stand one behind the other."""
    found = []
    while received:
        length, rest = received.split(b":", 1)
        found.append(rest[:int(length)])
        assert rest[int(length):int(length) + 1] == b","
        received = rest[int(length) + 1:]
    return found


# QMTP


def test_packages_reach_the_mailboxes(server):
    server.user("bob")
    alice, bob = f"alice@{HOST}".encode(), f"bob@{HOST}".encode()
    said = package(b"\nSubject: one\n\nfirst\n", b"s@example.org", alice, b"x@elsewhere.example", bob)
    said += package(b"\rSubject: two\r\n\r\nsecond\r\n", b"", alice)
    with TcpServer(server, [server.programs / "qmail-qmtpd"]) as door:
        answers = responses(door.exchange(said))
    assert len(answers) == 4
    assert answers[1] == NOT_ALLOWED
    assert all(re.fullmatch(OK, answers[number]) for number in (0, 2, 3)) and answers[0] == answers[2]
    first, second = sorted(server.wait_for_messages("alice", 2), key=lambda message: b"Subject: two" in message)
    assert first.endswith(b"Subject: one\n\nfirst\n") and second.endswith(b"Subject: two\n\nsecond\n")
    assert first.startswith(b"Return-Path: <s@example.org>\n") and second.startswith(b"Return-Path: <>\n")
    field = re.search(rb"^Received: from unknown \(127\.0\.0\.1\)\n  by 0 with QMTP; .* -0000\n", first, re.M)
    assert field, first
    assert len(server.wait_for_messages("bob", 1)) == 1


def test_each_byte_by_itself(server):
    said = package(b"\rSubject: slow\r\n\r\n.\r\n", b"s@example.org", f"alice@{HOST}".encode())
    with TcpServer(server, [server.programs / "qmail-qmtpd"]) as door, door.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in said:
            connection.send(bytes([byte]))
        assert re.search(OK, connection.recv(1000))
    assert server.wait_for_messages("alice", 1)[0].endswith(b"\nSubject: slow\n\n.\n")


def test_a_client_that_goes_away_leaves_nothing(server):
    said = package(b"\nx\n", b"s@example.org", f"alice@{HOST}".encode())
    with TcpServer(server, [server.programs / "qmail-qmtpd"]) as door:
        for length in range(0, len(said), 7):
            assert door.exchange(said[:length]) == b""
        assert re.search(OK, door.exchange(said))
    server.wait_for_messages("alice", 1)
    wait_until(lambda: b"messages in queue: 0" in server.command("qmail-qstat").stdout, "the queue does not drain")
    assert len(server.messages("alice")) == 1


def test_without_a_queue_the_client_shall_come_again(home):
    """No martletd runs."""
    ran = home.command("qmail-qmtpd", stdin=package(b"\nx\n", b"s", f"alice@{HOST}".encode()))
    assert (ran.returncode, responses(ran.stdout)) == (0, [b"Zqq trouble creating files in queue (#4.3.0)"])


@pytest.mark.parametrize("program", ["qmail-qmtpd", "qmail-qmqpd"])
@pytest.mark.parametrize("said, code", [
    (b"", 0), (b"x", 100), (b":,", 100), (b"-1:x,", 100), (b"4294967296:", 111), (b"9" * 40, 111), (b"0:,", 100), (b"GET / HTTP/1.1\r\n", 100),
])
def test_what_is_no_such_protocol(home, program, said, code):
    ran = home.command(program, stdin=said)
    assert (ran.returncode, ran.stdout) == (code, b"")


def test_rcpthosts_that_cannot_be_read_are_temporary_trouble(home):
    home.control("rcpthosts", None)
    (home.home / "control/rcpthosts").mkdir()
    assert home.command("qmail-qmtpd", stdin=package(b"\nx\n", b"s", b"a@b")).returncode == 111


@pytest.mark.parametrize("program", ["qmail-qmtpd", "qmail-qmqpd"])
def test_a_large_message_passes_in_little_memory(home, program):
    size = 200 << 20
    queue = home.home / "queue-program"
    queue.write_text("#!/bin/sh\n[ $(cat | wc -c) -ge %d ] || exit 71\ncat <&1 >/dev/null\n" % size)
    queue.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.home), "QMAILQUEUE": str(queue)}
    with subprocess.Popen(
            [home.programs / program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd="/", **as_account()) as child:
        tail = (b"," + netstring(b"s") + netstring(netstring(f"a@{HOST}".encode()))) if program == "qmail-qmtpd" else b"," + netstring(b"s") + netstring(b"a")
        head = b"%d:" % size
        if program == "qmail-qmqpd":
            head = b"%d:" % (len(head) + size + len(tail)) + head
            tail += b","
        child.stdin.write(head)
        for _ in range(size >> 20):
            child.stdin.write(b"\n" * (1 << 20))
        # All but what the pipe holds has passed.
        peak = peak_memory(child.pid)
        child.stdin.write(tail)
        child.stdin.close()
        answer = child.stdout.read()
    assert child.returncode == 0
    assert re.fullmatch(OK, *responses(answer)), answer
    assert peak < 40 << 10, "KiB"


def test_a_list_without_end_is_refused_in_little_memory(home):
    ran = home.command("qmail-qmqpd", stdin=b"2000000000:1:x,1:s," + b"0:," * 1_000_001)
    assert (ran.returncode, ran.stdout) == (111, b"")


# QMQP


@pytest.fixture
def client_home(programs):
    """A host without a queue."""
    instance = Martlet(programs)
    yield instance
    instance.clean()


@needs_root
def test_a_host_without_a_queue(server, client_home):
    """qmail-inject there, with qmail-qmqpc as its queue; the first server does not answer the door."""
    client_home.control("qmqpservers", "no address\n127.20.0.9\n127.20.0.8\n")
    with TcpServer(server, [server.programs / "qmail-qmqpd"], address="127.20.0.8", port=QMQP_PORT, as_root=True):
        ran = client_home.command(
            "qmail-inject", "-fs@example.org", f"alice@{HOST}", stdin=b"Subject: far\n\nhello\n", environment={"QMAILQUEUE": "bin/qmail-qmqpc"})
    assert ran.returncode == 0, ran.stderr
    [message] = server.wait_for_messages("alice", 1)
    assert b"\nSubject: far\n" in message and message.endswith(b"\n\nhello\n")
    assert re.search(rb"^Received: from unknown \(127\.\d+\.\d+\.\d+\)\n  by 0 with QMQP; ", message, re.M), message


def ask(home, envelope, message=b"x\n"):
    """The exit code of qmail-qmqpc."""
    reader, writer = os.pipe()
    os.write(writer, envelope)
    os.close(writer)
    try:
        return subprocess.run(
            [home.programs / "qmail-qmqpc"], input=message, stdout=reader, timeout=LIMIT, cwd="/",
            env={"PATH": os.environ["PATH"], "QMAILHOME": str(home.home)}, **as_account()).returncode
    finally:
        os.close(reader)


def serve_once(address, answer):
    """A server that reads a request and gives `answer`; its thread, whose `request` is what came."""
    listener = socket.create_server((address, QMQP_PORT))

    def serve():
        with listener, listener.accept()[0] as connection:
            connection.settimeout(LIMIT)
            received = b""
            while not re.match(rb"(\d+):", received) or len(received) < int(received.split(b":")[0]) + len(received.split(b":")[0]) + 2:
                received += connection.recv(1 << 16)
            thread.request = received
            connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@needs_root
@pytest.mark.parametrize("answer, code", [(b"3:Kok,", 0), (b"5:Zlate,", 71), (b"2:Dn,", 31), (b"", 74), (b"7:garbage,", 74)])
def test_what_a_server_answers(client_home, answer, code):
    client_home.control("qmqpservers", "127.20.0.7")
    server = serve_once("127.20.0.7", answer)
    assert ask(client_home, b"Fs@x\0Ta@y\0Tb@z\0\0more", b"m" * 1_000_000) == code
    server.join(LIMIT)
    assert server.request == request(b"m" * 1_000_000, b"s@x", b"a@y", b"b@z")


@needs_root
def test_a_server_that_was_reached_decides(client_home):
    """It may have the message: no other is asked."""
    client_home.control("qmqpservers", "127.20.0.6\n127.20.0.5\n")
    first = serve_once("127.20.0.6", b"")
    with socket.create_server(("127.20.0.5", QMQP_PORT)) as second:
        assert ask(client_home, b"Fs\0Ta\0\0") == 74
        second.settimeout(0)
        with pytest.raises(BlockingIOError):
            second.accept()
    first.join(LIMIT)


@pytest.mark.parametrize("servers, envelope, code", [
    (None, b"Fs\0Ta\0\0", 55), (b"", b"Fs\0Ta\0\0", 55), ("host.example", b"Fs\0Ta\0\0", 55), ("127.20.0.4", b"Fs\0Ta\0\0", 73),
    ("127.20.0.4", b"Fs\0Ta", 91), ("127.20.0.4", b"", 91), ("127.20.0.4", b"Xs\0\0", 91), ("127.20.0.4", b"F" + b"s" * 1003 + b"\0\0", 11),
    ("127.20.0.4", b"Fs\nt\0Ta\0\0", 31),
])
def test_exit_codes_without_a_server(client_home, servers, envelope, code):
    if servers is not None:
        client_home.control("qmqpservers", servers)
    assert ask(client_home, envelope) == code
