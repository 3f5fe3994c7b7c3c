"""The roles remote and dns as real processes, with a queue, name servers and mail servers that do as they are told."""

import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

import pytest
from fake_queue import FakeQueue, counted
from fault_smtp import FaultServer

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 30
DIED = "ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n"
DUPLICATE = "ZConnected to 127.0.0.1 but connection died. Possible duplicate! (#4.4.2)\n"
OURSELVES = (
    "DSorry. Although I'm listed as a best-preference MX or A for that host,\n"
    "it isn't in my control/locals file, so I don't treat it as local. (#5.4.6)\n"
)
NO_HOST_NOW = "ZSorry, I couldn't find any host by that name. (#4.1.2)\n"


class Sender:
    """A home with the roles remote and dns, and the queue that they serve."""

    def __init__(self, program):
        self.program, self.processes, self.servers = program, {}, []
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="martlet-remote-"))
        for name in ("control", "run/dns", "run/deliver-remote"):
            (self.home / name).mkdir(parents=True)
        self.control("me", "us.example")
        self.zone = self.home / "zone"
        self.zone.write_text("")
        self.names = subprocess.Popen([sys.executable, HERE / "hostile_dns.py", "--zone", self.zone], stdout=subprocess.PIPE, text=True)
        self.control("resolvers", "127.0.0.1@" + self.names.stdout.readline().split()[-1])
        self.queue = FakeQueue(self.home / "run/deliver-remote/socket")
        self.start("dns")
        self.start("remote")
        self.queue.connect()

    def control(self, name, text):
        (self.home / "control" / (name + ".new")).write_text(text + "\n")
        (self.home / "control" / (name + ".new")).rename(self.home / "control" / name)

    def start(self, role):
        # Standard input is the supervisor's pipe: its end ends the role.
        self.processes[role] = subprocess.Popen([self.program, "--role", role, "--worker", "0"], stdin=subprocess.PIPE, cwd=self.home)

    def server(self, **faults):
        """A mail server, and a domain that is routed to it."""
        server = FaultServer(**faults)
        self.servers.append(server)
        routes = self.home / "control/smtproutes"
        old = routes.read_text() if routes.exists() else ""
        self.control("smtproutes", f"{old}h{server.port}.example:127.0.0.1:{server.port}")
        server.domain = f"h{server.port}.example"
        return server

    def deliver_to(self, server, *arguments, recipients=None, **options):
        return self.queue.deliver(server.domain, recipients or ["r@" + server.domain], *arguments, **options)

    def stop(self, role):
        self.processes[role].terminate()
        return self.processes[role].wait(LIMIT)

    def clean(self):
        for process in [*self.processes.values(), self.names]:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
        for server in self.servers:
            server.close()
        shutil.rmtree(self.home, ignore_errors=True)


@pytest.fixture(scope="module")
def sender(programs):
    instance = Sender(programs / "martletd")
    yield instance
    instance.clean()


@pytest.fixture
def own_sender(programs):
    """For tests that stop roles."""
    instance = Sender(programs / "martletd")
    yield instance
    instance.clean()


EXTENSIONS = [[], ["PIPELINING"], ["PIPELINING", "CHUNKING", "8BITMIME", "SIZE 0", "SMTPUTF8"]]


@pytest.mark.parametrize("extensions", EXTENSIONS, ids=["plain", "pipelining", "all"])
@pytest.mark.parametrize("step, text", [
    ("greeting", "Z?Connected to 127.0.0.1 but greeting failed.\n"),
    ("ehlo", "Z?Connected to 127.0.0.1 but my name was rejected.\n"),
    ("mail", "??Connected to 127.0.0.1 but sender was rejected.\n"),
    ("rcpt", "??127.0.0.1 does not like recipient.\n"),
    ("data", "??127.0.0.1 failed on DATA command.\n"),
    ("end", "??127.0.0.1 failed after I sent the message.\n"),
])
def test_refusals(sender, extensions, step, text):
    if step == "data" and "CHUNKING" in extensions:
        pytest.skip("BDAT needs no DATA")
    for reply in ("450 later", "550 never", "421 bye"):
        if (step, reply) == ("ehlo", "550 never"):
            continue
        server = sender.server(extensions=extensions, **{step: reply})
        letter = "Z" if text[0] == "Z" or reply[0] == "4" else "D"
        [report] = sender.deliver_to(server)
        assert report.startswith(f"{letter}{text[2:]}Remote host said: {reply}\n")


