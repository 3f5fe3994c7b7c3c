"""Logins as mail clients make them: smtplib, swaks and msmtp, with TLS, against role auth and accounts of ours."""

import contextlib
import re
import smtplib
import socket
import ssl
import subprocess
import time

import pytest
from martlet import HOST, LIMIT, Martlet, wait_until
from test_tls import trusting

DOMAIN = "accounts.example"
JOE, PASSWORD = f"joe@{DOMAIN}", "p4ss canary word"
ALICE = f"alice@{HOST}"


@pytest.fixture(scope="module")
def shared(programs):
    instance = Martlet(programs)
    try:
        instance.user("alice")
        instance.control("authmechanisms", "PLAIN\nLOGIN\nSCRAM-SHA-256\nCRAM-MD5")
        instance.control("authsecrets", "1")
        for door in ("submission", "submissions"):
            instance.control(f"{door}listen", "127.0.0.1:0")
        instance.start()
        instance.certificate = instance.home / "tls/default/cert.pem"
        wait_until(instance.certificate.exists, instance.log)
        for arguments in (("domain", "add", DOMAIN), ("user", "add", JOE)):
            done = instance.command("martlet", *arguments, stdin=PASSWORD.encode() + b"\n")
            assert done.returncode == 0, done.stderr
        wait_until(lambda: "starttls" in features(instance), instance.log)
        yield instance
    finally:
        instance.clean()


def features(server):
    with smtplib.SMTP(*server.doors["submission"], timeout=LIMIT) as client:
        client.ehlo("c")
        return client.esmtp_features


def mark():
    return f"mark-{time.monotonic_ns()}"


def arrived(server, word):
    return wait_until(lambda: next((m for m in server.messages("alice") if word.encode() in m), None), lambda: f"no {word} in\n{server.log()}")


@contextlib.contextmanager
def encrypted(server, door):
    context = trusting(server)
    host, port = server.doors[door]
    if door == "submissions":
        client = smtplib.SMTP_SSL(timeout=LIMIT, context=context)
        client._host = HOST
        client._get_socket = lambda *_: context.wrap_socket(socket.create_connection((host, port), timeout=LIMIT), server_hostname=HOST)
        client.connect(host, port)
    else:
        client = smtplib.SMTP(host, port, timeout=LIMIT)
        client._host = HOST
        client.starttls(context=context)
    with client:
        client.ehlo("c")
        yield client


