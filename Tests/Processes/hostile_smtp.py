#!/usr/bin/env python3
"""SMTP servers for tests that misbehave, with TLS: each is a script, run once for each connection.

    server = HostileServer(script); server.port; server.peers; server.close()
    server = HostileServer(scripts(authority)["injects"])       the same by name; see `scripts`
    hostile_smtp.py NAME [--port N]                             the same from a shell, with an authority of its own

A script is a function of a Peer. What the client sent is in `peer.clear` and, inside TLS, in `peer.inside`; whole messages in `peer.messages`.
"""
import argparse
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import warnings

LIMIT = 30


class Authority:
    """Signs certificates; `file` is its own, for those who trust it."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-ca-"))
        self.folder.chmod(0o755)
        self.file = self.folder / "ca.pem"
        self._openssl("req", "-x509", *self._key("ca"), "-days", "9", "-subj", "/CN=Authority of tests", "-out", self.file)
        self.file.chmod(0o644)
        self._made = {}

    @staticmethod
    def _openssl(*arguments, stdin=b""):
        subprocess.run(["openssl", *map(str, arguments)], input=stdin, check=True, capture_output=True, timeout=LIMIT)

    def _key(self, name):
        return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.folder / f"{name}.key"

    def context(self, name="mail.example", days=5, signed=True, address=None):
        """A server's TLS with a certificate of `name`, or of `address`; negative days: expired; not signed: by itself."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.files(name, days, signed, address))
        return context

    def files(self, name, days=5, signed=True, address=None):
        """(certificate, key)"""
        key = (name, days, signed, address)
        if key not in self._made:
            self._made[key] = self._make(f"c{len(self._made)}", *key)
        return self._made[key]

    def _make(self, stem, name, days, signed, address):
        certificate, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        names = f"subjectAltName={'IP:' + address if address else 'DNS:' + name}"
        if not signed:
            self._openssl("req", "-x509", *self._key(stem), "-days", "5", "-subj", f"/CN={name}", "-addext", names, "-out", certificate)
            return certificate, key
        request, settings = self.folder / f"{stem}.csr", self.folder / f"{stem}.cnf"
        self._openssl("req", "-new", *self._key(stem), "-subj", f"/CN={name}", "-out", request)
        settings.write_text(names + "\n")
        if days > 0:
            self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.folder / "ca.key", "-extfile", settings, "-days", days,
                          "-out", certificate)
        else:
            self._expired(request, settings, certificate)
        return certificate, key

    def _expired(self, request, settings, certificate):
        """`openssl x509` of this age makes no certificate of the past; `openssl ca` does."""
        (self.folder / "index").write_text("")
        (self.folder / "serial").write_text("01\n")
        (self.folder / "ca.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={self.folder}/index\nserial={self.folder}/serial\nnew_certs_dir={self.folder}\ndefault_md=sha256\n"
            "policy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")
        self._openssl("ca", "-batch", "-notext", "-config", self.folder / "ca.cnf", "-cert", self.file, "-keyfile", self.folder / "ca.key",
                      "-in", request, "-extfile", settings, "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-out", certificate)

    def labyrinth(self, certificates=9):
        """A server's TLS whose certificates each may have signed each other: one name, one key, different in the rest."""
        stem = self.folder / "labyrinth"
        key = f"{stem}.key"
        self._openssl("req", "-x509", *self._key("labyrinth"), "-subj", "/CN=Labyrinth", "-out", f"{stem}.pem")
        chain = b""
        for number in range(certificates + 1):
            extensions = f"subjectAltName=DNS:l{number}.example"
            self._openssl("req", "-x509", "-key", key, "-subj", "/CN=Labyrinth", "-addext", extensions, "-days", "5", "-out", f"{stem}.pem")
            chain += pathlib.Path(f"{stem}.pem").read_bytes()
        pathlib.Path(f"{stem}.pem").write_bytes(chain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{stem}.pem", key)
        return context

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Gone(Exception):
    """The client has closed the connection, or this side did."""


class Peer:
    """One client, seen by a script."""

    def __init__(self, connection):
        self.connection = connection
        connection.settimeout(LIMIT)
        self.clear, self.inside, self.messages, self.lines = bytearray(), bytearray(), [], []
        self.tls_error, self._buffer = None, b""

    @property
    def is_encrypted(self):
        return isinstance(self.connection, ssl.SSLSocket)

    def send(self, data):
        try:
            self.connection.sendall(data)
        except OSError:
            raise Gone from None

    def say(self, *lines):
        """A reply: the lines of "250 text", all but the last with a hyphen."""
        texts = [f"{line[:3]}-{line[4:]}" for line in lines[:-1]] + [lines[-1]]
        self.send("".join(text + "\r\n" for text in texts).encode())

    def drip(self, text, pause):
        """A reply, a byte at a time."""
        for byte in (text + "\r\n").encode():
            self.send(bytes([byte]))
            time.sleep(pause)

    def _receive(self):
        try:
            data = self.connection.recv(65536)
        except OSError:
            raise Gone from None
        if not data:
            raise Gone
        (self.inside if self.is_encrypted else self.clear).extend(data)
        return data

    def line(self):
        """The next line without its end."""
        while b"\r\n" not in self._buffer:
            self._buffer += self._receive()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        self.lines.append(line.decode("latin-1"))
        return self.lines[-1]

    def command(self, verb):
        """The next command, which must be this one."""
        line = self.line()
        if not line.upper().startswith(verb):
            raise AssertionError(f"{verb} was due, not {line}")
        return line

    def message(self):
        """Up to the final dot."""
        gathered, end = bytearray(b"\r\n" + self._buffer), -1
        while (end := gathered.find(b"\r\n.\r\n", max(0, end))) < 0:
            end = len(gathered) - 4
            gathered += self._receive()
        content, self._buffer = bytes(gathered[:end]), bytes(gathered[end + 5:])
        self.messages.append(content[2:] + b"\r\n")

    def start_tls(self, context):
        try:
            self.connection = context.wrap_socket(self.connection, server_side=True)
        except OSError as error:
            self.tls_error = error
            raise Gone from None

    def close_notify(self):
        """Ends TLS and keeps the connection: from here on everything is in clear."""
        try:
            self.connection = self.connection.unwrap()
        except (OSError, ValueError):
            raise Gone from None

    def wait(self):
        """Says nothing more, until the client is gone."""
        while True:
            self._receive()


class HostileServer:
    """Listens on loopback and runs `script` for each connection, on a thread."""

    def __init__(self, script, address="127.0.0.1", port=0):
        self.script, self.peers, self.failures = script, [], []
        self.listener = socket.create_server((address, port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            peer = Peer(connection)
            self.peers.append(peer)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        try:
            self.script(peer)
        except Gone:
            pass
        except AssertionError as error:
            self.failures.append(error)
        finally:
            peer.connection.close()

    @property
    def messages(self):
        return [message for peer in self.peers for message in peer.messages]

    @property
    def clear(self):
        """All that came outside TLS."""
        return b"".join(bytes(peer.clear) for peer in self.peers)

    def close(self):
        # Wakes the thread that waits for clients, which a mere close does not.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for peer in self.peers:
            peer.connection.close()


# Parts of scripts


def hello(peer, *offers):
    """EHLO and its answer."""
    peer.command("EHLO")
    peer.say(*[f"250 {text}" for text in ("hello", *offers)])


def upgrade(peer, context, *offers):
    """STARTTLS as it should be, and EHLO again with other offers."""
    peer.command("STARTTLS")
    peer.say("220 go")
    peer.start_tls(context)
    hello(peer, *offers)


def take_mail(peer):
    """Transactions, one after the other, until QUIT."""
    while True:
        verb = peer.line().split(" ")[0].upper()
        if verb == "DATA":
            peer.say("354 go")
            peer.message()
            peer.say("250 taken")
        elif verb == "QUIT":
            return peer.say("221 bye")
        else:
            peer.say("250 ok")


def polite(context, offers=("STARTTLS",), inside=(), implicit=False):
    """A script: a good server."""
    def script(peer):
        if implicit:
            peer.start_tls(context)
        peer.say("220 hello")
        if implicit or context is None:
            hello(peer, *inside)
        else:
            hello(peer, *offers)
            upgrade(peer, context, *inside)
        take_mail(peer)
    return script


def after_starttls(act, *offers):
    """A script that is good up to STARTTLS, to which `act(peer)` answers."""
    def script(peer):
        peer.say("220 hello")
        hello(peer, "STARTTLS", *offers)
        peer.command("STARTTLS")
        act(peer)
    return script


def inside(context, act):
    """A script whose `act(peer)` begins with the command behind the second EHLO."""
    def script(peer):
        peer.say("220 hello")
        hello(peer, "STARTTLS")
        upgrade(peer, context)
        act(peer)
    return script


def injects(*pieces, pause=0.0):
    """Answers STARTTLS with "220" and more, in pieces, and goes on in clear as if it were inside."""
    def act(peer):
        for piece in pieces:
            peer.send(piece)
            time.sleep(pause)
        take_mail(peer)
    return after_starttls(act)


def notifies(context, step):
    """Ends TLS in the midst of a transaction, after the command `step`, and goes on in clear."""
    def act(peer):
        while not peer.line().upper().startswith(step):
            peer.say("354 go" if peer.lines[-1] == "DATA" else "250 ok")
        peer.close_notify()
        peer.say("354 go" if step == "DATA" else "250 ok")
        take_mail(peer)
    return inside(context, act)


def old_tls(context):
    """The same certificate with a TLS that is no more."""
    warnings.simplefilter("ignore", DeprecationWarning)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def scripts(authority):
    """The servers that a client must withstand, by name."""
    good = authority.context()
    return {
        "good": polite(good),
        "implicit": polite(good, implicit=True),
        "self-signed": polite(authority.context(signed=False)),
        "expired": polite(authority.context(days=-1)),
        "other-name": polite(authority.context("other.example")),
        "old-tls": polite(old_tls(authority.context())),
        # STARTTLS is not offered: what a client sees behind somebody who takes the offer away.
        "stripped": polite(None),
        "refuses": after_starttls(lambda peer: (peer.say("454 not now"), take_mail(peer))),
        "refuses-for-ever": after_starttls(lambda peer: (peer.say("502 what?"), take_mail(peer))),
        "injects": injects(b"220 go\r\n250 injected\r\n"),
        "injects-part": injects(b"220 go\r\n2"),
        "injects-later": injects(b"220 go\r\n", b"250 injected\r\n", pause=0.001),
        "injects-two-replies": injects(b"220 go\r\n220 go\r\n"),
        "talks-clear": injects(b"220 go\r\n", b"250 hello\r\n" * 4, pause=0.05),
        "tls-garbage": after_starttls(lambda peer: (peer.say("220 go"), peer.send(b"\x16\x03\x03\x40\x00" + b"\xff" * 0x4000), peer.wait())),
        "closes": after_starttls(lambda peer: peer.say("220 go")),
        "closes-in-handshake": after_starttls(lambda peer: (peer.say("220 go"), peer._receive())),
        "stalls-before-tls": after_starttls(lambda peer: peer.wait()),
        "stalls-in-tls": after_starttls(lambda peer: (peer.say("220 go"), peer.wait())),
        "stalls-inside": inside(good, lambda peer: peer.wait()),
        "notifies-at-mail": notifies(good, "MAIL"),
        "notifies-at-data": notifies(good, "DATA"),
        "long-line": inside(good, lambda peer: (peer.line(), peer.send(b"250 " + b"x" * 65536 + b"\r\n"), take_mail(peer))),
        "endless-line": inside(good, lambda peer: (peer.line(), [peer.send(b"250 " + b"x" * 65536) for _ in range(10_000)])),
        "endless-reply": inside(good, lambda peer: (peer.line(), [peer.send(b"250-more\r\n" * 1000) for _ in range(10_000)])),
        "endless-ehlo": lambda peer: (peer.say("220 hello"), peer.line(), [peer.send(b"250-STARTTLS\r\n" * 1000) for _ in range(10_000)]),
        "drips": inside(good, lambda peer: (peer.line(), peer.drip("250 ok", 0.1), take_mail(peer))),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    authority = Authority()
    try:
        known = scripts(authority)
        parser.add_argument("name", choices=sorted(known))
        parser.add_argument("--port", type=int, default=0)
        options = parser.parse_args()
        server = HostileServer(known[options.name], port=options.port)
        print(f"listening on 127.0.0.1 {server.port}, certificates by {authority.file}", flush=True)
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        authority.close()


if __name__ == "__main__":
    main()
