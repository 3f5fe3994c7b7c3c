"""The doors of role smtpd beside port 25: QMTP, QMQP and LMTP, and proxies in front of any of them."""

import contextlib
import re
import signal
import socket
import struct
import time

import pytest
from martlet import HOST, LIMIT, Martlet, wait_until
from test_packages import NOT_ALLOWED, OK, netstring, package, request, responses

ALICE = f"alice@{HOST}".encode()
DOORS = ("smtp", "lmtp", "qmtp", "qmqp")
V2 = b"\r\n\r\n\0\r\nQUIT\n"


@contextlib.contextmanager
def running(programs, **control):
    """A Martlet with all of DOORS open."""
    instance = Martlet(programs)
    try:
        instance.user("alice")
        instance.user("bob")
        for door in DOORS:
            instance.control(f"{door}listen", "127.0.0.1:0")
        for name, text in control.items():
            instance.control(name, text)
        yield instance.start()
    finally:
        instance.clean()


@pytest.fixture(scope="module")
def shared(programs):
    with running(programs, qmqprules="127.:allow") as instance:
        yield instance


@pytest.fixture(scope="module")
def proxied(programs):
    """127.0.0.1 is a proxy; mail from 192.0.2.1 may be relayed, 198.51.100. may not connect."""
    rules = '192.0.2.1:allow,RELAYCLIENT=""\n198.51.100.:deny\n[2001:db8::/32]:deny'
    with running(programs, qmqprules="192.0.2.1:allow", smtprules=rules, proxyclients="127.0.0.0/8", concurrencyperip="3") as instance:
        yield instance


def connect(server, door):
    return socket.create_connection(server.doors[door], timeout=LIMIT)


def read_all(client):
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(1 << 16):
            received += data
    return received


def exchange(server, door, said):
    """All that a client hears that says this and no more."""
    with connect(server, door) as client:
        # A client that is refused may find the connection gone at any moment.
        with contextlib.suppress(OSError):
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
        return read_all(client)


def read_line(client):
    line = b""
    while not line.endswith(b"\n"):
        byte = client.recv(1)
        if not byte:
            break
        line += byte
    return line


def mark():
    mark.count += 1
    return f"mark-{mark.count}-{time.monotonic_ns()}".encode()


mark.count = 0


def arrived(server, word, user="alice"):
    return wait_until(lambda: next((m for m in server.messages(user) if word in m), None), lambda: f"no {word} in\n{server.log()}")


# QMTP


def test_qmtp(shared):
    one, two = mark(), mark()
    said = package(b"\nSubject: one\n\n" + one + b"\n", b"s@example.org", ALICE, b"x@elsewhere.example", b"bob@" + HOST.encode())
    said += package(b"\rSubject: two\r\n\r\n" + two + b"\r\n", b"", ALICE)
    answers = responses(exchange(shared, "qmtp", said))
    assert len(answers) == 4 and answers[1] == NOT_ALLOWED
    assert all(re.fullmatch(OK, answers[number]) for number in (0, 2, 3)) and answers[0] == answers[2]
    first = arrived(shared, one)
    assert re.search(rb"^Received: from unknown \(127\.0\.0\.1\)\n  by mail\.example with QMTP; .* -0000\n", first, re.M), first
    assert arrived(shared, one, "bob") and arrived(shared, two).startswith(b"Return-Path: <>\n")


def test_qmtp_byte_by_byte(shared):
    word = mark()
    said = package(b"\nSubject: x\n\n" + word + b"\n", b"", ALICE) * 2
    with connect(shared, "qmtp") as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in said:
            client.sendall(bytes([byte]))
        client.shutdown(socket.SHUT_WR)
        answers = responses(read_all(client))
    assert len(answers) == 2 and all(re.fullmatch(OK, answer) for answer in answers)


def test_qmtp_many_at_once(shared):
    """A thousand packages in one burst: answered one by one, in order."""
    word = mark()
    said = b"".join(package(b"\nSubject: %d\n\n" % number + word + b"\n", b"", ALICE if number % 2 else b"x@elsewhere.example") for number in range(1000))
    answers = responses(exchange(shared, "qmtp", said))
    assert len(answers) == 1000
    assert all((re.fullmatch(OK, answer) is not None) == bool(number % 2) for number, answer in enumerate(answers))
    wait_until(lambda: sum(word in message for message in shared.messages("alice")) == 500, "not all of 500 came")


