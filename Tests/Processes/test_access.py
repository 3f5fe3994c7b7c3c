"""Role access: POP3 with clients, hostile ones too (hardening.md 1.1 PIPE/TLS, 1.5 AUTH, SLOW, POP3). Auth is played by the test."""

import base64
import contextlib
import os
import poplib
import signal
import socket
import ssl
import time

import pytest

from access_desk import PASSWORD, TEMPORARY, THROTTLED, AccessDesk
from martlet import LIMIT, wait_until

INSECURE = {"authinsecure": "127.0.0.0/8"}


@pytest.fixture(scope="module")
def shared(programs):
    """A desk where everybody may log in without TLS, by every mechanism."""
    with AccessDesk(programs, control={**INSECURE, "authmechanisms": "PLAIN\nLOGIN\nAPOP"}) as desk:
        yield desk


@pytest.fixture
def desk(shared):
    shared.begun.clear()
    shared.refusal, shared.opens = 0, True
    for folder in ("new", "cur"):
        for path in (shared.home / "home/alice/Maildir" / folder).iterdir():
            path.unlink()
    return shared


@pytest.fixture
def strict(programs):
    with AccessDesk(programs) as desk:
        yield desk


def unchecked():
    return ssl._create_unverified_context()


def pop(desk):
    return poplib.POP3(*desk.doors["pop3"], timeout=LIMIT)


def pops(desk):
    return poplib.POP3_SSL(*desk.doors["pop3s"], timeout=LIMIT, context=unchecked())


def log_in(client):
    client.user("alice")
    client.pass_(PASSWORD.decode())
    return client


def read_all(connection):
    data = b""
    with contextlib.suppress(ConnectionResetError, ssl.SSLError):
        while piece := connection.recv(1 << 16):
            data += piece
    return data


def ended(connection):
    with contextlib.suppress(ConnectionResetError, ssl.SSLError):
        return connection.recv(1) == b""
    return True


# Logins


def by_stls(desk):
    client = pop(desk)
    client.stls(context=unchecked())
    return client


@pytest.mark.parametrize("connect", [pop, by_stls, pops])
def test_mail_is_read_on_every_door(desk, connect):
    desk.put("new/1.h", b"Subject: one\n\n.dot\n..two\nend\n")
    client = log_in(connect(desk))
    assert client.stat() == (1, 29)
    assert client.retr(1)[1] == [b"Subject: one", b"", b".dot", b"..two", b"end"]
    assert client.top(1, 1)[1] == [b"Subject: one", b"", b".dot"]
    assert client.uidl()[1] == [b"1 1.h"]
    client.dele(1)
    assert client.quit() == b"+OK "
    assert list((desk.home / "home/alice/Maildir/new").iterdir()) == []
    assert desk.begun == [("PLAIN", b"\0alice\0" + PASSWORD, connect is not pop)]


def test_apop_has_its_timestamp_in_the_greeting(desk):
    client = pop(desk)
    client.apop("alice", PASSWORD.decode())
    client.quit()
    assert desk.begun[0][0] == "APOP"


def auth(desk, *lines):
    """Says the lines one after the other; the reply to each."""
    with desk.connect() as connection, connection.makefile("rb") as replies:
        replies.readline()
        said = []
        for line in lines:
            connection.sendall(line + b"\r\n")
            said.append(replies.readline().rstrip(b"\r\n"))
        return said


def test_sasl(desk):
    message = base64.b64encode(b"\0alice\0" + PASSWORD)
    login, password = base64.b64encode(b"alice"), base64.b64encode(PASSWORD)
    assert auth(desk, b"AUTH PLAIN " + message) == [b"+OK "]
    assert auth(desk, b"AUTH PLAIN", message) == [b"+ ", b"+OK "]
    assert auth(desk, b"auth login", login, password) == [b"+ VXNlciBOYW1l", b"+ UGFzc3dvcmQ=", b"+OK "]
    assert auth(desk, b"AUTH LOGIN", b"*", b"NOOP") == [b"+ VXNlciBOYW1l", b"-ERR login given up", b"-ERR not before the login"]
    assert auth(desk, b"AUTH LOGIN", b"%", b"AUTH PLAIN " + message) == [b"+ VXNlciBOYW1l", b"-ERR not a message of this mechanism", b"+OK "]


