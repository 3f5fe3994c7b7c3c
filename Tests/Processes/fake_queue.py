"""The queue's side of `run/deliver-remote` for tests: hands out deliveries, each with a descriptor of its message, and collects the reports."""
import array
import fcntl
import os
import socket
import struct

F_ADD_SEALS, ALL_SEALS = 1033, 15


def counted(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack("<H", len(data)) + data


def sealed(content):
    """A read-only descriptor of exactly these bytes."""
    memory = os.memfd_create("message", os.MFD_ALLOW_SEALING)
    view = memoryview(content)
    while view:
        view = view[os.write(memory, view):]
    fcntl.fcntl(memory, F_ADD_SEALS, ALL_SEALS)
    reading = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY)
    os.close(memory)
    return reading


class FakeQueue:
    """Listens at `path`; `connect()` waits for remote."""

    def __init__(self, path, limit=30):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(5)
        self.listener.settimeout(limit)
        self.limit, self.peer, self.slot = limit, None, 0

    def connect(self):
        self.peer, _ = self.listener.accept()
        self.peer.settimeout(self.limit)
        first = self.peer.recv(1 << 18)
        assert first[:1] == b"A", first
        return struct.unpack("<I", first[1:5])[0]

    def lose(self):
        self.peer.close()

    def hand_out(self, host, recipients, content=b"Subject: x\n\nbody\n", sender="sender@us.example"):
        """The slot of the new delivery."""
        self.slot += 1
        packet = b"\1" + struct.pack("<I", self.slot) + counted(host) + counted(sender) + b"".join(counted(r) for r in recipients)
        descriptor = sealed(content)
        self.peer.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))])
        os.close(descriptor)
        return self.slot

    def answer(self):
        """(slot, [letter and text, …]) of the next delivery that ended."""
        packet = self.peer.recv(1 << 18)
        assert packet[:1] == b"B", packet
        slot, rest, reports = struct.unpack("<I", packet[1:5])[0], packet[5:], []
        while rest:
            length = struct.unpack("<H", rest[1:3])[0]
            reports.append(rest[:1].decode() + rest[3:3 + length].decode("utf-8", "replace"))
            rest = rest[3 + length:]
        return slot, reports

    def deliver(self, host, recipients, content=b"Subject: x\n\nbody\n", **options):
        """Hands out one delivery and waits for its reports."""
        slot = self.hand_out(host, recipients, content, **options)
        answered, reports = self.answer()
        assert answered == slot
        return reports