@pytest.mark.parametrize("said", [b"GET / HTTP/1.0\r\n\r\n", b"0:,", b"3:xab,", b"5:\nabcd;", b"99999999999999999999:", b"EHLO x\r\n", b"1:\n,0:,3:1:a;"])
def test_qmtp_of_something_else_is_closed(shared, said):
    assert exchange(shared, "qmtp", said) == b""


def test_half_a_package_leaves_nothing(shared):
    word = mark()
    whole = package(b"\nSubject: x\n\n" + word + b"\n", b"", ALICE)
    assert exchange(shared, "qmtp", whole[:-1]) == b""
    assert responses(exchange(shared, "qmtp", package(b"\nafter\n", b"", ALICE)))
    assert not any(word in message for message in shared.messages("alice"))


def test_qmtp_when_the_queue_dies_with_a_message(programs):
    """Neither yes nor no is true: the client hears the connection's end, and the next message is taken."""
    with running(programs) as server, connect(server, "qmtp") as client:
        client.sendall(package(b"\nx\n", b"", ALICE))
        assert b"Kok" in client.recv(1 << 10)
        server.kill("queue", signal.SIGSTOP)
        client.sendall(package(b"\nx\n", b"", ALICE))
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)
        server.kill("queue")
        client.settimeout(LIMIT)
        assert read_all(client) == b""

        def answer():
            return responses(exchange(server, "qmtp", package(b"\nx\n", b"", ALICE)))[0]

        assert re.fullmatch(OK, answer()) or re.fullmatch(rb"Zqqt failure \(#4\.3\.0\)", answer())
        wait_until(lambda: re.fullmatch(OK, answer()), "the queue does not come back")


# QMQP


def test_qmqp(shared):
    word = mark()
    answers = responses(exchange(shared, "qmqp", request(b"Subject: x\n\n" + word + b"\n", b"s@example.org", ALICE)))
    assert len(answers) == 1 and re.fullmatch(OK, answers[0])
    assert re.search(rb"^Received: from unknown \(127\.0\.0\.1\)\n  by mail\.example with QMQP; ", arrived(shared, word), re.M)


@pytest.mark.parametrize("rules", [None, "", ":deny", "10.:allow", "127.0.0.1:deny\n:allow"])
def test_qmqp_is_for_those_it_names(programs, rules):
    control = {} if rules is None else {"qmqprules": rules}
    with running(programs, smtprules=":allow", **control) as server:
        assert exchange(server, "qmqp", request(b"x\n", b"", ALICE)) == b""
        assert responses(exchange(server, "qmtp", package(b"\nx\n", b"", ALICE)))


# LMTP


def lmtp(server, *lines, door="lmtp"):
    return exchange(server, door, b"".join(line + b"\r\n" for line in lines)).split(b"\r\n")[:-1]


def test_lmtp_answers_each_recipient(shared):
    word = mark()
    replies = lmtp(shared, b"LHLO c", b"MAIL FROM:<s@example.org>", b"RCPT TO:<alice@mail.example>", b"RCPT TO:<nobody@mail.example>",
                   b"RCPT TO:<bob@mail.example>", b"DATA", b"Subject: x", b"", word, b".", b"QUIT")
    assert replies[0] == b"220 mail.example LMTP"
    assert [reply[:3] for reply in replies[1:] if reply[3:4] == b" "] == [b"250", b"250", b"250", b"550", b"250", b"354", b"250", b"250", b"221"]
    assert replies[-2] == replies[-3] and re.fullmatch(rb"250 2\.0\.0 ok \d+ qp \d+", replies[-2])
    assert b"  by mail.example with LMTP; " in arrived(shared, word)
    assert arrived(shared, word, "bob")


def test_lmtp_has_no_helo(shared):
    assert [reply[:9] for reply in lmtp(shared, b"EHLO c", b"HELO c", b"LHLO c")[1:3]] == [b"502 5.5.1", b"502 5.5.1"]
    assert exchange(shared, "smtp", b"LHLO c\r\n").splitlines()[1].startswith(b"502 5.5.1")


