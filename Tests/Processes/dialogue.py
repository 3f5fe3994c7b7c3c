"""SMTP over a raw socket, for tests that need to say what no library says."""

import re
import socket

# RFC 5321 §4.5.3.1.5 and hardening.md "RESP": nothing but printable ASCII, never longer than 512 bytes.
REPLY_LINE = re.compile(rb"[2-5][0-9]{2}[ -][\x20-\x7e]{0,506}\r\n")
LIMIT = 30.0


class Closed(AssertionError):
    """The server closed the connection where a reply was due."""


class Dialogue:
    """A client that checks the form of every reply line."""

    def __init__(self, address, family=socket.AF_INET, greet=True):
        self.socket = socket.socket(family)
        self.socket.settimeout(LIMIT)
        if family == socket.AF_INET:
            # A write is a segment: splits are seen by the server as they are made.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect(address)
        self.buffer = b""
        self.greeting = self.reply() if greet else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def write(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                raise Closed(f"closed after {self.buffer!r}")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        line += b"\n"
        assert REPLY_LINE.fullmatch(line), line
        return line

    def reply(self):
        """All lines of the next reply as text, joined by LF."""
        lines = [self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(self.line())
        assert len({line[:3] for line in lines}) == 1, lines
        return "\n".join(line[:-2].decode() for line in lines)

    def say(self, command):
        """One command; its reply."""
        self.write(command + (b"\r\n" if isinstance(command, bytes) else "\r\n"))
        return self.reply()

    def envelope(self, sender, recipient):
        for command in ("EHLO client.example", f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>"):
            answer = self.say(command)
            assert answer.startswith("250"), (command, answer)

    def rest(self):
        """What comes until the server closes."""
        try:
            while more := self.socket.recv(65536):
                self.buffer += more
        except ConnectionResetError:
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def is_closed(self):
        return self.rest() == b""