def test_wrong_passwords_and_unknown_names_are_told_alike(desk):
    for user, password in (("alice", "wrong"), ("nobody", PASSWORD.decode()), ("../alice", "x")):
        client = pop(desk)
        for _ in range(3):
            client.user(user)
            with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\] authorization failed"):
                client.pass_(password)
        assert ended(client.sock), "the third failure is the last"
        client.close()


@pytest.mark.parametrize("refusal, text", [(TEMPORARY, "SYS/TEMP"), (THROTTLED, "SYS/TEMP")])
def test_other_refusals(desk, refusal, text):
    desk.refusal = refusal
    client = pop(desk)
    client.user("alice")
    with pytest.raises(poplib.error_proto, match=text):
        client.pass_("x")
    client.close()


def test_no_login_without_tls(strict):
    """Hardening AUTH: neither offered nor taken in clear; what was learned in clear counts no more within TLS."""
    client = pop(strict)
    assert client.welcome == b"+OK mail.example POP3"
    offered = client.capa()
    assert "STLS" in offered and not {"USER", "SASL"} & set(offered)
    for line in ("USER alice", "PASS x", "AUTH PLAIN AGFsaWNlAHg=", "AUTH LOGIN"):
        with pytest.raises(poplib.error_proto, match=r"\[SYS/PERM\] no login without TLS"):
            client._shortcmd(line)
    client.stls(context=unchecked())
    offered = client.capa()
    assert "STLS" not in offered and offered["SASL"] == ["PLAIN", "LOGIN"] and "USER" in offered
    log_in(client).quit()
    assert all(encrypted for _, _, encrypted in strict.begun)


