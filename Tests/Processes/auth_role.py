"""Role auth alone: its own home, its sockets bound by the test, which plays smtpd, access, lspawn and authcheck."""

import array
import contextlib
import ctypes
import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import tempfile
import threading

from martlet import LIMIT, account, as_account, wait_until

SOCKETS = {"auth": socket.SOCK_STREAM, "mailbox": socket.SOCK_SEQPACKET, "opening": socket.SOCK_SEQPACKET, "auth-admin": socket.SOCK_STREAM}
SUBMISSION, POP3 = 1, 2
CHALLENGE, SUCCESS, FAILURE, PERMISSION = 65, 66, 67, 68
CREDENTIALS, TEMPORARY, THROTTLED, MECHANISM, ENCRYPTION, MALFORMED = 1, 2, 3, 4, 5, 6
OPEN, CHECK = 1, 2

_crypt = ctypes.CDLL("libcrypt.so.1").crypt
_crypt.restype = ctypes.c_char_p


def hashed(password, setting=b"$5$rounds=1000$saltsalt$"):
    """A hash that is cheap to compute, so that what is measured is not the hash."""
    return _crypt(password, setting).decode()


def counted(text):
    return struct.pack("<H", len(text)) + text


def cdb(records):
    """A constant database (spec-qmail §6.4) of a dict of bytes."""
    def hash_of(key):
        h = 5381
        for byte in key:
            h = ((h << 5) + h & 0xFFFFFFFF) ^ byte
        return h
    body, tables = b"", [[] for _ in range(256)]
    for key, value in records.items():
        h = hash_of(key)
        tables[h & 255].append((h, 2048 + len(body)))
        body += struct.pack("<II", len(key), len(value)) + key + value
    header, tail, position = b"", b"", 2048 + len(body)
    for entries in tables:
        count = 2 * len(entries)
        header += struct.pack("<II", position, count)
        slots = [(0, 0)] * count
        for h, at in entries:
            slot = (h >> 8) % count
            while slots[slot][1]:
                slot = (slot + 1) % count
            slots[slot] = (h, at)
        for slot in slots:
            tail += struct.pack("<II", *slot)
        position += 8 * count
    return header + body + tail


