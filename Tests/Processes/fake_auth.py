"""Auth's side of `run/auth` for tests (Sources/Protocols/Frames/LoginFrames.swift): one account, answers that a test can set, and all that was asked."""

import base64
import contextlib
import os
import signal
import socket
import struct
import threading

from martlet import account, wait_until

CREDENTIALS, TEMPORARY, THROTTLED, MECHANISM, ENCRYPTION_NEEDED, MALFORMED = range(1, 7)
GRANTED, FOREIGN_SENDER, LIMIT_REACHED = range(3)


def counted(data):
    return struct.pack("<H", len(data)) + data


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, count):
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def number(self):
        return struct.unpack("<I", self.take(4))[0]

    def counted(self):
        return self.take(struct.unpack("<H", self.take(2))[0])


class FakeAuth:
    """Takes the place of a running Martlet's auth: LOGIN and PLAIN for `user` with `password`, its sender `user` itself."""

    def __init__(self, server, user=b"joe@mail.example", password=b"s3cret-canary"):
        self.user, self.password = user, password
        self.refusal = None
        self.permission, self.recipients = None, 1000
        self.charge = GRANTED
        self.begun, self.permits, self.charged, self.cancelled = [], [], [], []
        self.silent = False
        self.names = {}
        path = server.home / "run/auth/socket"
        path.unlink()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(10)
        self.connected, self.peers = 0, []
        threading.Thread(target=self._accept, daemon=True).start()
        # Those that follow connect to this one.
        for pid in server.pids()["smtpd"]:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.connected >= len(server.pids().get("smtpd", [0])), "smtpd does not ask auth")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def lose(self):
        """Drops who is connected; they come again."""
        for peer in self.peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self.peers.clear()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self.listener.accept()
                self.connected += 1
                self.peers.append(peer)
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        received = b""
        with contextlib.suppress(OSError), peer:
            while data := peer.recv(1 << 16):
                received += data
                while len(received) >= 4 and len(received) >= 4 + (length := struct.unpack("<I", received[:4])[0]):
                    frame, received = received[4:4 + length], received[4 + length:]
                    answer = self._answer(frame[0], Reader(frame[1:]))
                    if answer and not self.silent:
                        peer.sendall(struct.pack("<I", len(answer)) + answer)

    def _answer(self, kind, payload):
        if kind == 1:
            token = payload.take(4)
            service, encrypted = payload.take(2)
            address, mechanism, _ = payload.counted(), payload.counted(), payload.counted()
            initial = payload.data if payload.take(1) == b"\1" else None
            self.begun.append((service, bool(encrypted), address, mechanism))
            if self.refusal:
                return b"\x43" + token + bytes([self.refusal])
            if mechanism == b"LOGIN":
                if initial is None:
                    return b"\x41" + token + b"Username:"
                self.names[token] = initial
                return b"\x41" + token + b"Password:"
            return self._plain(token, initial) if initial is not None else b"\x41" + token
        if kind == 2:
            token = payload.take(4)
            if b"\0" in payload.data:
                return self._plain(token, payload.data)
            if token in self.names:
                return self._judge(token, self.names.pop(token), payload.data)
            self.names[token] = payload.data
            return b"\x41" + token + b"Password:"
        if kind == 3:
            self.cancelled.append(payload.number())
        if kind == 4:
            token, who, sender = payload.take(4), payload.counted(), payload.counted()
            self.permits.append((who, sender))
            verdict = (GRANTED if sender == self.user else FOREIGN_SENDER) if self.permission is None else self.permission
            return b"\x44" + token + bytes([verdict]) + struct.pack("<I", self.recipients)
        if kind == 5:
            token, count = payload.take(4), payload.number()
            self.charged.append((payload.counted(), count))
            return b"\x44" + token + bytes([self.charge]) + struct.pack("<I", self.recipients)
        return None

    def _plain(self, token, message):
        fields = message.split(b"\0")
        return self._judge(token, fields[1], fields[2]) if len(fields) == 3 else b"\x43" + token + bytes([MALFORMED])

    def _judge(self, token, user, password):
        if (user, password) != (self.user, self.password):
            return b"\x43" + token + bytes([CREDENTIALS])
        return b"\x42" + token + counted(user) + counted(b"") + b""


def plain(user, password):
    return base64.b64encode(b"\0" + user + b"\0" + password)