def test_lmtp_refuses_for_each_recipient(shared):
    replies = lmtp(shared, b"LHLO c", b"MAIL FROM:<>", b"RCPT TO:<alice@mail.example>", b"RCPT TO:<bob@mail.example>", b"DATA", b"a\nb", b".", b"NOOP")
    assert [reply[:9] for reply in replies[-3:]] == [b"550 5.5.2", b"550 5.5.2", b"250 2.0.0"]


def test_lmtp_chunks(shared):
    word = mark()
    replies = lmtp(shared, b"LHLO c", b"MAIL FROM:<>", b"RCPT TO:<alice@mail.example>", b"RCPT TO:<bob@mail.example>",
                   b"BDAT %d" % (len(word) + 2), word, b"BDAT 3 LAST\r\nx", b"NOOP")
    assert [reply[:9] for reply in replies[-4:]] == [b"250 2.0.0"] * 4
    assert replies[-4] == b"250 2.0.0 ok" and b" qp " in replies[-3] and replies[-3] == replies[-2]
    assert arrived(shared, word, "bob")


def test_lmtp_on_a_unix_socket(home):
    home.user("alice")
    path = home.home / "lmtp"
    home.control("lmtplisten", f"unix:{path}")
    home.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LIMIT)
        client.connect(str(path))
        client.sendall(b"LHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@mail.example>\r\nDATA\r\n\r\nby lmtp\r\n.\r\nQUIT\r\n")
        assert b"221 2.0.0" in read_all(client)
    assert b"Received: from unknown (HELO c) (unknown)\n  by mail.example with LMTP; " in home.wait_for_messages("alice", 1)[0]


# Proxies


def v2(command, family, content):
    return V2 + bytes([0x20 | command, family]) + struct.pack(">H", len(content)) + content


def v4_content(client, server="203.0.113.1"):
    return socket.inet_aton(client) + socket.inet_aton(server) + struct.pack(">HH", 4000, 25)


def v6_content(client):
    return socket.inet_pton(socket.AF_INET6, client) + socket.inet_pton(socket.AF_INET6, "2001:db8:1::1") + struct.pack(">HH", 4000, 25)


FROM_RELAY = [
    b"PROXY TCP4 192.0.2.1 203.0.113.1 4000 25\r\n",
    b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 4000 25\r\n",
    v2(1, 0x11, v4_content("192.0.2.1")),
    v2(1, 0x11, v4_content("192.0.2.1") + b"\x04\x00\x03abc"),
    v2(1, 0x21, v6_content("::ffff:192.0.2.1")),
]


@pytest.mark.parametrize("header", FROM_RELAY)
def test_the_told_address_counts(proxied, header):
    """For rules (RELAYCLIENT) and for the trace, in one write and byte by byte."""
    word = mark()
    mail = b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<far@elsewhere.example>\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<alice@mail.example>\r\nDATA\r\n\r\n" \
        + word + b"\r\n.\r\nQUIT\r\n"
    answer = exchange(proxied, "smtp", header + mail)
    assert answer.startswith(b"220 ") and b"\r\n553 " not in answer and b"221 2.0.0" in answer
    assert b"Received: from unknown (HELO c) (192.0.2.1)\n  by mail.example with SMTP; " in arrived(proxied, word)
    with connect(proxied, "smtp") as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header:
            client.sendall(bytes([byte]))
        assert read_line(client).startswith(b"220 ")


@pytest.mark.parametrize("header", [v2(1, 0x11, v4_content("198.51.100.7")), b"PROXY TCP6 2001:db8::7 ::1 1 2\r\n", v2(1, 0x21, v6_content("2001:db8::7"))])
def test_rules_are_asked_about_the_told_address(proxied, header):
    assert exchange(proxied, "smtp", header).startswith(b"554 5.7.1")


@pytest.mark.parametrize("header", [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN whatever 1 2\r\n", v2(0, 0, b""), v2(0, 0x11, v4_content("192.0.2.1")),
                                    v2(1, 0, b""), v2(1, 0x31, bytes(216))])
