"""TLS for clients: role keys, certificates in tls/, STARTTLS and TLS first; hardening.md 1.1 "PIPE/TLS injection" and 1.4 "TLS in"."""

import os
import pathlib
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import time

import pytest

from martlet import HOST, LIMIT, wait_until

MESSAGE = f"From: <alice@{HOST}>\r\nSubject: in cipher\r\n\r\nhello\r\n"


@pytest.fixture
def encrypted(home):
    """A running Martlet with SMTP on one door and SMTP in TLS on another, and the certificate it made itself."""
    home.user("alice")
    home.control("smtpslisten", "127.0.0.1:0")
    home.start()
    home.doors = doors(home)
    wait_until((home.home / "tls/default/cert.pem").exists, home.log)
    # Files are looked at once a second.
    wait_until(lambda: b"STARTTLS" in offered(home), home.log)
    return home


def offered(home):
    with smtplib.SMTP(*home.doors["smtp"], timeout=LIMIT) as client:
        return client.ehlo()[1]


def doors(home):
    """{door: (host, port)} as martletd said it when it was ready."""
    ready = re.findall(r"^martletd: ready: (.*)$", home.log(), re.M)[-1]
    return {name: (host, int(port)) for name, host, port in re.findall(r"(\w+) on ([\d.]+):(\d+)", ready)}


def trusting(home, name="default", **options):
    """A client context that believes the certificate in tls/NAME alone."""
    context = ssl.create_default_context(cafile=home.home / f"tls/{name}/cert.pem")
    for option, value in options.items():
        setattr(context, option, value)
    return context


def make_certificate(home, name, host, kind=("ec", "ec_paramgen_curve:P-256"), key_first=True):
    """tls/NAME by openssl, for the host; the key's file is 0600."""
    folder = home.home / "tls" / name
    folder.mkdir(parents=True, exist_ok=True)
    algorithm, *options = kind
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", algorithm, *[word for option in options for word in ("-pkeyopt", option)], "-nodes", "-days", "9",
         "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}", "-keyout", folder / "key.new", "-out", folder / "cert.new"],
        check=True, capture_output=True, timeout=LIMIT)
    os.chmod(folder / "key.new", 0o600)
    home._give(folder, folder.parent, folder / "key.new", folder / "cert.new")
    for file in ("key", "cert"):
        (folder / f"{file}.new").rename(folder / f"{file}.pem")
    return folder


def starttls(home, context, server_name=HOST):
    """An smtplib client after STARTTLS."""
    client = smtplib.SMTP(*home.doors["smtp"], timeout=LIMIT)
    client._host = server_name
    code, _ = client.starttls(context=context)
    assert code == 220
    return client


def wrapped(home, context, server_name=HOST, door="smtps"):
    return context.wrap_socket(socket.create_connection(home.doors[door], timeout=LIMIT), server_hostname=server_name)


def peer_name(connection):
    return dict(entry[0] for entry in connection.getpeercert()["subject"])["commonName"]


def read_all(connection):
    """What comes until the other side ends, however it does."""
    data = b""
    try:
        while piece := connection.recv(1 << 16):
            data += piece
    except (ConnectionResetError, ssl.SSLError):
        pass
    return data


# Mail


def test_starttls_and_tls_first_take_mail(encrypted):
    with starttls(encrypted, trusting(encrypted)) as client:
        assert client.sendmail(f"alice@{HOST}", f"alice@{HOST}", MESSAGE) == {}
        cipher, version, _ = client.sock.cipher()
    first, = encrypted.wait_for_messages("alice", 1)
    assert f" with ESMTPS ({version} {cipher}); ".encode() in first
    with smtplib.SMTP_SSL(*encrypted.doors["smtps"], timeout=LIMIT, context=unchecked()) as client:
        assert client.sendmail(f"alice@{HOST}", f"alice@{HOST}", MESSAGE) == {}
    encrypted.wait_for_messages("alice", 2)


def unchecked(**options):
    context = ssl._create_unverified_context()
    for option, value in options.items():
        setattr(context, option, value)
    return context


def test_tls_1_2_is_spoken_and_named(encrypted):
    with starttls(encrypted, trusting(encrypted, maximum_version=ssl.TLSVersion.TLSv1_2)) as client:
        client.sendmail(f"alice@{HOST}", f"alice@{HOST}", MESSAGE)
    message, = encrypted.wait_for_messages("alice", 1)
    assert b" with ESMTPS (TLSv1.2 TLS_ECDHE_ECDSA_WITH_" in message


