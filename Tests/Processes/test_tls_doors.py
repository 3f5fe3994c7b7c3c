"""hardening.md 1.1 "PIPE/TLS injection" and 1.4 "TLS in" at every door that has TLS; test_tls.py goes further at those for SMTP."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import time

import pytest
from martlet import HOST, LIMIT, Martlet, wait_until
from test_tls import KINDS, POST, make_certificate, memory_of, read_all, unchecked

# What begins TLS there; None where it begins with the connection.
DOORS = {
    "smtp": b"STARTTLS", "submission": b"STARTTLS", "lmtp": b"STARTTLS", "pop3": b"STLS", "smtps": None, "submissions": None, "pop3s": None,
}
IN_CLEAR = [door for door, command in DOORS.items() if command]
GOOD = (b"220 ", b"+OK")
WORKERS = 2


@pytest.fixture(scope="module")
def house(programs):
    """All doors open, with a certificate that openssl made."""
    instance = Martlet(programs)
    try:
        instance.user("alice")
        (instance.home / "tls").mkdir()
        make_certificate(instance, "default", HOST, KINDS["rsa"])
        instance.control("smtpworkers", str(WORKERS))
        for door in DOORS:
            instance.control(f"{door}listen", "127.0.0.1:0")
        instance.start()
        wait_until(lambda: all(offers_tls(instance, door) for door in IN_CLEAR), instance.log)
        yield instance
    finally:
        instance.clean()


def in_clear(house, door):
    """A connection that has been greeted, where there is a greeting in clear."""
    connection = socket.create_connection(house.doors[door], timeout=LIMIT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if DOORS[door]:
        assert connection.recv(1000).startswith(GOOD)
    return connection


def offers_tls(house, door):
    with in_clear(house, door) as connection:
        connection.sendall(DOORS[door] + b"\r\n")
        return connection.recv(1000).startswith(GOOD)


def encrypted(house, door, context=None):
    connection = in_clear(house, door)
    if DOORS[door]:
        connection.sendall(DOORS[door] + b"\r\n")
        assert connection.recv(1000).startswith(GOOD)
    return (context or unchecked()).wrap_socket(connection, server_hostname=HOST)


@pytest.mark.parametrize("version, refused", [("-tls1", True), ("-tls1_1", True), ("-tls1_2", False), ("-tls1_3", False)])
@pytest.mark.parametrize("door", DOORS)
def test_no_version_before_1_2(house, door, version, refused):
    """T: TLS 1.1, by a client that would take any cipher."""
    host, port = house.doors[door]
    protocol = {b"STARTTLS": "lmtp" if door == "lmtp" else "smtp", b"STLS": "pop3"}.get(DOORS[door])
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", version, "-cipher", "ALL:@SECLEVEL=0", *(["-starttls", protocol] if protocol else [])],
        input=b"QUIT\r\n", capture_output=True, timeout=LIMIT)
    assert (b"alert protocol version" in done.stderr) == refused, done.stderr
    assert (done.returncode != 0) == refused and (b"Cipher is (NONE)" in done.stdout) == refused


@pytest.mark.parametrize("within_tls", [False, True], ids=["in clear", "within TLS"])
@pytest.mark.parametrize("door", DOORS)
def test_an_http_post_ends_the_connection(house, door, within_tls):
    """T: HTTP POST body to each port. None of its lines gets as far as a command that does something."""
    lines = {
        "pop3": b"USER alice\r\nPASS secret\r\nSTAT\r\n", "lmtp": b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@mail.example>\r\nDATA\r\nhello\r\n.\r\n",
    }.get(door.rstrip("s"))
    said = POST + (lines or b"")
    after = len(house.log())
    with encrypted(house, door) if within_tls else socket.create_connection(house.doors[door], timeout=LIMIT) as connection:
        connection.sendall(said)
        answer = read_all(connection)
    # Nothing is said in clear where TLS is due, but an alert may be.
    if DOORS[door] is None and not within_tls:
        assert not answer.startswith(GOOD) and b"\n" not in answer
    else:
        replies = answer.splitlines()
        assert len(replies) <= (2 if door.rstrip("s") != "pop3" else 5), answer
        assert all(reply.startswith((b"421 ", b"-ERR")) for reply in replies if not reply.startswith(GOOD)), answer
        assert sum(reply.startswith(GOOD) for reply in replies) <= 1, answer
    assert " MAIL" not in house.log()[after:] and "login" not in house.log()[after:]
    assert house.messages("alice") == []


@pytest.mark.parametrize("cut", ["one segment", "split in the command", "split behind it", "delayed 1 ms", "delayed 100 ms"])
@pytest.mark.parametrize("door", IN_CLEAR)
def test_what_follows_in_clear_is_never_heard(house, door, cut):
    """T: `STARTTLS\\r\\nNOOP\\r\\n` in one segment, split, and delayed 1 ms."""
    command, rest = DOORS[door] + b"\r\n", b"NOOP\r\nCAPA\r\nEHLO x\r\n"
    with in_clear(house, door) as connection:
        for piece, pause in {
            "one segment": [(command + rest, 0)], "split in the command": [(command[:3], 0.001), (command[3:] + rest, 0)],
            "split behind it": [(command, 0), (rest, 0)], "delayed 1 ms": [(command, 0.001), (rest, 0)], "delayed 100 ms": [(command, 0.1), (rest, 0)],
        }[cut]:
            connection.sendall(piece)
            time.sleep(pause)
        said = read_all(connection)
    text = said[:said.find(b"\r\n") + 2]
    if cut in ("one segment", "split in the command"):
        assert re.fullmatch(rb"(554 5\.5\.0|-ERR) [^\r\n]*\r\n", said), said
    # At most "go ahead", and then what a broken handshake gets: an alert, which is no line.
    assert text.startswith((b"554 ", b"-ERR", *GOOD)) and b"\r\n" not in said[len(text):], said


@pytest.mark.parametrize("door", DOORS)
def test_what_was_said_in_clear_counts_no_more_within(house, door):
    """The session within TLS begins anew; a client that is given certificate and greeting is heard."""
    with encrypted(house, door) as connection:
        if DOORS[door] is None:
            assert connection.recv(1000).startswith(GOOD)
        connection.sendall(b"MAIL FROM:<>\r\n" if "pop3" not in door else b"STAT\r\n")
        assert connection.recv(1000).startswith((b"250", b"503", b"530", b"-ERR"))
        connection.sendall((DOORS[door] or b"STLS" if "pop3" in door else b"STARTTLS") + b"\r\n")
        assert re.match(rb"50[23] |-ERR", connection.recv(1000)), "TLS within TLS"


# The private key


def signs_of(key):
    """What a private RSA key looks like in memory: its file, its exponent and its primes, in either order of bytes."""
    text = subprocess.run(["openssl", "rsa", "-in", key, "-noout", "-text"], capture_output=True, check=True, text=True, timeout=LIMIT).stdout
    numbers = [bytes.fromhex("".join(re.search(rf"{name}:\n((?:    .*\n)+)", text)[1].replace(":", "").split())).lstrip(b"\0")
               for name in ("privateExponent", "prime1", "prime2", "coefficient")]
    lines = [line.encode() for line in key.read_text().splitlines()[2:-2]]
    return [*lines, *(number[at:at + 24] for number in numbers for at in (0, 40)), *(number[::-1][at:at + 24] for number in numbers for at in (0, 40))]


def holds_one(pid, signs):
    memory = memory_of(pid)
    assert len(memory) > 1 << 20
    return any(sign in memory for sign in signs)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look")
def test_no_worker_at_a_door_holds_the_key(house):
    """T: core dump and /proc/self/mem of a worker hold no private key. Each worker has had handshakes of both versions."""
    signs = signs_of(house.home / "tls/default/key.pem")
    for role in ("smtpd", "access"):
        workers = house.pids()[role]
        for pid in workers:
            with only(pid, workers):
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                    for door in DOORS:
                        if (role == "access") == door.startswith("pop3"):
                            encrypted(house, door, unchecked(minimum_version=version, maximum_version=version)).close()
            assert not holds_one(pid, signs), role
    keys = house.pid("keys")
    assert holds_one(keys, signs), "the test does not know a key when it sees one"
    # Nobody but root sees it: no core, no debugger, no /proc.
    assert re.search(r"^Max core file size +0 +0 ", pathlib.Path(f"/proc/{keys}/limits").read_text(), re.M)
    assert os.stat(f"/proc/{keys}/mem").st_uid == os.stat(f"/proc/{keys}/environ").st_uid == 0


@contextlib.contextmanager
def only(pid, workers):
    """The others rest, so that this one has all the clients."""
    others = [other for other in workers if other != pid]
    for other in others:
        os.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        for other in others:
            os.kill(other, signal.SIGCONT)
