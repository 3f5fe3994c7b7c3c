"""Bounces as the queue stores them: large ones, and that there is one a message."""

import contextlib
import re
import signal
import socketserver
import threading

from martlet import HOST, wait_until

MESSAGES = 400
TEXT_LINE = b"a" * 70 + b"\n"


def test_a_bounce_larger_than_a_segment_survives_a_kill(home):
    home.control("queuesegmentbytes", "1048576")
    home.control("bouncemaxbytes", "0")
    home.control("concurrencyremote", "0")
    home.start()
    message = f"To: nobody@{HOST}\nSubject: large\n\n".encode() + TEXT_LINE * 21000
    home.command("sendmail", "-t", "-f", "sender@elsewhere.example", stdin=message)
    home.wait_for_log(r"^bounce msg \d+ qp \d+")
    home.kill("queue", signal.SIGKILL)
    home.wait_for_log(r"queue pid \d+ was killed")
    listing = home.command("qmail-qread").stdout
    assert b"sender@elsewhere.example" in listing
    assert not re.search(r"damaged|cannot be", home.log())


def test_a_recipient_whose_address_becomes_too_long_bounces(home):
    """control/virtualdomains makes it longer than an address may be; the other recipient has the message."""
    home.control("virtualdomains", "v.example:bob")
    home.user("alice")
    home.user("bob")
    home.start()
    name = "x" * (1002 - len("@v.example"))
    assert home.inject(f"alice@{HOST}", [f"{name}@v.example", f"bob@{HOST}"], "Subject: x\n\nhi\n") == 0
    (bounce,) = home.wait_for_messages("alice", 1)
    assert b"Sorry, this address becomes too long to be delivered to. (#5.1.3)\n" in bounce and b"Status: 5.1.3\n" in bounce
    assert len(home.wait_for_messages("bob", 1)) == 1
    home.wait_for_log(r"^msg \d+: 1 recipients fail at once: their addresses become too long$")


def bounced(home):
    return re.findall(r"^bounce msg (\d+)", home.log(), re.MULTILINE)


class _Refusing(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 here\r\n")
        with contextlib.suppress(ConnectionError):
            for line in self.rfile:
                self.wfile.write(b"550 no\r\n" if line[:4] == b"RCPT" else b"250 ok\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def test_one_bounce_when_both_channels_end_together(home):
    """With one delivery at a time a pass learns late that it has ended: then both of a message can end in one turn of the queue's loop."""
    with _Server(("127.0.0.1", 0), _Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        home.control("smtproutes", f"bad.example:[127.0.0.1]:{server.server_address[1]}\nelsewhere.example:[127.0.0.1]:1")
        home.control("smtprules", '127.:allow,RELAYCLIENT=""')
        home.control("concurrencylocal", "1")
        home.control("concurrencyremote", "1")
        home.user("alice")
        home.start()
        with home.smtp() as client:
            for _ in range(MESSAGES):
                client.sendmail("sender@elsewhere.example", ["nobody@bad.example", f"alice-gone@{HOST}"], b"Subject: x\r\n\r\nhi\r\n")
        wait_until(lambda: len(bounced(home)) >= MESSAGES * 3 // 4, lambda: f"{len(bounced(home))} bounces:\n{home.log()[-3000:]}", 25)
        server.shutdown()
    numbers = bounced(home)
    assert len(numbers) == len(set(numbers))