@pytest.mark.parametrize("extensions", EXTENSIONS, ids=["plain", "pipelining", "all"])
@pytest.mark.parametrize("fault", ["die", "garbage", "early", "endless"])
@pytest.mark.parametrize("step", ["greeting", "ehlo", "mail", "rcpt", "data", "end"])
def test_broken_dialogues(sender, extensions, fault, step):
    if step == "data" and "CHUNKING" in extensions:
        pytest.skip("BDAT needs no DATA")
    if (step, fault) == ("mail", "early") and "CHUNKING" in extensions:
        pytest.skip("without 354 nothing tells a reply too many from the replies that are due")
    [report] = sender.deliver_to(sender.server(extensions=extensions, **{step: fault}))
    if (step, fault) == ("end", "early"):
        assert report == "K127.0.0.1 accepted message.\nRemote host said: 250 taken\n"
    else:
        assert report == (DUPLICATE if step == "end" else DIED)


@pytest.mark.parametrize("faults, report", [
    ({"greeting": "hang"}, DIED), ({"mail": "hang"}, DIED), ({"end": "hang"}, DUPLICATE), ({"content": "hang"}, DIED),
])
def test_a_server_that_stands_still(sender, faults, report):
    sender.control("timeoutremote", "1")
    try:
        began = time.monotonic()
        assert sender.deliver_to(sender.server(**faults), b"x" * 70 * 1000 * 1000 if "content" in faults else b"x\n") == [report]
        assert time.monotonic() - began < 10
    finally:
        sender.control("timeoutremote", "1200")


@pytest.mark.parametrize("extensions", EXTENSIONS, ids=["plain", "pipelining", "all"])
@pytest.mark.parametrize("content, sent", [
    (b"", b""), (b"a\n", b"a\r\n"), (b"a", b"a\r\n"), (b".\n..\na.b\n", b".\r\n..\r\na.b\r\n"), (b"a\r\n\r.\r\nb\rc\r", b"a\r\n .\r\nb c \r\n"),
    (b"x\n" * 400_000, b"x\r\n" * 400_000),
], ids=["empty", "line", "no-end", "dots", "stray-cr", "large"])
def test_content_arrives(sender, extensions, content, sent):
    server = sender.server(extensions=extensions)
    assert sender.deliver_to(server, content) == ["K127.0.0.1 accepted message.\nRemote host said: 250 taken\n"]
    assert b"".join(server.messages) == sent


def test_nul_is_not_sent(sender):
    server = sender.server()
    assert sender.deliver_to(server, b"a\0b\n") == ["DSMTP cannot transfer messages with NUL bytes. (#5.6.1)\n"]
    assert server.connections == 0


def test_each_recipient_has_its_own_report(sender):
    server = sender.server(extensions=["PIPELINING"], rcpt=lambda line: "550 no" if "bad" in line else "451 wait" if "slow" in line else None)
    recipients = [f"{name}@{server.domain}" for name in ("good", "bad", "slow", "a b")]
    accepted = "K127.0.0.1 accepted message.\nRemote host said: 250 taken\n"
    assert sender.deliver_to(server, recipients=recipients) == [
        accepted, "D127.0.0.1 does not like recipient.\nRemote host said: 550 no\n",
        "Z127.0.0.1 does not like recipient.\nRemote host said: 451 wait\n", accepted,
    ]
    assert f'RCPT TO:<"a b"@{server.domain}>' in server.transcript


def test_long_replies_for_many_recipients_fit_one_answer(sender):
    server = sender.server(extensions=["PIPELINING"], rcpt="\r\n".join(["550-" + "x" * 900] * 5 + ["550 end"]))
    reports = sender.deliver_to(server, recipients=[f"r{i}@{server.domain}" for i in range(100)])
    assert len(reports) == 100 and all(report.startswith("D127.0.0.1 does not like recipient.\n") for report in reports)