def test_a_proxy_may_speak_for_itself(proxied, header):
    answer = exchange(proxied, "smtp", header + b"MAIL FROM:<>\r\nRCPT TO:<far@elsewhere.example>\r\n")
    assert answer.startswith(b"220 ") and b"553 5.7.1" in answer, "its own address relays nothing"


MALFORMED = [
    b"EHLO c\r\n", b"PROXY TCP4 192.0.2.1 203.0.113.1 4000\r\n", b"PROXY TCP4 192.0.2.1 203.0.113.1 4000 25\n", b"PROXY TCP5 192.0.2.1 203.0.113.1 1 2\r\n",
    b"PROXY TCP4 2001:db8::1 203.0.113.1 1 2\r\n", b"PROXY TCP6 192.0.2.1 ::1 1 2\r\n", b"PROXY TCP4 192.0.2.256 203.0.113.1 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 203.0.113.1 65536 25\r\n", b"PROXY TCP4  192.0.2.1 203.0.113.1 1 2\r\n", b"PROXY TCP4 [192.0.2.1] 203.0.113.1 1 2\r\n",
    b"PROXY " + b"x" * 200, b"PROXY UNKNOWN" + b"x" * 100 + b"\r\n", b"proxy tcp4 192.0.2.1 203.0.113.1 1 2\r\n",
    v2(1, 0x11, b"short"), v2(2, 0x11, v4_content("192.0.2.1")), v2(1, 0x41, bytes(216)), v2(1, 0x12, v4_content("192.0.2.1")),
    V2 + b"\x11\x11\0\x0c", V2 + b"\x21\x11\xff\xff", b"\r\n\r\n\0\r\nQUIT\r\n",
]


@pytest.mark.parametrize("header", MALFORMED)
def test_a_malformed_header_closes_with_one_line(proxied, header):
    after = len(proxied.log())
    assert exchange(proxied, "smtp", header) == b""
    line = proxied.wait_for_log(r"^.*PROXY header.*$", after=after)[0]
    assert line.endswith("smtpd: proxy 127.0.0.1 sent no PROXY header: connection closed")
    assert len(re.findall("PROXY header", proxied.log()[after:])) == 1


def test_connections_are_counted_by_the_told_address(proxied):
    def open_from(address):
        client = connect(proxied, "smtp")
        client.sendall(f"PROXY TCP4 {address} 203.0.113.1 1 25\r\n".encode())
        return client, read_line(client)[:3]

    with contextlib.ExitStack() as stack:
        codes = []
        for number in range(5):
            client, code = open_from("203.0.113.77")
            stack.enter_context(client)
            codes.append(code)
        assert codes == [b"220"] * 3 + [b"421"] * 2
        client, code = open_from("203.0.113.78")
        stack.enter_context(client)
        assert code == b"220"


def test_every_door_takes_the_header(proxied):
    word = mark()
    header = FROM_RELAY[2]
    assert re.fullmatch(OK, responses(exchange(proxied, "qmtp", header + package(b"\n\n" + word + b"\n", b"", ALICE)))[0])
    assert b"(192.0.2.1)" in arrived(proxied, word)
    assert re.fullmatch(OK, responses(exchange(proxied, "qmqp", header + request(b"\nx\n", b"", ALICE)))[0])
    assert exchange(proxied, "qmqp", FROM_RELAY[0].replace(b"192.0.2.1", b"192.0.2.2") + request(b"\nx\n", b"", ALICE)) == b""
    assert exchange(proxied, "lmtp", header).startswith(b"220 mail.example LMTP")


def test_a_header_from_others_is_never_looked_at(shared):
    answer = exchange(shared, "smtp", FROM_RELAY[0] + b"NOOP\r\n")
    assert answer.splitlines()[1].startswith(b"502 5.5.1")


def test_a_proxy_that_says_nothing_is_dropped(proxied):
    started = time.monotonic()
    with connect(proxied, "smtp") as client:
        client.sendall(b"PROXY TCP4 ")
        assert read_all(client) == b""
    assert 8 < time.monotonic() - started < LIMIT
    proxied.wait_for_log(r"proxy 127\.0\.0\.1 sent no PROXY header in time")
