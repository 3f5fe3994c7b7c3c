"""The parts of Sources/Protocols/Frames that a peer in a test needs: packets on UNIX sockets."""

import array
import fcntl
import os
import pathlib
import socket
import struct

F_ADD_SEALS, ALL_SEALS = 1033, 15
MAX_PACKET = 1 << 18


def counted(data):
    return struct.pack("<H", len(data)) + data


def number(value):
    return struct.pack("<I", value)


class Reader:
    """Reads a packet from its front."""

    def __init__(self, packet):
        self.left = packet

    def take(self, count):
        found, self.left = self.left[:count], self.left[count:]
        if len(found) != count:
            raise ValueError("packet is cut short")
        return found

    def number(self):
        return struct.unpack("<I", self.take(4))[0]

    def counted(self):
        return self.take(struct.unpack("<H", self.take(2))[0])


def listen(path, kind):
    """A listening UNIX socket; whoever reaches its folder may connect."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(str(path))
    os.chmod(path, 0o666)
    listener.listen(64)
    return listener


def connect(path, limit):
    """A connected packet socket."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.settimeout(limit)
    connection.connect(str(path))
    return connection


def receive(connection):
    """(packet, descriptor or None); an empty packet at the end."""
    packet, ancillary, _, _ = connection.recvmsg(MAX_PACKET, socket.CMSG_SPACE(4))
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            return packet, array.array("i", data)[0]
    return packet, None


def send(connection, packet, descriptor=None):
    rights = [] if descriptor is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
    connection.sendmsg([packet], rights)


def sealed(content):
    """A read-only descriptor of exactly these bytes."""
    memory = os.memfd_create("message", os.MFD_ALLOW_SEALING)
    os.write(memory, content)
    fcntl.fcntl(memory, F_ADD_SEALS, ALL_SEALS)
    reading = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY)
    os.close(memory)
    return reading


def read_all(descriptor):
    """The whole of a message, from its start; closes the descriptor."""
    with open(descriptor, "rb") as file:
        file.seek(0)
        return file.read()


def ready(capacity):
    """A delivery process's first packet."""
    return b"A" + number(capacity)


def delivery_request(slot, host, sender, recipients):
    return b"\1" + number(slot) + counted(host) + counted(sender) + b"".join(counted(recipient) for recipient in recipients)


def read_delivery_request(packet):
    """(slot, host, sender, recipients)."""
    reader = Reader(packet)
    if reader.take(1) != b"\1":
        raise ValueError(f"no delivery request: {packet!r}")
    slot, host, sender, recipients = reader.number(), reader.counted(), reader.counted(), []
    while reader.left:
        recipients.append(reader.counted())
    return slot, host, sender, recipients


def reports(slot, texts):
    """Each text begins with its letter: K, Z or D."""
    return b"B" + number(slot) + b"".join(text[:1] + counted(text[1:]) for text in texts)


def read_reports(packet):
    """(slot, texts with their letters)."""
    reader = Reader(packet)
    if reader.take(1) != b"B":
        raise ValueError(f"no reports: {packet!r}")
    slot, texts = reader.number(), []
    while reader.left:
        letter = reader.take(1)
        texts.append(letter + reader.counted())
    return slot, texts
