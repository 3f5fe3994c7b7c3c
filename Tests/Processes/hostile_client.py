"""Clients that mean harm, for tests and by hand: `hostile_client.py HOST PORT [BEHAVIOUR [COUNT [SECONDS]]]`; without a behaviour all of them.

Each behaviour is a coroutine on one connection: it yields the seconds after which it goes on, and ends when the server has closed.
"""

import base64
import contextlib
import heapq
import itertools
import random
import socket
import sys
import time

CONNECT_LIMIT = 30


class Gone(Exception):
    """The server has closed."""


class Connection:
    """Never waits: what cannot be sent now is dropped, as these clients do not care."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=CONNECT_LIMIT)
        self.socket.setblocking(False)
        self.heard = b""

    def say(self, data):
        with contextlib.suppress(BlockingIOError):
            try:
                self.socket.send(data)
            except (BrokenPipeError, ConnectionResetError):
                raise Gone from None

    def listen(self):
        """Takes what has come."""
        with contextlib.suppress(BlockingIOError):
            try:
                while data := self.socket.recv(1 << 16):
                    self.heard = (self.heard + data)[-(1 << 16):]
            except ConnectionResetError:
                raise Gone from None
            raise Gone


def drip(connection, choice):
    """One byte now and then, of a command, of AUTH, of a message."""
    text = choice.choice([b"EHLO c\r\n", b"AUTH PLAIN " + b"A" * 12000, b"AUTH LOGIN\r\n" + b"A" * 12000, b"MAIL FROM:<>\r\n", b"\0\1\2"])
    for byte in itertools.cycle(text):
        connection.say(bytes([byte]))
        connection.listen()
        yield choice.uniform(0.05, 0.5)


def stall(connection, choice):
    """Begins something and says no more."""
    connection.say(choice.choice([b"", b"EHLO c\r\n", b"AUTH LOGIN\r\n", b"AUTH PLAIN", b"STARTTLS\r\n", b"BDAT 1000000\r\n", b"EHLO c\r\nMAIL FROM:<>\r\nDATA\r\n"]))
    while True:
        yield 0.5
        connection.listen()


def talk_early(connection, choice):
    """Does not wait where one has to: before the greeting, behind AUTH and STARTTLS."""
    connection.say(choice.choice([
        b"EHLO c\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\nRCPT TO:<x@y>\r\nDATA\r\n", b"AUTH LOGIN\r\nYQ==\r\nYg==\r\n", b"STARTTLS\r\nEHLO c\r\n",
        b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]))
    while True:
        yield 0.1
        connection.listen()


def never_read(connection, choice):
    """Asks and asks and takes no answer."""
    said = choice.choice([b"EHLO c\r\n", b"NOOP\r\n", b"AUTH PLAIN !\r\n", b"HELP\r\n", b"AUTH PLAIN AGEAYg==\r\n"]) * 500
    while True:
        connection.say(said)
        yield 0.02


def garbage(connection, choice):
    """Bytes of any kind where base64, a command or a number is due."""
    while True:
        connection.say(choice.choice([b"AUTH PLAIN ", b"AUTH LOGIN\r\n", b"AUTH ", b"BDAT ", b"MAIL FROM:", b""]))
        some = choice.randbytes(choice.choice([1, 16, 300, 5000]))
        connection.say(choice.choice([some, base64.b64encode(some)]) + b"\r\n")
        yield choice.uniform(0, 0.1)
        connection.listen()


BEHAVIOURS = {function.__name__: function for function in (drip, stall, talk_early, never_read, garbage)}


def attack(address, behaviours, count, seconds, seed=0, stopped=lambda: False):
    """`count` connections at a time, opened again whenever the server closes one, taking turns in behaving badly; how many there were."""
    choice = random.Random(seed)
    end = time.monotonic() + seconds
    opened, turns, order = 0, [], itertools.count()
    kinds = itertools.cycle(behaviours)

    def begin():
        nonlocal opened
        opened += 1
        connection = Connection(address)
        heapq.heappush(turns, (time.monotonic(), next(order), connection, next(kinds)(connection, choice)))

    for _ in range(count):
        begin()
    try:
        while time.monotonic() < end and not stopped():
            due, _, connection, behaviour = heapq.heappop(turns)
            time.sleep(min(0.2, max(0, due - time.monotonic())))
            try:
                heapq.heappush(turns, (max(due, time.monotonic()) + next(behaviour), next(order), connection, behaviour))
            except Gone:
                connection.socket.close()
                begin()
    finally:
        for _, _, connection, _ in turns:
            connection.socket.close()
    return opened


def main():
    host, port, *rest = sys.argv[1:]
    behaviours = [BEHAVIOURS[rest[0]]] if rest else list(BEHAVIOURS.values())
    count = int(rest[1]) if len(rest) > 1 else 50
    seconds = float(rest[2]) if len(rest) > 2 else 60
    print(f"{attack((host, int(port)), behaviours, count, seconds)} connections")


if __name__ == "__main__":
    main()
