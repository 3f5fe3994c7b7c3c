#!/usr/bin/env python3
"""A DNS server for tests, on UDP and TCP: a plain zone from a file, and hostile answers chosen by the name that is asked for.

    hostile_dns.py [--address 127.0.0.1] [--port 0] [--zone FILE]

prints `listening on ADDRESS PORT` when it is ready and serves until it is killed.

The zone file has one record a line, read again when it changes; `#` begins a comment:

    example.test      MX     10 mail.example.test
    mail.example.test A      127.0.0.1
    mail.example.test AAAA   ::1
    www.example.test  CNAME  example.test
    broken.test       SERVFAIL          (also NXDOMAIN, REFUSED, SILENT)

A name that is not in the zone is judged by its first label (what follows does not matter):

    a-192-0-2-7       that address
    many-a-N          N addresses
    mx-N              N exchangers, each with an address
    mx-self           an exchanger that is 127.0.0.1
    mx-literal        an exchanger whose name is 127.0.0.1
    mx-cname          an exchanger that is an alias
    mx-null           the null MX
    mx-null-mixed     the null MX beside another
    mx-localhost      localhost
    mx-short          records of 0, 1 and 2 bytes
    mx-weird          exchangers with blanks, dots, line ends and NUL in a label
    mx-long           an exchanger of 255 bytes
    big               64 KiB of TXT beside the answer
    cname-loop        an alias of an alias of itself
    cname-chain-N     N aliases, then an address
    pointer-loop      a compressed name that points at itself
    cut               an answer that ends in the middle
    wrong-id, wrong-name, wrong-type     answers to something else
    drip              one byte a second, over TCP
    silent, servfail, refused, nxdomain, nodata
"""
import argparse
import os
import socket
import socketserver
import struct
import threading
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "MX": 15, "TXT": 16, "AAAA": 28}
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
CODES = {"SERVFAIL": SERVFAIL, "NXDOMAIN": NXDOMAIN, "REFUSED": REFUSED}
MAX_TCP = 65535


