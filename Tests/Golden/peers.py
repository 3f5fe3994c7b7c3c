"""Scripted peers on the sandbox's own network: an SMTP server, a QMQP server, a name server. Each runs on a thread and keeps what it received."""

import socket
import struct
import threading

from cases import to_bytes

# Nobody is waited for longer than a program's own limit.
LIMIT = 60


class Server:
    """Listens at (address, port) and serves connections one after the other until `close`."""

    def __init__(self, address, port):
        self.received = b""
        self._listener = socket.create_server((address, port), backlog=16)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(LIMIT)
                try:
                    self.serve(connection)
                except OSError:
                    pass

    def _read(self, connection):
        """The next bytes; none at the end."""
        data = connection.recv(1 << 16)
        self.received += data
        return data

    def close(self):
        """Ends it after what is under way, so that `received` is whole."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(LIMIT)


class SMTPServer(Server):
    """Sends the greeting, then a reply after each command line, and after the last line of a message when DATA was answered with 1, 2 or 3."""

    def __init__(self, port, replies):
        self._replies = replies
        super().__init__("0.0.0.0", port)

    def serve(self, connection):
        self._left, self._is_in_message, self._line = list(self._replies), False, b""
        if isinstance(self._left[:1] and self._left[0], str) and not self._left[0].endswith("\n"):
            # The client waits for the rest of this line, as long as we do.
            connection.settimeout(1)
        if not self._reply(connection, b""):
            return
        while data := self._read(connection):
            for byte in data:
                self._line += bytes([byte])
                if byte == 10 and not self._take_line(connection):
                    return

    def _take_line(self, connection):
        line, self._line = self._line, b""
        if self._is_in_message:
            if line not in (b".\r\n", b".\n"):
                return True
            self._is_in_message = False
        return self._reply(connection, line)

    def _reply(self, connection, line):
        """Sends the next reply; whether the connection goes on."""
        if not self._left:
            return True
        reply = self._left.pop(0)
        if reply is None:
            return False
        if isinstance(reply, dict) and "wait" in reply:
            self._stopped = threading.Event()
            self._stopped.wait(reply["wait"])
            return False
        text = to_bytes(reply)
        for part in text.split(b"<FLUSH>"):
            connection.sendall(part)
        self._is_in_message = line[:4].upper() == b"DATA" and text[:1] in (b"1", b"2", b"3")
        return True


class QMQPServer(Server):
    """Reads one netstring, sends its answer, closes."""

    def __init__(self, answer):
        self._answer = answer
        super().__init__("127.0.0.2", 628)

    def serve(self, connection):
        wanted = None
        while wanted is None or len(self.received) < wanted:
            if not self._read(connection):
                return
            length, colon, _ = self.received.partition(b":")
            if colon:
                wanted = len(length) + 1 + int(length) + 1
        connection.sendall(self._answer)


class NameServer:
    """A zone: `{"NAME TYPE": [data], "NAME": "SERVFAIL"}`; names that it does not know do not exist."""

    _TYPES = {"A": 1, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16}
    _SERVFAIL, _NXDOMAIN = 2, 3

    def __init__(self, zone):
        self._zone = zone
        self._names = {key.split()[0].lower() for key in zone}
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            query, client = self._socket.recvfrom(4096)
            if not query:
                return
            self._socket.sendto(self._answer(query), client)

    def _answer(self, query):
        name, end = _read_name(query, 12)
        kind = struct.unpack(">H", query[end:end + 2])[0]
        code, records = self._find(name.lower(), kind)
        question = query[12:end + 4]
        head = query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data for data in records)
        return head + question + body

    def _find(self, name, kind):
        if self._zone.get(name) == "SERVFAIL":
            return self._SERVFAIL, []
        for key, values in self._zone.items():
            owner, _, word = key.partition(" ")
            if owner.lower() == name and self._TYPES.get(word) == kind:
                return 0, [_data(word, value) for value in values]
        return (0 if name in self._names else self._NXDOMAIN), []

    def close(self):
        # An empty packet to itself: closing alone would not wake the thread.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", 53))
        self._thread.join(LIMIT)
        self._socket.close()


def _read_name(packet, at):
    labels = []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1"))
        at += 1 + packet[at]
    return ".".join(labels), at + 1


def _name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.rstrip(".").split(".") if label) + b"\0"


def _data(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "MX":
        preference, host = value.split()
        return struct.pack(">H", int(preference)) + _name(host)
    if kind == "TXT":
        return bytes([len(value)]) + value.encode()
    return _name(value)
