"""martlet-tls in front of one-connection programs under Debian's tcpserver: TLS first, and on request (UCSPI-TLS)."""

import os
import poplib
import smtplib
import socket
import ssl
import subprocess
import sys
import textwrap
import time

import pytest

from martlet import HOST, LIMIT
from tcpserver import TcpServer
from test_tls import MESSAGE, make_certificate, read_all, trusting, unchecked

PLAIN_PROGRAM = textwrap.dedent("""
    import os
    os.write(1, b"clear\\n")
    os.write(int(os.environ["SSLCTLFD"]), b"y")
    inside, outside = int(os.environ["SSLREADFD"]), int(os.environ["SSLWRITEFD"])
    os.write(outside, b"first " + os.read(inside, 100))
""")


@pytest.fixture
def files(home):
    """A home with a certificate, and what names its files to martlet-tls; the mail system runs for its queue."""
    home.user("alice")
    folder = make_certificate(home, "default", HOST)
    home.start()
    return home, ["-c", folder / "cert.pem", "-k", folder / "key.pem"]


def tls_server(home, *arguments, environment=None):
    """tcpserver with martlet-tls and, behind its options, one of our programs or any other."""
    words = [home.programs / word if (home.programs / str(word)).exists() and not str(word).startswith("/") else word for word in arguments]
    return TcpServer(home, [home.programs / "martlet-tls", *words], environment=environment)


def wrap(server, context, name=HOST):
    return context.wrap_socket(server.connect(), server_hostname=name)


def test_a_program_behind_tls(files):
    home, options = files
    with tls_server(home, *options, "qmail-smtpd") as server:
        with smtplib.SMTP_SSL("127.0.0.1", server.port, timeout=LIMIT, context=unchecked()) as client:
            assert b"STARTTLS" not in client.ehlo()[1]
            client.sendmail(f"a@{HOST}", f"alice@{HOST}", MESSAGE)
    message, = home.wait_for_messages("alice", 1)
    assert b" with ESMTPS (TLSv1.3 TLS_AES_" in message


def test_the_keys_of_the_mail_system(files):
    """Without files the certificates of the home are shown, and role keys signs."""
    home, _ = files
    make_certificate(home, "other.example", "other.example")
    with tls_server(home, "qmail-smtpd") as server, wrap(server, trusting(home, "other.example"), "other.example") as connection:
        assert connection.recv(100).startswith(b"220 ")


def test_what_the_program_is_told(files):
    home, options = files
    environment = {"SSL_PROTOCOL": "forged", "TLS_SNI": "forged", "OTHER": "stays"}
    with tls_server(home, *options, "env", environment=environment) as server, wrap(server, unchecked()) as connection:
        said = dict(line.split("=", 1) for line in read_all(connection).decode().splitlines())
        cipher, version, _ = connection.cipher()
    assert said["SSL_PROTOCOL"] == said["TLS_PROTOCOL"] == version
    assert said["SSL_CIPHER"] == said["TLS_CIPHER"] == cipher
    assert said["SSL_TLS_SNI"] == said["TLS_SNI"] == HOST
    assert said["OTHER"] == "stays" and "SSLCTLFD" not in said


def test_it_starts_where_it_was_called(files):
    home, _ = files
    with tls_server(home, "pwd") as server, wrap(server, unchecked()) as connection:
        assert read_all(connection).decode().strip() == str(home.home)


def test_much_in_both_directions(files):
    home, options = files
    data = os.urandom(1 << 20) * 20
    with tls_server(home, *options, "cat") as server, wrap(server, unchecked()) as connection:
        connection.setblocking(False)
        sent, received = 0, bytearray()
        while len(received) < len(data):
            if sent < len(data):
                try:
                    sent += connection.send(data[sent:sent + (1 << 16)])
                except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                    pass
            try:
                piece = connection.recv(1 << 16)
                assert piece, len(received)
                received += piece
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        assert bytes(received) == data


def test_what_was_said_last_arrives_whole(files):
    """A program that ends at once behind a lot of output, and a client that reads slowly."""
    home, options = files
    with tls_server(home, *options, "head", "-c", "3000000", "/dev/zero") as server, wrap(server, unchecked()) as connection:
        assert len(read_all(connection)) == 3_000_000