@pytest.mark.parametrize("door", ["submission", "submissions"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_smtplib(shared, door, mechanism):
    word = mark()
    with encrypted(shared, door) as client:
        assert set(client.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"}
        client.user, client.password = JOE, PASSWORD
        code, _ = client.auth(mechanism, getattr(client, f"auth_{mechanism.lower().replace('-', '_')}"))
        assert code == 235
        client.sendmail(JOE, [ALICE], f"Subject: {word}\r\n\r\nx\r\n")
    assert re.search(rb"\n  by mail\.example with ESMTPSA \(TLSv1\.[23] \w+\); ", arrived(shared, word))


def test_no_login_before_tls(shared):
    assert "auth" not in features(shared)
    with smtplib.SMTP(*shared.doors["submission"], timeout=LIMIT) as client:
        client.ehlo("c")
        assert client.docmd("AUTH", "PLAIN AGEAYg==") == (538, b"5.7.11 sorry, no login without TLS (#5.7.11)")
        assert client.docmd("MAIL", f"FROM:<{JOE}>")[0] == 530


def test_wrong_passwords_and_foreign_senders(shared):
    with encrypted(shared, "submissions") as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(JOE, "wrong", initial_response_ok=True)
        assert refused.value.smtp_code == 535
        client.user, client.password = JOE, PASSWORD
        assert client.auth("PLAIN", client.auth_plain)[0] == 235
        assert client.mail(f"boss@{DOMAIN}")[0] == 553
        assert client.mail(JOE)[0] == 250
        assert client.rcpt("far@elsewhere.example")[0] == 250


def swaks(server, *options):
    host, port = server.doors["submissions" if "--tls-on-connect" in options else "submission"]
    return subprocess.run(
        ["swaks", "--server", host, "--port", str(port), "--from", JOE, "--to", ALICE, "--auth-user", JOE, "--auth-password", PASSWORD,
         "--auth-hide-password", *options], capture_output=True, text=True, timeout=LIMIT)


@pytest.mark.parametrize("tls", [["--tls"], ["--tls-on-connect"]])
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_swaks(shared, tls, mechanism):
    word = mark()
    done = swaks(shared, *tls, "--auth", mechanism, "--body", word)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"235 2\.7\.0 welcome", done.stdout)
    arrived(shared, word)


def test_swaks_without_tls_finds_no_auth(shared):
    assert swaks(shared, "--auth", "PLAIN").returncode == 28


@pytest.mark.parametrize("door", ["submission", "submissions"])
@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5", "scram-sha-256"])
def test_msmtp(shared, tmp_path, door, mechanism):
    """It checks the certificate, and speaks SCRAM."""
    word = mark()
    host, port = shared.doors[door]
    configuration = tmp_path / "msmtprc"
    configuration.write_text(
        f"account default\nhost {host}\nport {port}\nfrom {JOE}\nauth {mechanism}\nuser {JOE}\npassword \"{PASSWORD}\"\ntls on\n"
        f"tls_starttls {'off' if door == 'submissions' else 'on'}\ntls_host_override {HOST}\ntls_trust_file {shared.certificate}\n")
    configuration.chmod(0o600)
    done = subprocess.run(
        ["msmtp", "-C", configuration, "--", ALICE], input=f"Subject: {word}\n\nx\n", capture_output=True, text=True, timeout=LIMIT)
    assert done.returncode == 0, done.stderr
    assert b" with ESMTPSA (" in arrived(shared, word)


@pytest.mark.parametrize("together", [True, False])
def test_tls_behind_a_proxy(programs, together):
    """The header in front of a ClientHello, in one segment or two: TLS begins behind it, and the told address is logged."""
    instance = Martlet(programs)
    try:
        instance.control("submissionslisten", "127.0.0.1:0")
        instance.control("proxyclients", "127.0.0.1")
        instance.start()
        wait_until((instance.home / "tls/default/cert.pem").exists, instance.log)
        time.sleep(1.1)
        header = b"PROXY TCP4 192.0.2.77 203.0.113.1 4000 465\r\n"
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting(instance).wrap_bio(incoming, outgoing, server_hostname=HOST)
        with socket.create_connection(instance.doors["submissions"], timeout=LIMIT) as client:
            if not together:
                client.sendall(header)
                header = b""

            def until(step):
                nonlocal header
                while True:
                    with contextlib.suppress(ssl.SSLWantReadError):
                        result = step()
                        client.sendall(outgoing.read())
                        return result
                    client.sendall(header + outgoing.read())
                    header = b""
                    data = client.recv(1 << 14)
                    assert data, instance.log()
                    incoming.write(data)

            until(tls.do_handshake)
            assert until(lambda: tls.read(1000)).startswith(b"220 mail.example ESMTP")
            tls.write(b"AUTH PLAIN AGEAYg==\r\n")
            assert until(lambda: tls.read(1000)).startswith(b"535 5.7.8")
        instance.wait_for_log(r"^smtpd: login from 192\.0\.2\.77 by PLAIN failed: credentials$")
    finally:
        instance.clean()


def test_the_log_has_logins_and_no_secret(shared):
    log = shared.log()
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256", "CRAM-MD5"):
        assert f"smtpd: login from 127.0.0.1 by {mechanism}: {JOE}\n" in log
    assert PASSWORD not in log and "cDRzcyBjYW5hcnkgd29yZ" not in log
