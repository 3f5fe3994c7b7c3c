"""Debian's tcpserver around a program, on a port of 127.0.0.1 that it chooses itself."""

import contextlib
import os
import socket
import subprocess

from martlet import LIMIT, as_account


class TcpServer:
    """A context manager; `log()` is what the programs wrote to their standard error."""

    def __init__(self, home, arguments, environment=None, address="127.0.0.1", port=0, as_root=False):
        self.errors = home.home / f"tcpserver.{id(self):x}"
        self.host = address
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                ["tcpserver", "-1", "-RHl0", address, str(port), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                cwd=home.home, env={"PATH": os.environ["PATH"], "QMAILHOME": str(home.home), **(environment or {})}, **({} if as_root else as_account()))
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        self.process.wait(LIMIT)
        self.process.stdout.close()

    def log(self):
        return self.errors.read_text(errors="replace")

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=LIMIT)

    def exchange(self, said):
        """Sends all of it and the end; what comes back until the server ends too."""
        with self.connect() as connection:
            connection.sendall(said)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))