def test_many_messages_use_one_connection(sender):
    server = sender.server(extensions=["PIPELINING"])
    for _ in range(20):
        assert sender.deliver_to(server)[0][0] == "K"
    assert server.connections == 1 and len(server.messages) == 20


def test_ten_thousand_recipients_use_few_connections(sender):
    server = sender.server(extensions=["PIPELINING"])
    for batch in range(100):
        if batch >= 10:
            assert {report[0] for report in sender.queue.answer()[1]} == {"K"}
        sender.queue.hand_out(server.domain, [f"r{batch}.{i}@{server.domain}" for i in range(100)])
    for _ in range(10):
        assert {report[0] for report in sender.queue.answer()[1]} == {"K"}
    assert server.connections <= 10 and sum(line.startswith("RCPT") for line in server.transcript) == 10_000


@pytest.mark.parametrize("idle", [0, 0.005, 0.02])
def test_a_kept_connection_that_ends_costs_nothing(sender, idle):
    server = sender.server(extensions=["PIPELINING"], idle=idle)
    for _ in range(10):
        assert sender.deliver_to(server)[0][0] == "K"


@pytest.mark.parametrize("host, report", [
    ("mx-null.test", "DSorry, that host says that it takes no mail. (#5.1.10)\n"),
    ("mx-self.test", OURSELVES), ("mx-literal.test", OURSELVES), ("mx-localhost.test", OURSELVES), ("[127.0.0.1]", OURSELVES), ("[::1]", OURSELVES),
    ("0.0.0.0", OURSELVES), ("[::ffff:127.0.0.1]", OURSELVES), ("[169.254.0.1]", "DSorry, I couldn't find a mail exchanger or IP address. (#5.4.4)\n"),
    ("no-such.test", "DSorry, I couldn't find any host named no-such.test. (#5.1.2)\n"),
    ("nodata.test", "DSorry, I couldn't find any host named nodata.test. (#5.1.2)\n"),
    ("servfail.test", NO_HOST_NOW), ("refused.test", NO_HOST_NOW), ("cname-loop.test", NO_HOST_NOW), ("cname-chain-50.test", NO_HOST_NOW),
    ("mx-weird.test", NO_HOST_NOW), ("mx-short.test", NO_HOST_NOW), ("pointer-loop.test", NO_HOST_NOW), ("cut.test", NO_HOST_NOW),
    ("wrong-name.test", NO_HOST_NOW), ("wrong-type.test", NO_HOST_NOW), ("wrong-id.test", NO_HOST_NOW),
    ("", "DSorry, I couldn't find any host named . (#5.1.2)\n"),
])
def test_hosts(sender, host, report):
    assert sender.queue.deliver(host, ["r@" + host]) == [report]


def test_an_address_without_host(sender):
    assert sender.queue.deliver("", ["r"]) == ["DSorry, address must include host name. (#5.1.3)\n"]


class NameClient:
    """Asks role dns as smtpd and remote do."""

    EXCHANGERS, ADDRESSES = 1, 2
    KINDS = {65: "exchangers", 66: "addresses", 67: "no such name", 68: "no data", 69: "temporary failure"}

    def __init__(self, home):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        self.socket.connect(str(home / "run/dns/socket"))
        self.file = self.socket.makefile("rb")

    def send(self, token, kind, name):
        payload = bytes([kind]) + struct.pack("<I", token) + counted(name)
        self.socket.sendall(struct.pack("<I", len(payload)) + payload)

    def receive(self):
        """(token, what, number of records or exchangers' names)"""
        payload = self.file.read(struct.unpack("<I", self.file.read(4))[0])
        what, token, rest, found = self.KINDS[payload[0]], struct.unpack("<I", payload[1:5])[0], payload[5:], []
        while rest:
            start = 2 if what == "exchangers" else 0
            length = struct.unpack("<H", rest[start:start + 2])[0]
            found.append(rest[start + 2:start + 2 + length])
            rest = rest[start + 2 + length:]
        return token, what, found

    def ask(self, kind, name):
        self.send(1, kind, name)
        return self.receive()[1:]


