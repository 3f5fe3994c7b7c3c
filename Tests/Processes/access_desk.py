"""Roles access and keys alone, between clients and an auth that the test plays; store workers are real."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

from martlet import HOST, LIMIT, account, as_account, wait_until

PASSWORD = b"secret word"
CREDENTIALS, TEMPORARY, THROTTLED = 1, 2, 3


def counted(text):
    return struct.pack("<H", len(text)) + text


class Fields:
    """Reads a frame's payload."""

    def __init__(self, data):
        self.data = data

    def take(self, count):
        taken, self.data = self.data[:count], self.data[count:]
        assert len(taken) == count
        return taken

    def byte(self):
        return self.take(1)[0]

    def number(self):
        return struct.unpack("<I", self.take(4))[0]

    def counted(self):
        return self.take(struct.unpack("<H", self.take(2))[0])


class AccessDesk:
    """A context manager. `doors` says where it listens; `begun` collects (mechanism, initial response) of all logins."""

    def __init__(self, programs, doors=("pop3", "pop3s"), control=None):
        self.programs = pathlib.Path(programs)
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="martlet-access-"))
        self.home.chmod(0o755)
        for name in ("control", "run", "run/auth", "run/mailbox", "run/keys", "home", "tls"):
            (self.home / name).mkdir(mode=0o755)
        for name, text in {"me": HOST, **(control or {})}.items():
            (self.home / "control" / name).write_text(text + "\n")
        self.user("alice")
        self._give(self.home / "tls")
        self.begun = []
        # What auth says instead of judging: a refusal, or None for no answer at all.
        self.refusal = 0
        # Whether orders to open a mailbox are carried out.
        self.opens = True
        self.tickets = {}
        self.stores = []
        self.processes = []
        self.ends = []
        self.log_path = self.home / "log"
        self.doors = {}
        self.names = doors

    def _give(self, *paths):
        if os.geteuid() == 0:
            for path in paths:
                os.chown(path, *account())

    def user(self, name):
        maildir = self.home / "home" / name / "Maildir"
        for path in (maildir.parent, maildir, *(maildir / part for part in ("tmp", "new", "cur"))):
            path.mkdir(mode=0o700)
            self._give(path)
        return maildir

    def put(self, name, content, age=1000, user="alice"):
        path = self.home / "home" / user / "Maildir" / name
        path.write_bytes(content)
        stamp = os.stat(path).st_mtime - age
        os.utime(path, (stamp, stamp))
        self._give(path)
        return path

    def log(self):
        return self.log_path.read_text(errors="replace")

    # Life

    def __enter__(self):
        self.log_path.touch()
        keys = self._listen("run/keys/socket", socket.SOCK_STREAM)
        self.auth = self._listen("run/auth/socket", socket.SOCK_STREAM)
        self.mailbox = self._listen("run/mailbox/socket", socket.SOCK_SEQPACKET)
        self._serve(self.auth, self._login)
        self._serve(self.mailbox, self._open)
        self._role("keys", [("keys", keys)])
        keys.close()
        wait_until((self.home / "tls/default/cert.pem").exists, self.log)
        listeners = []
        for name in self.names:
            listener = socket.create_server(("127.0.0.1", 0))
            self.doors[name] = listener.getsockname()
            listeners.append((f"{name}=127.0.0.1:0", listener))
        self.access = self._role("access", listeners)
        for _, listener in listeners:
            listener.close()
        wait_until(lambda: self.answers("pop3"), self.log)
        return self

    def answers(self, door):
        with contextlib.suppress(OSError), socket.create_connection(self.doors[door], timeout=1) as probe:
            return probe.recv(100).startswith(b"+OK")

    def __exit__(self, *_):
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for process in self.processes + self.stores:
            process.terminate()
            try:
                process.wait(LIMIT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _listen(self, path, kind):
        listener = socket.socket(socket.AF_UNIX, kind)
        listener.bind(str(self.home / path))
        os.chmod(self.home / path, 0o666)
        listener.listen(64)
        return listener

    def _role(self, name, sockets):
        """Starts a role as the supervisor does: sockets from 3 on, and on 0 a pipe that stays open."""
        reader, writer = os.pipe()
        descriptors = " ".join(f"{3 + index}<&{listener.fileno() + 100}" for index, (_, listener) in enumerate(sockets))
        # Numbers far above those that they are to have.
        moved = [os.dup2(listener.fileno(), listener.fileno() + 100, inheritable=True) for _, listener in sockets]
        arguments = [word for socket_name, _ in sockets for word in ("--socket", socket_name)]
        with open(self.log_path, "ab") as log:
            process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" {descriptors}', "bash", self.programs / "martletd", "--role", name, "--worker", "0", *arguments], stdin=reader,
                stdout=log, stderr=log, cwd=self.home, pass_fds=moved, **as_account())
        for descriptor in (reader, *moved):
            os.close(descriptor)
        self.ends.append(open(writer, "wb"))
        self.ends[-1].shutdown = lambda _: None
        self.processes.append(process)
        return process

    # Auth

    def _serve(self, listener, serve):
        self.ends.append(listener)

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    self.ends.append(connection)
                    threading.Thread(target=self._quietly, args=(serve, connection), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def _quietly(self, serve, connection):
        with contextlib.suppress(OSError):
            serve(connection)

    def _login(self, connection):
        stream = connection.makefile("rb")
        waiting = {}
        while head := stream.read(4):
            frame = Fields(stream.read(struct.unpack("<I", head)[0]))
            kind, token = frame.byte(), frame.number()
            if kind == 1:
                service, encrypted, address = frame.byte(), frame.byte(), frame.counted()
                mechanism, binding, has_initial = frame.counted().decode(), frame.counted(), frame.byte()
                self.begun.append((mechanism, frame.data if has_initial else None, bool(encrypted)))
                assert service == 2 and len(address) == 4
                if mechanism == "LOGIN":
                    waiting[token] = []
                    self._say(connection, 65, token, b"User Name")
                elif mechanism == "APOP":
                    login, digest = frame.data.split(b" ", 1)
                    self._judge(connection, token, login, digest, hashlib.md5(binding + PASSWORD).hexdigest().encode())
                elif has_initial:
                    _, login, password = frame.data.split(b"\0")
                    self._judge(connection, token, login, password, PASSWORD)
                else:
                    waiting[token] = None
                    self._say(connection, 65, token, b"")
            elif kind == 2 and token in waiting and waiting[token] is None:
                del waiting[token]
                _, login, password = frame.data.split(b"\0")
                self._judge(connection, token, login, password, PASSWORD)
            elif kind == 2 and token in waiting:
                waiting[token].append(frame.data)
                if len(waiting[token]) == 1:
                    self._say(connection, 65, token, b"Password")
                else:
                    self._judge(connection, token, *waiting.pop(token), PASSWORD)

    def _judge(self, connection, token, login, password, expected):
        if self.refusal is None:
            return
        user = login.decode(errors="replace")
        if self.refusal or password != expected or not (self.home / "home" / user / "Maildir").is_dir():
            return self._say(connection, 67, token, bytes([self.refusal or CREDENTIALS]))
        ticket = os.urandom(16)
        self.tickets[ticket] = user
        self._say(connection, 66, token, counted(login) + counted(ticket))

    def _say(self, connection, kind, token, rest):
        payload = bytes([kind]) + struct.pack("<I", token) + rest
        connection.sendall(struct.pack("<I", len(payload)) + payload)

    def _open(self, connection):
        packet, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 4)
        if not packet:
            return
        [end] = descriptors
        user = self.tickets.pop(packet[1:], None)
        assert packet[0] == 1
        if user and self.opens:
            self.stores.append(subprocess.Popen(
                [self.programs / "martlet-store", "free", "pop3", "Maildir"], stdin=end, stdout=subprocess.DEVNULL, stderr=open(self.log_path, "ab"),
                cwd=self.home / "home" / user, **as_account()))
        os.close(end)
        connection.close()

    # Clients

    def connect(self, door="pop3"):
        return socket.create_connection(self.doors[door], timeout=LIMIT)