def test_the_certificate_made_at_the_first_start(encrypted):
    folder = encrypted.home / "tls/default"
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    encrypted.wait_for_log(rf"^keys: made a self-signed certificate for {HOST} in tls/default$")
    with wrapped(encrypted, trusting(encrypted)) as connection:
        assert connection.getpeercert()["subjectAltName"] == (("DNS", HOST),)
    before = (folder / "cert.pem").read_bytes()
    encrypted.stop()
    encrypted.start()
    assert (folder / "cert.pem").read_bytes() == before


def test_a_key_that_cannot_be_used_is_not_replaced(encrypted):
    """As one that only root may read, put where our own was."""
    folder = encrypted.home / "tls/default"
    encrypted.stop()
    (folder / "key.pem").write_text("not ours to replace")
    encrypted.start()
    encrypted.wait_for_log(r"^keys: warning: no certificate could be made: rename tls/default: ")
    assert (folder / "key.pem").read_text() == "not ours to replace"


KINDS = {
    "p256": ("ec", "ec_paramgen_curve:P-256"), "p384": ("ec", "ec_paramgen_curve:P-384"), "rsa": ("rsa:2048",), "ed25519": ("ed25519",),
}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", KINDS)
def test_keys_of_each_kind(home, kind, version):
    make_certificate(home, "default", HOST, KINDS[kind])
    home.control("smtpslisten", "127.0.0.1:0")
    home.doors = doors(home.start())
    with wrapped(home, trusting(home, minimum_version=version, maximum_version=version)) as connection:
        assert connection.recv(100).startswith(b"220 ")


# Certificates by name, and new ones


def test_certificates_by_server_name(encrypted):
    make_certificate(encrypted, "default", "standard.example")
    make_certificate(encrypted, "one.example", "one.example", KINDS["rsa"])
    make_certificate(encrypted, "two.example", "two.example")
    time.sleep(1.1)
    for name in ("one.example", "two.example"):
        for context in (trusting(encrypted, name), trusting(encrypted, name, maximum_version=ssl.TLSVersion.TLSv1_2)):
            with wrapped(encrypted, context, name) as connection:
                assert peer_name(connection) == name
    for name in ("three.example", "default"):
        with wrapped(encrypted, trusting(encrypted, check_hostname=False), name) as connection:
            assert peer_name(connection) == "standard.example"
    with wrapped(encrypted, trusting(encrypted, check_hostname=False), None) as connection:
        assert peer_name(connection) == "standard.example"