@pytest.mark.parametrize("kind, name, what, count", [
    (1, "mx-7.x.test", "exchangers", 7), (1, "mx-500.x.test", "exchangers", 100), (1, "mx-null.x.test", "exchangers", 1), (1, "big.x.test", "exchangers", 1),
    (1, "mx-long.x.test", "exchangers", 1), (1, "mx-cname.x.test", "exchangers", 1), (1, "nodata.x.test", "no data", 0), (1, "nxdomain.x.test", "no such name", 0),
    (2, "a-192-0-2-1.x.test", "addresses", 1), (2, "many-a-500.x.test", "addresses", 100), (2, "cname-chain-8.x.test", "addresses", 1),
    (2, "cname-chain-9.x.test", "temporary failure", 0), (2, "bad name.x.test", "no such name", 0), (2, "..", "no such name", 0), (2, "", "no such name", 0),
    (2, "x" * 64 + ".test", "no such name", 0), (2, "nodata.x.test", "no data", 0), (2, "nxdomain.x.test", "no such name", 0),
])
def test_names(sender, kind, name, what, count):
    answered, found = NameClient(sender.home).ask(kind, name)
    assert (answered, len(found)) == (what, count)


def test_questions_do_not_wait_for_each_other(sender):
    client = NameClient(sender.home)
    client.send(0, NameClient.ADDRESSES, "drip.y.test")
    for token in range(1, 200):
        client.send(token, NameClient.ADDRESSES, f"a-192-0-2-{token}.y.test")
    assert {client.receive()[0] for _ in range(1, 200)} == set(range(1, 200))


@pytest.mark.parametrize("frame", [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\0\0\0\x09", b"\7\0\0\0\1\0\0\0\0\xff\0", b"\x01\x08\0\0\2"])
def test_a_bad_frame_costs_its_sender_the_connection_only(sender, frame):
    good, bad = NameClient(sender.home), NameClient(sender.home)
    bad.socket.sendall(frame)
    assert bad.file.read(1) == b""
    assert good.ask(NameClient.ADDRESSES, "a-192-0-2-1.z.test")[0] == "addresses"


def test_the_zone_leads_to_a_relay(sender):
    server = sender.server()
    sender.zone.write_text("relay.test A 127.0.0.1\n")
    sender.control("smtproutes", f".routed.test:relay.test:{server.port}")
    assert sender.queue.deliver("a.routed.test", ["r@a.routed.test"])[0][0] == "K"


def test_a_bad_control_file_leaves_the_old_one(own_sender):
    server = own_sender.server()
    assert own_sender.deliver_to(server)[0][0] == "K"
    own_sender.control("smtproutes", "a:b:c")
    assert own_sender.deliver_to(server)[0][0] == "K"
    (own_sender.home / "control/me").unlink()
    own_sender.control("smtproutes", f"{server.domain}:127.0.0.1:{server.port}")
    assert own_sender.deliver_to(server) == ["ZUnable to read control files. (#4.3.0)\n"]


def test_dns_may_die(own_sender):
    own_sender.processes["dns"].kill()
    own_sender.processes["dns"].wait()
    slot = own_sender.queue.hand_out("mx-null.test", ["r@mx-null.test"])
    own_sender.start("dns")
    assert own_sender.queue.answer()[0] == slot


def test_the_queue_may_die(own_sender):
    hanging, working = own_sender.server(end="hang"), own_sender.server()
    own_sender.queue.hand_out(hanging.domain, ["r@" + hanging.domain])
    own_sender.queue.lose()
    own_sender.queue.connect()
    assert own_sender.deliver_to(working)[0][0] == "K"


def test_an_orderly_stop(own_sender):
    """What is under way gets time to end; what hangs does not hold the role for ever."""
    slow = own_sender.server(end=lambda line: time.sleep(0.5))
    slot = own_sender.queue.hand_out(slow.domain, ["r@" + slow.domain])
    time.sleep(0.2)
    own_sender.processes["remote"].terminate()
    assert own_sender.queue.answer()[0] == slot
    assert own_sender.processes["remote"].wait(LIMIT) == 0
    assert own_sender.stop("dns") == 0