def test_exit_codes(files):
    home, options = files

    def ends(words, talk):
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [home.programs / "martlet-tls", *words], stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env={"QMAILHOME": home.home, "PATH": os.environ["PATH"]})
        theirs.close()
        with ours:
            talk(ours)
        _, said = process.communicate(timeout=LIMIT)
        return process.returncode, said.decode()

    def greet(connection):
        with unchecked().wrap_socket(connection.dup(), server_hostname=HOST) as inside:
            read_all(inside)

    assert ends([*options, "sh", "-c", "exit 7"], greet) == (7, "")
    assert ends([*options, "sh", "-c", "kill -9 $$"], greet)[0] == 111
    code, said = ends([*options, "true"], lambda connection: connection.sendall(b"EHLO x\r\n"))
    assert code == 111 and said == "martlet-tls: the TLS handshake failed\n"
    code, said = ends([*options, "/nonexistent"], lambda connection: attempt(greet, connection))
    assert code == 111 and "file does not exist" in said
    code, said = ends(["-c", "/nonexistent", "-k", "/nonexistent", "true"], lambda connection: None)
    assert code == 111 and said == "martlet-tls: fatal: open /nonexistent: file does not exist\n"
    for words in ([], ["-s"], ["-x", "true"], ["-c", "/nonexistent", "true"]):
        assert ends(words, lambda connection: None)[0] == 100


def attempt(action, *arguments):
    try:
        action(*arguments)
    except OSError:
        pass


# UCSPI-TLS


def test_starttls_on_request(files):
    home, options = files
    with tls_server(home, "-s", *options, "qmail-smtpd") as server:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=LIMIT) as client:
            assert b"STARTTLS" in client.ehlo()[1]
            assert client.starttls(context=unchecked())[0] == 220
            assert b"STARTTLS" not in client.ehlo()[1]
            client.sendmail(f"a@{HOST}", f"alice@{HOST}", MESSAGE)
        # Without asking, nothing is encrypted and everything works.
        with smtplib.SMTP("127.0.0.1", server.port, timeout=LIMIT) as client:
            client.sendmail(f"a@{HOST}", f"alice@{HOST}", MESSAGE)
    first, second = sorted(home.wait_for_messages("alice", 2), key=lambda message: b"ESMTPS" not in message)
    assert b" with ESMTPS (TLSv1.3 TLS_AES_" in first and b" with SMTP; " in second


def test_stls_on_request(files):
    home, options = files
    script = home.home / "login"
    script.write_text('#!/bin/sh\ncat <&3 >/dev/null; exec "$@"\n')
    script.chmod(0o755)
    home.send(f"a@{HOST}", "alice", MESSAGE)
    home.wait_for_messages("alice", 1)
    # qmail-pop3d leaves out what came in the second in which it starts.
    time.sleep(1.1)
    maildir = home.home / "home/alice/Maildir"
    with tls_server(home, "-s", *options, "qmail-popup", HOST, script, home.programs / "qmail-pop3d", maildir) as server:
        client = poplib.POP3("127.0.0.1", server.port, timeout=LIMIT)
        # poplib's own stls() wants CAPA first, which qmail-popup has not.
        assert client._shortcmd("STLS").startswith(b"+OK")
        client.sock = unchecked().wrap_socket(client.sock, server_hostname=HOST)
        client.file = client.sock.makefile("rb")
        client.user("alice")
        client.pass_("secret")
        assert client.stat()[0] == 1
        assert b"Subject: in cipher" in client.retr(1)[1]
        client.quit()


@pytest.mark.parametrize("program, command, refusal", [("qmail-smtpd", b"STARTTLS\r\nNOOP\r\n", b"554 "), ("qmail-popup", b"STLS\r\nNOOP\r\n", b"-ERR ")])
def test_nothing_may_follow_the_request(files, program, command, refusal):
    """T: hardening.md 1.1: `STARTTLS\\r\\nNOOP\\r\\n` in one segment."""
    home, options = files
    arguments = [program] if program == "qmail-smtpd" else [program, HOST, "true"]
    with tls_server(home, "-s", *options, *arguments) as server, server.connect() as connection:
        connection.recv(1000)
        connection.sendall(command)
        assert read_all(connection).startswith(refusal)


def test_another_program_that_speaks_ucspi_tls(files):
    home, options = files
    with tls_server(home, "-s", *options, sys.executable, "-c", PLAIN_PROGRAM) as server, server.connect() as plain:
        assert plain.recv(100) == b"clear\n"
        with unchecked().wrap_socket(plain, server_hostname=HOST) as connection:
            connection.sendall(b"word")
            assert read_all(connection) == b"first word"


def test_a_handshake_that_fails_ends_the_program(files):
    home, options = files
    with tls_server(home, "-s", *options, "qmail-smtpd") as server, server.connect() as plain:
        plain.recv(100)
        plain.sendall(b"STARTTLS\r\n")
        assert plain.recv(100).startswith(b"220 ")
        plain.sendall(b"NOOP\r\nNOOP\r\n")
        assert b"250" not in read_all(plain)
