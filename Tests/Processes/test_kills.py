"""kill -9 of every process at random moments under load. An outside ledger of every 250 says what must have arrived: nothing is lost or mixed up,
and what came twice is explained by a crash (hardening.md 2.2: I1, I2, I4, I6).

MARTLET_SEED repeats a run's decisions, MARTLET_KILL_SECONDS makes it longer.
"""

import collections
import hashlib
import os
import random
import re
import signal
import smtplib
import threading
import time

import pytest

import martlet as harness
from fault_smtp import FaultServer
from martlet import HOST, is_running, processes, wait_until

FAR = "far.example"
SECONDS = float(os.environ.get("MARTLET_KILL_SECONDS", 8))
SEED = int(os.environ.get("MARTLET_SEED", time.time_ns() % 1_000_000))
DRAIN_LIMIT = 40.0
CLIENTS = 4
USERS = ["alice", "bob"]
# A worker's kill is that of whatever delivers for a user just then.
VICTIMS = ["queue", "route", "dns", "smtpd", "lspawn", "remote", "worker", "martletd"]


class Ledger:
    """What each client was told: per message number, its body and who it was for."""

    def __init__(self):
        self.lock = threading.Lock()
        self.accepted, self.unknown, self.refused = {}, {}, {}
        self.bodies = {}

    def note(self, book, number, body, recipients):
        with self.lock:
            self.bodies[number] = hashlib.sha256(body).hexdigest()
            for recipient in recipients:
                book[number, recipient] = True