def test_capabilities_after_the_login(desk):
    client = log_in(pop(desk))
    assert set(client.capa()) == {"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "EXPIRE", "UTF8", "LANG"}
    client.quit()


# STLS


@pytest.mark.parametrize("cut", ["one segment", "split", "delayed"])
def test_nothing_said_in_clear_is_heard_within_tls(desk, cut):
    """Hardening PIPE/TLS: STLS with a command behind it; CVE-2011-0411."""
    with desk.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.recv(1000)
        if cut == "one segment":
            connection.sendall(b"STLS\r\nUSER mallory\r\n")
        elif cut == "split":
            connection.sendall(b"STL")
            connection.sendall(b"S\r\nUSER mallory\r\n")
        else:
            connection.sendall(b"STLS\r\n")
            time.sleep(0.001)
            connection.sendall(b"USER mallory\r\n")
        said = read_all(connection)
    assert said.count(b"+OK ") == said.count(b"+OK begin TLS"), "the injected command was not answered"
    if cut != "delayed":
        assert said == b"-ERR nothing may follow STLS\r\n"
    assert desk.begun == []


def test_a_client_that_ends_tls_in_the_middle_deletes_nothing(desk):
    desk.put("new/1.h", b"x\n")
    client = log_in(pops(desk))
    client.dele(1)
    client.sock.unwrap()
    client.close()
    client = log_in(pops(desk))
    assert client.stat() == (1, 2)
    # Without close_notify.
    client.dele(1)
    os.close(client.sock.detach())
    client = log_in(pops(desk))
    assert client.stat() == (1, 2)
    client.quit()


def test_clear_text_on_the_tls_door(desk):
    with desk.connect("pop3s") as connection:
        connection.sendall(b"USER alice\r\nPASS secret word\r\n")
        assert not read_all(connection).startswith(b"+OK")
    with desk.connect("pop3s") as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER alice\r\n")
        assert not read_all(connection).startswith(b"+OK")
    assert desk.begun == []


@pytest.mark.parametrize("cut", [0, 1, 30, None], ids=["header first", "one byte with it", "a piece with it", "one segment"])
def test_a_proxy_before_tls(strict, cut):
    """The client's first message may come with the proxy's header; it is TLS from its first byte."""
    (strict.home / "control/proxyclients").write_text("127.0.0.1\n")
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = unchecked().wrap_bio(incoming, outgoing)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    cut = len(hello) if cut is None else cut
    with strict.connect("pop3s") as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 995\r\n" + hello[:cut])
        time.sleep(0.05)
        connection.sendall(hello[cut:])

        def until_done(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    incoming.write(connection.recv(1 << 16))

        until_done(client.do_handshake)
        assert until_done(lambda: client.read(1000)).startswith(b"+OK")
        client.write(b"USER alice\r\nPASS secret word\r\nQUIT\r\n")
        connection.sendall(outgoing.read())
        wait_until(lambda: strict.begun, strict.log)


# The mailbox


def test_what_is_said_together_is_answered_together(desk):
    for number in range(3):
        desk.put(f"new/{number}.h", b"Subject: %d\n\n" % number, age=100 - number)
    with desk.connect() as connection:
        connection.recv(1000)
        connection.sendall(b"USER alice\r\nPASS secret word\r\nSTAT\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b"+OK \r\n+OK \r\n+OK 3 36\r\n+OK \r\nSubject: 1\r\n\r\n.\r\n+OK \r\n+OK \r\n"
    assert sorted(path.name for path in (desk.home / "home/alice/Maildir/cur").iterdir()) == ["1.h:2,", "2.h:2,"]


def test_an_end_without_quit_deletes_nothing(desk):
    desk.put("new/1.h", b"x\n")
    with desk.connect() as connection:
        connection.recv(1000)
        connection.sendall(b"USER alice\r\nPASS secret word\r\nDELE 1\r\nQUIT")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b"+OK \r\n+OK \r\n+OK \r\n"
    client = log_in(pop(desk))
    assert client.stat() == (1, 2)
    client.quit()


def test_a_worker_that_cannot_start(desk):
    desk.opens = False
    client = pop(desk)
    client.user("alice")
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\] the mailbox cannot be opened now"):
        client.pass_(PASSWORD.decode())
    assert ended(client.sock)
    client.close()


def test_a_mailbox_that_is_not_there(desk):
    maildir = desk.home / "home/alice/Maildir"
    (maildir / "cur").rename(maildir / "away")
    try:
        client = pop(desk)
        client.user("alice")
        with pytest.raises(poplib.error_proto, match=r"\[SYS/PERM\] the mailbox cannot be opened"):
            client.pass_(PASSWORD.decode())
        client.close()
    finally:
        (maildir / "away").rename(maildir / "cur")


@pytest.mark.parametrize("connect", [pop, pops])
def test_a_large_message_to_a_slow_reader(desk, connect):
    """It passes whole, and access holds little of it meanwhile."""
    content = b"Subject: large\n\n" + b"".join(b"%08d %s\n" % (number, b"y" * 60) for number in range(500_000))
    desk.put("new/1.h", content)
    client = log_in(connect(desk))
    client.sock.sendall(b"RETR 1\r\n")
    time.sleep(0.5)
    with open(f"/proc/{desk.access.pid}/status") as status:
        kib = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    assert kib < 60 << 10
    assert client._getlongresp()[1] == content.rstrip(b"\n").split(b"\n")
    client.quit()


def test_two_sessions_at_once(desk):
    for number in range(4):
        desk.put(f"new/{number}.h", b"Subject: %d\n\n" % number, age=100 - number)
    first, second = log_in(pop(desk)), log_in(pop(desk))
    ids = first.uidl()[1]
    second.dele(2)
    second.quit()
    assert first.retr(1)[1][0] == b"Subject: 0"
    with pytest.raises(poplib.error_proto):
        first.retr(2)
    first.dele(2)
    first.dele(3)
    assert first.quit() == b"+OK "
    third = log_in(pop(desk))
    assert [line.split()[1] for line in third.uidl()[1]] == [ids[0].split()[1], ids[3].split()[1]]
    third.quit()


@pytest.mark.parametrize("number", ["0", "-1", "4294967296", "4294967297", "18446744073709551617", "x"])
def test_numbers_that_are_none(desk, number):
    desk.put("new/1.h", b"x\n")
    client = log_in(pop(desk))
    for verb in ("RETR", "TOP", "DELE", "LIST", "UIDL"):
        with pytest.raises(poplib.error_proto):
            client._shortcmd(f"{verb} {number}")
    assert client.stat() == (1, 2)
    client.quit()


# Slow and hostile clients


def test_many_that_say_nothing_leave_a_good_one_alone(programs):
    """Hardening SLOW: 1,000 idle, some drip, some never read."""
    count = 1000 if os.getenv("MARTLET_QUICK") is None else 100
    with AccessDesk(programs, control={**INSECURE, "concurrencypop3": "5000", "concurrencyperip": "5000"}) as desk, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(desk.connect()) for _ in range(count)]
        for connection in idle[:100]:
            connection.sendall(b"U")
        desk.put("new/1.h", b"Subject: x\n\n" + b"z" * 5_000_000 + b"\n")
        for connection in idle[100:110]:
            connection.sendall(b"USER alice\r\nPASS secret word\r\n" + b"RETR 1\r\n" * 20)
        start = time.monotonic()
        client = pop(desk)
        assert time.monotonic() - start < 1
        log_in(client).quit()


def test_limits_of_connections(programs):
    with AccessDesk(programs, control={**INSECURE, "concurrencyperip": "3"}) as desk, contextlib.ExitStack() as stack:
        # The probe that waited for the start may still be counted.
        held = wait_until(lambda: admitted(desk, 3), desk.log)
        stack.callback(lambda: [connection.close() for connection in held])
        with desk.connect() as connection:
            assert read_all(connection) == b"-ERR [SYS/TEMP] too many connections\r\n"
        held.pop().close()
        wait_until(lambda: desk.answers("pop3"), desk.log)


def admitted(desk, count):
    """So many connections; none when there is no room for all."""
    connections = [desk.connect() for _ in range(count)]
    if all([connection.recv(100).startswith(b"+OK") for connection in connections]):
        return connections
    for connection in connections:
        connection.close()


def test_lines_without_end(desk):
    with desk.connect() as connection:
        connection.recv(1000)
        connection.sendall(b"USER " + b"x" * 3000)
        assert read_all(connection) == b"-ERR line too long\r\n"


def test_commands_without_a_login(desk):
    """A hundred are enough for anybody; more would be work for nothing."""
    with desk.connect() as connection:
        connection.recv(1000)
        connection.sendall(b"CAPA\r\n" * 20_000)
        said = read_all(connection)
    assert said.count(b"+OK") == 100 and said.endswith(b"-ERR too many commands\r\n")


def test_auth_may_die_and_return(desk):
    """A login under way is refused for now, never let in."""
    desk.refusal = None
    client = pop(desk)
    client.user("alice")
    client.sock.sendall(b"PASS secret word\r\n")
    wait_until(lambda: desk.begun, desk.log)
    connection = next(end for end in reversed(desk.ends) if end.fileno() >= 0 and isinstance(end, socket.socket) and end.type == socket.SOCK_STREAM
                      and end.getsockname() == desk.auth.getsockname() and end is not desk.auth)
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()
    with pytest.raises(poplib.error_proto, match=r"\[SYS/TEMP\]"):
        client._getresp()
    desk.refusal = 0
    wait_until(lambda: can_log_in(desk), desk.log)
    client.close()


def can_log_in(desk):
    with contextlib.suppress(poplib.error_proto):
        log_in(pop(desk)).quit()
        return True
    return False


def test_an_orderly_stop(programs):
    with AccessDesk(programs, control=INSECURE) as desk:
        waiting = pop(desk)
        reading = log_in(pop(desk))
        desk.access.send_signal(signal.SIGTERM)
        assert ended(waiting.sock)
        reading.quit()
        assert desk.access.wait(LIMIT) == 0
        waiting.close()