def test_a_changed_certificate_is_used_and_a_broken_one_is_not(encrypted):
    make_certificate(encrypted, "default", "new.example")
    time.sleep(1.1)
    with wrapped(encrypted, trusting(encrypted), "new.example") as connection:
        assert peer_name(connection) == "new.example"
    context = trusting(encrypted)
    (encrypted.home / "tls/default/cert.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    time.sleep(1.1)
    for _ in range(3):
        with wrapped(encrypted, context, "new.example") as connection:
            assert peer_name(connection) == "new.example"
    warnings = re.findall(r"^smtpd: warning: tls/default/cert.pem: .*; the old one stays$", encrypted.log(), re.M)
    assert len(warnings) <= len(encrypted.pids()["smtpd"]) and warnings


def test_a_key_that_does_not_belong_to_its_certificate(encrypted):
    make_certificate(encrypted, "other.example", "other.example")
    (encrypted.home / "tls/other.example/key.pem").write_bytes((encrypted.home / "tls/default/key.pem").read_bytes())
    time.sleep(1.1)
    for _ in range(2):
        with pytest.raises((ssl.SSLError, OSError)):
            wrapped(encrypted, trusting(encrypted, "other.example"), "other.example")
    lines = [line for line in encrypted.log().splitlines() if "tls/other" in line]
    name = "tls/other.example"
    assert lines == [f"keys: warning: {name}/key.pem: does not belong to the first certificate in {name}/cert.pem; it is not used"]
    with wrapped(encrypted, trusting(encrypted)) as connection:
        assert connection.recv(100).startswith(b"220 ")


# Role keys


def test_without_role_keys_a_handshake_fails_and_nothing_else(encrypted):
    context = trusting(encrypted)
    with smtplib.SMTP(*encrypted.doors["smtp"], timeout=LIMIT) as early:
        early.ehlo()
        keys = encrypted.pid("keys")
        os.kill(keys, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises((ssl.SSLError, OSError)):
                early.starttls(context=context)
            assert 4 < time.monotonic() - began < 9
            encrypted.send(f"alice@{HOST}", "alice", MESSAGE)
        finally:
            os.kill(keys, signal.SIGCONT)
    os.kill(keys, signal.SIGKILL)
    wait_until(lambda: encrypted.pid("keys") != keys, "keys is not started again")

    def works():
        try:
            with wrapped(encrypted, context) as connection:
                return connection.recv(100)
        except (ssl.SSLError, OSError):
            return None

    wait_until(works, "TLS does not work again")
    assert len(re.findall(r"^smtpd: warning: role keys does not answer", encrypted.log(), re.M)) <= 2 * len(encrypted.pids()["smtpd"])


def memory_of(pid):
    """All that a process has in memory, as root reads it."""
    parts = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if match and "[v" not in line:
                memory.seek(int(match[1], 16))
                try:
                    parts.append(memory.read(int(match[2], 16) - int(match[1], 16)))
                except OSError:
                    continue
    return b"\0".join(parts)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look")
def test_no_private_key_in_the_memory_of_a_worker(home):
    """T: core dump and /proc/self/mem of a worker hold no private key."""
    make_certificate(home, "default", HOST, KINDS["rsa"])
    home.control("smtpslisten", "127.0.0.1:0")
    home.control("pop3slisten", "127.0.0.1:0")
    home.doors = doors(home.start())
    for _ in range(20):
        with wrapped(home, trusting(home)) as connection:
            connection.recv(100)
    pem = (home.home / "tls/default/key.pem").read_text()
    der = subprocess.run(["openssl", "rsa", "-in", home.home / "tls/default/key.pem", "-traditional", "-outform", "DER"], capture_output=True, check=True).stdout
    text = subprocess.run(["openssl", "rsa", "-in", home.home / "tls/default/key.pem", "-noout", "-text"], capture_output=True, check=True, text=True).stdout
    primes = [bytes.fromhex("".join(re.search(rf"{name}:\n((?:    .*\n)+)", text)[1].replace(":", "").split()).lstrip("0")) for name in ("prime1", "prime2")]
    # What a key looks like in memory: its file, its private exponent, its primes, in either order of bytes.
    signs = [pem.splitlines()[8].encode(), der[300:332], *(p[:24] for p in primes), *(p[::-1][-24:] for p in primes), *(p[::-1][:24] for p in primes)]
    assert any(sign in memory_of(home.pid("keys")) for sign in signs), "the test does not know a key when it sees one"
    for role in ("smtpd", "access"):
        for pid in home.pids().get(role, []):
            memory = memory_of(pid)
            assert len(memory) > 1 << 20
            assert not any(sign in memory for sign in signs), role
    status = pathlib.Path(f"/proc/{home.pid('keys')}/limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", status, re.M)
    assert os.stat(f"/proc/{home.pid('keys')}/mem").st_uid == 0


# hardening.md 1.4 "TLS in"


def test_tls_1_1_is_refused(encrypted):
    """T: TLS 1.1."""
    for option in ("-tls1", "-tls1_1"):
        host, port = encrypted.doors["smtps"]
        said = subprocess.run(
            ["openssl", "s_client", "-connect", f"{host}:{port}", option, "-cipher", "ALL:@SECLEVEL=0"], input=b"QUIT\r\n", capture_output=True, timeout=LIMIT)
        assert said.returncode != 0 and b"220 " not in said.stdout
        assert b"alert protocol version" in said.stderr


def test_no_renegotiation(encrypted):
    """T: renegotiation: asked for by the client, it is not begun, and the process lives."""
    host, port = encrypted.doors["smtps"]
    workers = encrypted.pids()["smtpd"]
    client = subprocess.Popen(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2", "-legacy_renegotiation"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    time.sleep(1)
    client.stdin.write(b"R\n")
    client.stdin.flush()
    output, _ = client.communicate(timeout=LIMIT)
    assert b"RENEGOTIATING" in output
    assert client.returncode != 0 or b"no renegotiation" in output
    assert output.count(b"Verify return code") + output.count(b"verify return:") <= 4
    assert encrypted.pids()["smtpd"] == workers
    encrypted.send(f"alice@{HOST}", "alice", MESSAGE)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_is_good_for_its_service_only(encrypted, version):
    """T: ticket from another service."""
    def reused(door, session):
        if door == "smtps":
            connection = wrapped_with(encrypted, context, session)
        else:
            plain = socket.create_connection(encrypted.doors["smtp"], timeout=LIMIT)
            plain.recv(1000)
            plain.sendall(b"STARTTLS\r\n")
            assert plain.recv(1000).startswith(b"220 ")
            connection = context.wrap_socket(plain, server_hostname=HOST, session=session)
        with connection:
            connection.sendall(b"NOOP\r\n")
            connection.recv(1000)
            return connection.session_reused, connection.session

    context = trusting(encrypted, minimum_version=version, maximum_version=version)
    # One worker's ticket means nothing to another: tries until the same one answers.
    sessions = [reused("smtps", None)[1] for _ in range(8)]
    assert any(reused("smtps", session)[0] for session in sessions), "tickets are of no use at all"
    assert not any(reused("smtp", session)[0] for session in sessions)


def wrapped_with(home, context, session):
    return context.wrap_socket(socket.create_connection(home.doors["smtps"], timeout=LIMIT), server_hostname=HOST, session=session)


def resident(pid):
    """KiB in memory."""
    return int(re.search(r"^VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def client_hello(name):
    """The first message of a client that asks for the host `name`."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = unchecked().wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def test_ten_thousand_server_names_leave_nothing(encrypted):
    """T: 10^4 SNI names."""
    def ask(numbers):
        for number in numbers:
            with socket.create_connection(encrypted.doors["smtps"], timeout=LIMIT) as connection:
                connection.sendall(client_hello(f"host-{number:05}-{'x' * 40}.made-up.example"))
                assert connection.recv(1)

    ask(range(1000))
    before = [resident(pid) for pid in encrypted.pids()["smtpd"] + encrypted.pids()["keys"]]
    ask(range(1000, 10_000))
    after = [resident(pid) for pid in encrypted.pids()["smtpd"] + encrypted.pids()["keys"]]
    assert sum(after) - sum(before) < 4096, (before, after)
    with wrapped(encrypted, trusting(encrypted)) as connection:
        assert connection.recv(100).startswith(b"220 ")


POST = b"POST / HTTP/1.1\r\nHost: mail.example\r\nContent-Length: 90\r\n\r\nEHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<alice@mail.example>\r\nDATA\r\nhello\r\n.\r\n"


def test_an_http_post_is_never_taken_for_mail(encrypted):
    """T: HTTP POST body to each port: in clear, in clear where TLS is due, and within TLS."""
    with socket.create_connection(encrypted.doors["smtp"], timeout=LIMIT) as plain:
        plain.sendall(POST)
        assert re.fullmatch(rb"220 [^\r]*\r\n421 4\.7\.0 [^\r]*\r\n", read_all(plain))
    with socket.create_connection(encrypted.doors["smtps"], timeout=LIMIT) as plain:
        plain.sendall(POST)
        assert b"250" not in read_all(plain)
    with wrapped(encrypted, trusting(encrypted)) as connection:
        connection.sendall(POST)
        assert re.fullmatch(rb"220 [^\r]*\r\n421 4\.7\.0 [^\r]*\r\n", read_all(connection))
    time.sleep(0.5)
    assert encrypted.messages("alice") == []


# hardening.md 1.1 "PIPE/TLS injection"


def plain_connection(home):
    connection = socket.create_connection(home.doors["smtp"], timeout=LIMIT)
    connection.recv(1000)
    connection.sendall(b"EHLO before\r\n")
    assert connection.recv(1000).endswith(b"STARTTLS\r\n")
    return connection


def test_starttls_and_more_in_one_segment(encrypted):
    """T: `STARTTLS\\r\\nNOOP\\r\\n` in one segment."""
    with plain_connection(encrypted) as connection:
        connection.sendall(b"STARTTLS\r\nNOOP\r\n")
        assert re.fullmatch(rb"554 5\.5\.0 [^\r]*\r\n", read_all(connection))


@pytest.mark.parametrize("pause", [0, 0.001, 0.1])
def test_starttls_and_more_in_two_segments(encrypted, pause):
    """T: split, and delayed 1 ms: refused with the connection, before any handshake or as a broken one; never answered."""
    with plain_connection(encrypted) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"STARTTLS\r\n")
        time.sleep(pause)
        connection.sendall(b"NOOP\r\n")
        said = read_all(connection)
        assert b"250" not in said and said.startswith((b"220 ", b"554 "))


def test_nothing_of_the_plaintext_session_is_left(encrypted):
    with plain_connection(encrypted) as plain:
        plain.sendall(b"MAIL FROM:<evil@x>\r\n")
        plain.recv(1000)
        plain.sendall(f"RCPT TO:<alice@{HOST}>\r\n".encode())
        plain.recv(1000)
        plain.sendall(b"STARTTLS\r\n")
        assert plain.recv(1000).startswith(b"220 ")
        with trusting(encrypted).wrap_socket(plain, server_hostname=HOST) as connection:
            connection.sendall(b"DATA\r\n")
            assert connection.recv(1000).startswith(b"503 ")
            connection.sendall(f"MAIL FROM:<>\r\nRCPT TO:<alice@{HOST}>\r\nDATA\r\n".encode())
            wait_for(connection, b"354 ")
            connection.sendall(b"x: y\r\n\r\n.\r\n")
            wait_for(connection, b"250 2.0.0 ok ")
    message, = encrypted.wait_for_messages("alice", 1)
    assert b"before" not in message and b"HELO" not in message


def wait_for(connection, text):
    said = b""
    while text not in said:
        piece = connection.recv(1 << 16)
        assert piece, said
        said += piece
    return said


def test_close_notify_at_each_byte_of_a_chunk(encrypted):
    """T: close_notify at each byte of BDAT, then one byte in clear: a lost connection, never plaintext."""
    content = b"Subject: chunk\r\n\r\nbody\r\n"
    context = trusting(encrypted)
    for length in range(len(content) + 1):
        plain = plain_connection(encrypted)
        plain.sendall(b"STARTTLS\r\n")
        assert plain.recv(1000).startswith(b"220 ")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname=HOST)
        drive(plain, incoming, outgoing, tls.do_handshake)
        for line in (b"EHLO c\r\n", b"MAIL FROM:<a@b.example>\r\n", f"RCPT TO:<alice@{HOST}>\r\n".encode()):
            tls.write(line)
            assert drive(plain, incoming, outgoing, lambda: tls.read(1000)).startswith(b"250")
        tls.write(f"BDAT {len(content) + 1} LAST\r\n".encode() + content[:length])
        try:
            tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        plain.sendall(outgoing.read() + b"\n" + b"QUIT\r\n" * 3)
        said = read_all(plain)
        assert b"250" not in said and b"221" not in said
        plain.close()
    encrypted.send(f"alice@{HOST}", "alice", MESSAGE)
    time.sleep(0.3)
    assert len(encrypted.wait_for_messages("alice", 1)) == 1


def drive(plain, incoming, outgoing, step):
    """Runs a step of TLS over a socket to its end."""
    while True:
        try:
            result = step()
            plain.sendall(outgoing.read())
            return result
        except ssl.SSLWantReadError:
            plain.sendall(outgoing.read())
            data = plain.recv(1 << 16)
            assert data, "the connection ended"
            incoming.write(data)


def test_a_handshake_that_does_not_come_has_an_end(encrypted):
    """A half handshake does not keep a worker from stopping, and its connection is not kept for ever."""
    with socket.create_connection(encrypted.doors["smtps"], timeout=LIMIT + 10) as silent:
        silent.sendall(client_hello(HOST)[:20])
        began = time.monotonic()
        read_all(silent)
        assert 25 < time.monotonic() - began < 40


# Clients


@pytest.mark.parametrize("options", [["-tls"], ["-tlso"], ["-tlsos"], ["--tls-on-connect"], ["-tls", "--tls-protocol", "tlsv1_2"], ["-tlsc"]])
def test_swaks(encrypted, options):
    """swaks' ways to TLS: required, optional, optional and strict, on connect, a version, and its old name."""
    host, port = encrypted.doors["smtps" if options[0] in ("-tlsc", "--tls-on-connect") else "smtp"]
    done = subprocess.run(
        ["swaks", "--server", host, "--port", str(port), "--to", f"alice@{HOST}", "--from", f"alice@{HOST}", "--helo", "swaks.example", "--timeout",
         "20", *options], capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TLS started with cipher TLSv1" in done.stdout
    message, = encrypted.wait_for_messages("alice", 1)
    assert b" with ESMTPS (TLSv1." in message


@pytest.mark.parametrize("arguments", [["-starttls", "smtp"], []])
def test_openssl(encrypted, arguments):
    host, port = encrypted.doors["smtp" if arguments else "smtps"]
    said = subprocess.run(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-servername", HOST, "-verify_return_error", "-CAfile", encrypted.home / "tls/default/cert.pem",
         "-crlf", "-quiet", *arguments], input=b"QUIT\n", capture_output=True, timeout=LIMIT)
    assert b"221 2.0.0 " in said.stdout, said