class Client(threading.Thread):
    """Sends one message after another, some small and some large, and writes down every answer. Its connection may die at any point."""

    def __init__(self, server, ledger, number, seed):
        super().__init__(daemon=True)
        self.server, self.ledger, self.random = server, ledger, random.Random(seed)
        self.number, self.count, self.stopping, self.trouble = number, 0, threading.Event(), None

    def run(self):
        try:
            client = None
            while not self.stopping.is_set():
                client = self.step(client)
        except BaseException as error:
            self.trouble = error
            raise

    def step(self, client):
        if client is None:
            try:
                client = smtplib.SMTP(*self.server.address, timeout=15, local_hostname="client.example")
            except (OSError, smtplib.SMTPException):
                time.sleep(0.05)
                return None
        self.count += 1
        name = f"{self.number}-{self.count}"
        body = self.content(name)
        recipients = self.random.choice([[f"alice@{HOST}"], [f"bob@{HOST}"], [f"x@{FAR}"], [f"alice@{HOST}", f"y@{FAR}", f"bob@{HOST}"]])
        # Refused until the last dot is out; from then on until the answer nobody knows.
        book = self.ledger.refused
        try:
            client.ehlo_or_helo_if_needed()
            if client.mail(f"sender@{FAR}")[0] != 250:
                raise smtplib.SMTPServerDisconnected
            taken = [recipient for recipient in recipients if client.rcpt(recipient)[0] == 250]
            recipients = taken or recipients
            book = self.ledger.unknown
            code = client.data(body.replace(b"\n", b"\r\n"))[0]
            book = self.ledger.accepted if code == 250 else self.ledger.unknown
        except (OSError, smtplib.SMTPException):
            client.close()
            client = None
        self.ledger.note(book, name, body, recipients)
        return client

    def content(self, name):
        """Of a size and of bytes that only this message has; now and then too large for the journal."""
        size = self.random.choice([10, 500, 4000, 4000, 30_000] + [1_500_000] * (self.random.random() < 0.1))
        line = hashlib.sha256(name.encode()).hexdigest() * 2
        return f"Subject: {name}\n\n".encode() + f"{line}\n".encode() * (size // (len(line) + 1) + 1) + f"end of {name}\n".encode()


def victims(server, name):
    if name == "martletd":
        return [server.supervisor.pid]
    if name == "worker":
        lspawn = server.pids().get("lspawn", [])
        return [pid for pid, (parent, _) in processes().items() if parent in lspawn]
    return server.pids().get(name, [])


def strike(server, name):
    """SIGKILL to one process of that name; whether there was one."""
    found = victims(server, name)
    if not found:
        return False
    server._seen |= harness.below(server.supervisor.pid)
    os.kill(found[0], signal.SIGKILL)
    if name == "martletd":
        server.supervisor.wait(10)
        server.launch()
    return True


def arrivals(server, sink):
    """Counter of (message, recipient): hash; from the Maildirs and from the next host."""
    found = collections.defaultdict(list)

    def take(recipient, raw):
        body = raw[raw.index(b"Subject: "):]
        name = body.split(b"\n", 1)[0][len(b"Subject: "):].decode()
        found[name, recipient].append(hashlib.sha256(body).hexdigest())

    for user in USERS:
        for raw in server.messages(user):
            take(f"{user}@{HOST}", raw)
    for recipients, raw in list(sink.taken):
        for recipient in recipients:
            take(recipient, raw.replace(b"\r\n", b"\n"))
    return found


class Sink(FaultServer):
    """The next host: takes all, and keeps who each message was for."""

    def __init__(self):
        self.taken = []
        super().__init__(extensions=["PIPELINING", "8BITMIME", "SIZE"])

    async def _dialogue(self, reader, writer):
        recipients = []
        await self._answer(writer, "greeting")
        while line := (await reader.readline()).decode("latin-1").rstrip("\r\n"):
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                writer.write(b"250-hello\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE\r\n")
            elif verb == "MAIL":
                recipients = []
                writer.write(b"250 ok\r\n")
            elif verb == "RCPT":
                recipients.append(re.search(r"<(.*)>", line)[1])
                writer.write(b"250 ok\r\n")
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                lines = []
                while (line := await reader.readuntil(b"\n")) != b".\r\n":
                    lines.append(line[1:] if line.startswith(b".") else line)
                # Kept before it is answered: a sink that loses what it took would look like Martlet's fault.
                self.taken.append((recipients, b"".join(lines)))
                writer.write(b"250 taken\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")
            await writer.drain()


@pytest.fixture
def sink():
    server = Sink()
    yield server
    server.close()


def is_empty(server):
    return b"messages in queue: 0\n" in server.command("qmail-qstat").stdout


def drain(server):
    """Until the queue is empty; what a crash deferred is retried at once."""
    def done():
        server.send_signal(signal.SIGALRM)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            if is_empty(server):
                return True
            time.sleep(0.05)
        return False

    wait_until(done, lambda: f"it does not drain:\n{server.command('qmail-qread').stdout.decode()[-2000:]}\n{server.log()[-3000:]}", DRAIN_LIMIT)


def judge(ledger, server, sink, kills):
    found = arrivals(server, sink)
    lost = [key for key in ledger.accepted if key not in found]
    assert not lost, f"accepted and not delivered: {lost[:10]} of {len(lost)}"
    strange = [key for key, hashes in found.items() if set(hashes) != {ledger.bodies.get(key[0])}]
    assert not strange, f"not what was sent: {strange[:10]}"
    known = ledger.accepted.keys() | ledger.unknown.keys()
    uninvited = [key for key in found if key not in known]
    assert not uninvited, f"delivered, but never said to be taken: {uninvited[:10]}"
    twice = {key: len(hashes) for key, hashes in found.items() if len(hashes) > 1}
    # Each kill can repeat what was in flight (20 remote and 10 local deliveries) and what the last second of outcomes had not made durable.
    if not kills & {"queue", "remote", "lspawn", "worker", "martletd"}:
        assert not twice, f"delivered twice with nothing that explains it: {twice}"
    assert not [file for user in USERS for file in (server.home / f"home/{user}/Maildir/new").iterdir() if file.stat().st_size == 0]
    assert not re.search(r"^(alert|triple bounce)", server.log(), re.M), server.log()[-2000:]
    return len(ledger.accepted), len(ledger.unknown), len(twice)


def prepare(home, sink):
    for user in USERS:
        home.user(user)
    home.control("rcpthosts", f"{HOST}\n{FAR}")
    home.control("smtproutes", f"{FAR}:127.0.0.1:{sink.port}")
    # martletd comes back on the port that clients know.
    home.start()
    home.control("smtplisten", f"127.0.0.1:{home.address[1]}")


def run(home, sink, names, seconds, seed, pause):
    print(f"MARTLET_SEED={seed} MARTLET_KILL_SECONDS={seconds}")
    chance = random.Random(seed)
    prepare(home, sink)
    ledger = Ledger()
    clients = [Client(home, ledger, number, chance.random()) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    end = time.monotonic() + seconds
    struck = collections.Counter()
    while time.monotonic() < end:
        time.sleep(chance.uniform(*pause))
        name = chance.choice(names)
        struck[name] += strike(home, name)
    for client in clients:
        client.stopping.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive() and client.trouble is None, client.trouble
    wait_until(lambda: home.pids().get("queue") and is_running(home.supervisor.pid), home.log)
    drain(home)
    accepted, unknown, twice = judge(ledger, home, sink, set(struck))
    print(f"killed {dict(struck)}; {accepted} deliveries owed, {unknown} unknown, {twice} repeated")
    assert accepted > 20, "there was no load"
    assert sum(struck.values()) > 0, "nothing was killed"


@pytest.mark.parametrize("name", VICTIMS)
def test_nothing_is_lost(home, sink, name):
    run(home, sink, [name], SECONDS / 2, SEED + VICTIMS.index(name), (0.3, 1.2) if name != "martletd" else (0.8, 1.5))


def test_nothing_is_lost_when_anything_dies(home, sink):
    run(home, sink, VICTIMS, SECONDS, SEED, (0.05, 0.8))


def test_the_ledger_notices(home, sink):
    """What it must find, it finds: a message that is gone, one that is changed, one that nobody sent, one that came twice."""
    prepare(home, sink)
    ledger = Ledger()
    body = b"Subject: 0-1\n\nhello\n"
    home.send("s@x.example", "alice", body.decode())
    home.wait_for_messages("alice", 1)
    ledger.note(ledger.accepted, "0-1", body, [f"alice@{HOST}"])
    assert judge(ledger, home, sink, set()) == (1, 0, 0)
    [file] = (home.home / "home/alice/Maildir/new").iterdir()
    content = file.read_bytes()
    for name, change in {
        "accepted and not delivered": file.unlink,
        "not what was sent": lambda: file.write_bytes(content + b"more\n"),
        "delivered, but never said to be taken": lambda: file.with_name("other").write_bytes(content.replace(b"0-1", b"0-2")),
        "delivered twice": lambda: file.with_name("other").write_bytes(content),
    }.items():
        change()
        if name.startswith("delivered, but"):
            ledger.bodies["0-2"] = hashlib.sha256(body.replace(b"0-1", b"0-2")).hexdigest()
        with pytest.raises(AssertionError, match=name):
            judge(ledger, home, sink, set())
        file.write_bytes(content)
        file.with_name("other").unlink(missing_ok=True)


def test_an_ack_that_is_lost_costs_one_repeat_at_most(home, sink):
    """The next host takes a message and dies before its 250: the message goes again, and no other does."""
    prepare(home, sink)
    taken = []

    def flaky(_):
        taken.append(1)
        return "die" if len(taken) == 1 else None

    far = FaultServer(end=flaky)
    try:
        home.control("smtproutes", f"{FAR}:127.0.0.1:{far.port}")
        # Its change is seen at the next delivery.
        home.send("s@x.example", f"x@{FAR}", "Subject: once\n\nhello\n")
        home.wait_for_log(r"^delivery 1: deferral: .*Possible_duplicate!")
        home.send_signal(signal.SIGALRM)
        home.wait_for_log(r"^delivery 2: success: ")
        wait_until(lambda: is_empty(home), home.log)
        assert len(far.messages) == 2
    finally:
        far.close()