class AuthRole:
    def __init__(self, programs, home=None):
        self.folder = None if home else tempfile.TemporaryDirectory(prefix="martlet-auth-")
        self.home = pathlib.Path(home or self.folder.name)
        for name in ("control", "auth", "run", "users"):
            (self.home / name).mkdir(exist_ok=True)
        self.home.chmod(0o755)
        self.programs = programs
        self.log_path = self.home / "log"
        self.control("me", "mail.example")
        self.control("hashthreads", "2")
        self.listeners, self.accounts, self.checks = {}, {}, []

    def control(self, name, text):
        path = self.home / "control" / f".{name}"
        path.write_text(text + "\n")
        path.chmod(0o644)
        path.rename(self.home / "control" / name)

    def add(self, address, *passwords, uid=None, gid=None, home="/home/joe", mailbox="Maildir", **more):
        """An account of ours. more: lines of its record by name."""
        own = account()
        lines = [f"uid {own[0] if uid is None else uid}", f"gid {own[1] if gid is None else gid}", f"home {home}", f"mailbox {mailbox}"]
        lines += [f"password {hashed(p)} {'' if i == 0 else f'device {i}'}".rstrip() for i, p in enumerate(passwords)]
        lines += [f"{name.replace('_', '-')} {value}".rstrip() for name, value in more.items()]
        self.accounts[address.encode()] = ("\n".join(lines) + "\n").encode()
        self.write()

    def write(self):
        path = self.home / "auth/new"
        path.write_bytes(cdb(self.accounts))
        path.chmod(0o644)
        path.rename(self.home / "auth/accounts.cdb")

    def start(self):
        redirections = []
        for number, (name, kind) in enumerate(SOCKETS.items(), 3):
            listener = socket.socket(socket.AF_UNIX, kind)
            path = self.home / "run" / name
            listener.bind(str(path))
            path.chmod(0o777)
            listener.listen(64)
            self.listeners[name] = path
            high = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD, 100)
            listener.close()
            os.set_inheritable(high, True)
            redirections.append((number, high))
        words = " ".join(f"{number}<&{high} {high}<&-" for number, high in redirections)
        arguments = [str(self.programs / "martletd"), "--role", "auth", "--worker", "0", "--workers", "1"]
        for name in SOCKETS:
            arguments += ["--socket", name]
        reader, self.alive = os.pipe()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" {words}', "bash", *arguments], stdin=reader, stdout=log, stderr=log, cwd=self.home,
                pass_fds=[high for _, high in redirections], **as_account())
        os.close(reader)
        for _, high in redirections:
            os.close(high)
        return self

    def log(self):
        return self.log_path.read_text()

    def end(self):
        os.close(self.alive)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        if self.folder:
            self.folder.cleanup()

    def connect(self, name):
        peer = socket.socket(socket.AF_UNIX, SOCKETS[name])
        peer.settimeout(LIMIT)
        peer.connect(str(self.listeners[name]))
        return peer

    def asker(self):
        return Asker(self.connect("auth"))

    def lspawn(self, answer=None):
        """Plays lspawn; `answer(question)` plays authcheck."""
        return Lspawn(self.connect("opening"), answer)

    def open_mailbox(self, ticket):
        """Shows a ticket as access does; the client's end."""
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT)
        with self.connect("mailbox") as peer:
            peer.sendmsg([b"\x01" + ticket], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
        theirs.close()
        return ours


class Answer:
    def __init__(self, kind, body):
        self.kind, self.token, rest = kind, struct.unpack("<I", body[:4])[0], body[4:]
        self.rest = rest
        if kind == SUCCESS:
            length = struct.unpack("<H", rest[:2])[0]
            self.account, rest = rest[2:2 + length].decode(), rest[2 + length:]
            length = struct.unpack("<H", rest[:2])[0]
            self.ticket, self.final = rest[2:2 + length], rest[2 + length:]
        elif kind == FAILURE:
            self.refusal = rest[0]
        elif kind == PERMISSION:
            self.permission, self.recipients = rest[0], struct.unpack("<I", rest[1:5])[0]


class Asker:
    """A connection to run/auth."""

    def __init__(self, connection):
        self.connection, self.buffer, self.token, self.answers = connection, b"", 0, {}

    def close(self):
        self.connection.close()

    def send(self, kind, body):
        self.connection.sendall(struct.pack("<IB", 1 + len(body), kind) + body)

    def begin(self, mechanism, initial=None, address=None, service=SUBMISSION, encrypted=True, binding=b""):
        """address: the client's; one of its own for each exchange when not given, so that failures of a test do not add up."""
        self.token += 1
        address = f"10.{self.token >> 8}.{self.token & 255}.1" if address is None else address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        origin = socket.inet_pton(family, address) if address else b""
        self.send(1, struct.pack("<IBB", self.token, service, int(encrypted)) + counted(origin) + counted(mechanism.encode()) + counted(binding)
                  + (b"\x00" if initial is None else b"\x01" + initial))
        return self.token

    def respond(self, token, response):
        self.send(2, struct.pack("<I", token) + response)

    def permit(self, account, sender):
        self.token += 1
        self.send(4, struct.pack("<I", self.token) + counted(account.encode()) + counted(sender.encode()))
        return self.answer(self.token)

    def charge(self, account, recipients):
        self.token += 1
        self.send(5, struct.pack("<II", self.token, recipients) + counted(account.encode()))
        return self.answer(self.token)

    def read(self):
        while True:
            if len(self.buffer) >= 4:
                length = struct.unpack("<I", self.buffer[:4])[0]
                if len(self.buffer) >= 4 + length:
                    frame, self.buffer = self.buffer[4:4 + length], self.buffer[4 + length:]
                    return Answer(frame[0], frame[1:])
            piece = self.connection.recv(1 << 16)
            if not piece:
                raise EOFError
            self.buffer += piece

    def answer(self, token):
        while not self.answers.get(token):
            found = self.read()
            self.answers.setdefault(found.token, []).append(found)
        return self.answers[token].pop(0)

    def plain(self, login, password, **options):
        return self.answer(self.begin("PLAIN", b"\0" + login.encode() + b"\0" + password, **options))


class Lspawn:
    def __init__(self, connection, answer):
        self.connection, self.orders, self.questions = connection, [], []
        self.thread = threading.Thread(target=self.serve, args=(answer,), daemon=True)
        self.thread.start()

    def serve(self, answer):
        with contextlib.suppress(OSError):
            self.connection.settimeout(None)
            while True:
                packet, descriptors, _, _ = socket.recv_fds(self.connection, 1 << 16, 4)
                if not packet:
                    return
                if packet[0] == CHECK:
                    threading.Thread(target=self.check, args=(socket.socket(fileno=descriptors[0]), answer), daemon=True).start()
                else:
                    self.orders.append((packet, socket.socket(fileno=descriptors[0])))

    def check(self, end, answer):
        with end:
            packet = end.recv(1 << 16)
            question, rest = {"method": packet[1], "service": packet[2]}, packet[3:]
            for name in ("program", "login", "password", "timestamp", "address"):
                length = struct.unpack("<H", rest[:2])[0]
                question[name], rest = rest[2:2 + length], rest[2 + length:]
            self.questions.append(question)
            reply = answer(question) if answer else None
            if reply is not None:
                with contextlib.suppress(OSError):
                    end.send(reply)

    def order(self):
        wait_until(lambda: self.orders, "no order came")
        packet, end = self.orders.pop(0)
        kind, service, confined, uid, gid = struct.unpack("<BBBII", packet[:11])
        fields, rest = [], packet[11:]
        while rest:
            length = struct.unpack("<H", rest[:2])[0]
            fields, rest = fields + [rest[2:2 + length].decode()], rest[2 + length:]
        return {"kind": kind, "service": service, "confined": confined, "uid": uid, "gid": gid, "user": fields[0], "home": fields[1], "mailbox": fields[2]}, end

    def close(self):
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.thread.join(LIMIT)
        self.connection.close()


def identity(uid, gid, user, home):
    return struct.pack("<BII", 65, uid, gid) + counted(user) + counted(home)


DENIED = b"\x42"
