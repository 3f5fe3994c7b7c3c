"""A client of `run/inject` (Sources/Protocols/Frames/InjectFrames.swift) that keeps many messages under way: the quickest way to fill a queue."""

import socket
import struct

CONTENT, RECIPIENTS, COMMIT = 2, 3, 4
ACCEPTED = 65
# Of a frame; the queue takes 2^18.
RECIPIENTS_BYTES = 1 << 17
# Messages sent and not answered yet, and messages in one write.
WINDOW = 2000
BATCH = 100


class Refused(OSError):
    """The queue did not take a message."""


def frame(kind, payload):
    return struct.pack("<IB", len(payload) + 1, kind) + payload


def counted(text):
    return struct.pack("<H", len(text)) + text


def recipient_frames(stream, recipients):
    part = bytearray()
    for recipient in recipients:
        part += counted(recipient)
        if len(part) > RECIPIENTS_BYTES:
            yield frame(RECIPIENTS, struct.pack("<I", stream) + part)
            part.clear()
    if part:
        yield frame(RECIPIENTS, struct.pack("<I", stream) + part)


class Injector:
    def __init__(self, home, limit):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(limit)
        self.socket.connect(str(home / "run/inject/socket"))
        self.received = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def _answers(self):
        """Takes what has come; the number of messages it accepts."""
        data = self.socket.recv(1 << 16)
        if not data:
            raise Refused("the queue closed the connection")
        self.received += data
        count = 0
        while len(self.received) >= 4 and len(self.received) >= 4 + (length := struct.unpack_from("<I", self.received)[0]):
            kind, payload = self.received[4], bytes(self.received[5:4 + length])
            del self.received[:4 + length]
            if kind != ACCEPTED:
                raise Refused(f"the queue answered {kind} {payload.hex()}")
            count += 1
        return count

    def messages(self, count, content, sender, recipient, progress=lambda done: None):
        """`count` times the same message."""
        def message(stream):
            number = struct.pack("<I", stream)
            return frame(CONTENT, number + content) + frame(RECIPIENTS, number + counted(recipient)) + frame(COMMIT, number + counted(sender))

        # Streams end with their commit, so a window's worth of numbers serves for all.
        batches = [b"".join(map(message, range(first, first + BATCH))) for first in range(0, 2 * WINDOW, BATCH)]
        sent = accepted = 0
        while accepted < count:
            if sent < count and sent - accepted < WINDOW:
                batch = batches[sent // BATCH % len(batches)]
                if count - sent < BATCH:
                    batch = b"".join(map(message, range(count - sent)))
                self.socket.sendall(batch)
                sent += min(BATCH, count - sent)
            else:
                accepted += self._answers()
                progress(accepted)

    def list(self, content, sender, recipients):
        """One message to many."""
        stream = 1
        self.socket.sendall(frame(CONTENT, struct.pack("<I", stream) + content))
        for part in recipient_frames(stream, recipients):
            self.socket.sendall(part)
        self.socket.sendall(frame(COMMIT, struct.pack("<I", stream) + counted(sender)))
        while not self._answers():
            pass