def wire(name):
    """A name in wire form; bytes are taken as labels split at dots."""
    if isinstance(name, str):
        name = name.encode()
    labels = [label for label in name.split(b".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(owner, kind, data, ttl=60):
    return wire(owner) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(data)) + data


def mx(owner, preference, name):
    return record(owner, "MX", struct.pack(">H", preference) + (name if isinstance(name, bytes) else wire(name)))


def address(owner, text):
    if ":" in text:
        return record(owner, "AAAA", socket.inet_pton(socket.AF_INET6, text))
    return record(owner, "A", socket.inet_aton(text))


def txt(owner, size):
    data = b""
    while len(data) < size:
        data += b"\xff" + b"x" * 255
    return record(owner, "TXT", data[:size])


class Zone:
    """The records of the zone file, by lower-case name."""

    def __init__(self, path):
        self.path, self.seen, self.records, self.lock = path, None, {}, threading.Lock()

    def find(self, name):
        if not self.path:
            return None
        with self.lock:
            info = os.stat(self.path)
            if (info.st_mtime_ns, info.st_size) != self.seen:
                self.seen, self.records = (info.st_mtime_ns, info.st_size), self.load()
            return self.records.get(name)

    def load(self):
        records = {}
        for line in open(self.path, encoding="utf-8"):
            fields = line.split("#")[0].split()
            if len(fields) >= 2:
                records.setdefault(fields[0].lower().rstrip("."), []).append((fields[1].upper(), fields[2:]))
        return records


class Answer:
    """What goes into a reply, and how it is spoiled."""

    def __init__(self, code=NOERROR, records=(), extra=(), spoil=None):
        self.code, self.records, self.extra, self.spoil = code, list(records), list(extra), spoil


def encode(kind, owner, fields):
    if kind in ("A", "AAAA"):
        return address(owner, fields[0])
    if kind == "MX":
        return mx(owner, int(fields[0]), fields[1])
    if kind in ("CNAME", "NS"):
        return record(owner, kind, wire(fields[0]))
    text = " ".join(fields).encode()
    return record(owner, "TXT", bytes([len(text)]) + text)


def from_zone(zone, name, qtype):
    """The answer of the plain zone, None when the name is not in it."""
    entries = zone.find(name)
    if entries is None:
        return None
    for kind, _ in entries:
        if kind == "SILENT":
            return Answer(spoil="silent")
        if kind in CODES:
            return Answer(CODES[kind])
    result, owner = [], name
    for _ in range(10):
        alias = next((fields[0] for kind, fields in entries if kind == "CNAME"), None)
        if alias is None or qtype == TYPES["CNAME"]:
            break
        result.append(record(owner, "CNAME", wire(alias)))
        owner = alias.lower().rstrip(".")
        entries = zone.find(owner) or []
    result += [encode(kind, owner, fields) for kind, fields in entries if TYPES.get(kind) == qtype]
    return Answer(records=result)


def number(text, default=1):
    return int(text) if text.isdigit() else default


def hostile(name, qtype):
    """The answer that the first label asks for."""
    label, _, rest = name.partition(".")
    rest = rest or "test"
    words = label.split("-")
    is_mx, is_a = qtype == TYPES["MX"], qtype == TYPES["A"]
    if label in ("servfail", "refused", "nxdomain"):
        return Answer(CODES[label.upper()])
    if label in ("silent", "drip", "cut", "pointer-loop", "wrong-id", "wrong-name", "wrong-type"):
        records = [mx(name, 1, "a-192-0-2-1." + rest)] if is_mx else [address(name, "192.0.2.1")] if is_a else []
        return Answer(records=records, spoil=label)
    if label == "nodata":
        return Answer()
    if words[0] == "a" and len(words) == 5:
        return Answer(records=[address(name, ".".join(words[1:]))] if is_a else [])
    if label.startswith("many-a-"):
        count = number(words[2])
        return Answer(records=[address(name, f"192.0.{2 + i // 250}.{1 + i % 250}") for i in range(count)] if is_a else [])
    if label == "big":
        records = [mx(name, 1, "a-192-0-2-1." + rest)] if is_mx else []
        return Answer(records=records, extra=[txt(name, 60000)])
    if label in ("cname-loop", "cname-pool"):
        other = ("cname-pool." if label == "cname-loop" else "cname-loop.") + rest
        return Answer(records=[record(name, "CNAME", wire(other))])
    if label.startswith("cname-chain-"):
        left = number(words[2])
        if left == 0:
            return Answer(records=[address(name, "192.0.2.1")] if is_a else [])
        return Answer(records=[record(name, "CNAME", wire(f"cname-chain-{left - 1}.{rest}"))])
    if words[0] == "mx":
        return Answer(records=exchangers(name, words[1:], rest) if is_mx else [])
    return Answer(NXDOMAIN)


def exchangers(name, words, rest):
    kind = "-".join(words)
    if kind.isdigit():
        return [mx(name, i, f"a-192-0-{2 + i // 250}-{1 + i % 250}.{rest}") for i in range(int(kind))]
    if kind == "short":
        return [record(name, "MX", data) for data in (b"", b"\0", b"\0\1")] + [mx(name, 9, "a-192-0-2-9." + rest)]
    if kind == "weird":
        labels = (b"a b", b"a\nb", b"a\0b", b"a.b", b"a\xffb", b"a<b>")
        return [record(name, "MX", struct.pack(">H", i) + bytes([len(x)]) + x + wire(rest)) for i, x in enumerate(labels)]
    single = {
        "self": [mx(name, 1, "a-127-0-0-1." + rest)],
        "literal": [mx(name, 1, "127.0.0.1")],
        "cname": [mx(name, 1, "cname-chain-1." + rest)],
        "null": [mx(name, 0, ".")],
        "null-mixed": [mx(name, 0, "."), mx(name, 5, "a-192-0-2-5." + rest)],
        "localhost": [mx(name, 1, "localhost")],
        "long": [mx(name, 1, ".".join(["x" * 63] * 3 + ["y" * 61]))],
    }
    return single.get(kind, [])


def parse(query):
    """(id, name, type, bytes of the question)"""
    ident, position, labels = struct.unpack(">H", query[:2])[0], 12, []
    while query[position]:
        length = query[position]
        labels.append(query[position + 1:position + 1 + length])
        position += 1 + length
    qtype = struct.unpack(">H", query[position + 1:position + 3])[0]
    return ident, b".".join(labels).decode("latin-1").lower(), qtype, query[12:position + 5]


def reply_to(query, zone, udp):
    """The reply's bytes and how to send them; None for silence."""
    ident, name, qtype, question = parse(query)
    answer = from_zone(zone, name, qtype) or hostile(name, qtype)
    if answer.spoil == "silent":
        return None, None
    if answer.spoil == "wrong-id":
        ident ^= 0x5555
    if answer.spoil == "wrong-name":
        question = wire("other." + name) + question[-4:]
    if answer.spoil == "wrong-type":
        question = question[:-4] + struct.pack(">HH", TYPES["TXT"], 1)
    records, extra = answer.records, answer.extra
    if answer.spoil == "pointer-loop":
        records = [b"\xc0" + bytes([12 + len(question)]) + struct.pack(">HHIH", qtype, 1, 60, 4) + b"\x7f\0\0\1"]
    kept, size = [], 12 + len(question)
    for item in records:
        if size + len(item) <= MAX_TCP:
            kept.append(item)
            size += len(item)
    extra = [item for item in extra if size + len(item) <= MAX_TCP]
    body = question + b"".join(kept) + b"".join(extra)
    truncate = udp and (12 + len(body) > 1200 or answer.spoil == "drip")
    flags = 0x8580 | answer.code | (0x0200 if truncate else 0)
    if truncate:
        return struct.pack(">HHHHHH", ident, flags, 1, 0, 0, 0) + question, None
    packet = struct.pack(">HHHHHH", ident, flags, 1, len(kept), 0, len(extra)) + body
    if answer.spoil == "cut":
        packet = packet[:-3]
    return packet, answer.spoil


class UDP(socketserver.BaseRequestHandler):
    def handle(self):
        query, connection = self.request
        try:
            packet, _ = reply_to(query, self.server.zone, udp=True)
        except (IndexError, struct.error):
            return
        if packet is not None:
            connection.sendto(packet, self.client_address)


class TCP(socketserver.StreamRequestHandler):
    def handle(self):
        try:
            while len(head := self.rfile.read(2)) == 2:
                packet, spoil = reply_to(self.rfile.read(struct.unpack(">H", head)[0]), self.server.zone, udp=False)
                if packet is None:
                    continue
                data = struct.pack(">H", len(packet)) + packet
                for piece in [data] if spoil != "drip" else [data[i:i + 1] for i in range(len(data))]:
                    self.wfile.write(piece)
                    self.wfile.flush()
                    if spoil == "drip":
                        time.sleep(1)
        except (OSError, IndexError, struct.error):
            pass


class UDPServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 4096


class TCPServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def bind(address_, port):
    """Both servers on one port; with port 0, on one that is free for both."""
    for _ in range(50):
        tcp = TCPServer((address_, port), TCP)
        try:
            return tcp, UDPServer((address_, tcp.server_address[1]), UDP)
        except OSError:
            tcp.server_close()
            if port:
                raise
    raise SystemExit("no port is free for UDP and TCP")


def main():
    parser = argparse.ArgumentParser(description="DNS server for tests")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--zone")
    options = parser.parse_args()
    tcp, udp = bind(options.address, options.port)
    tcp.zone = udp.zone = Zone(options.zone)
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    print("listening on", options.address, tcp.server_address[1], flush=True)
    udp.serve_forever()


if __name__ == "__main__":
    main()
