"""The whole system between others: Postfix as next hop and as client, smtp-sink, name servers that lie, next hops that are away."""

import collections
import email
import email.policy
import os
import pathlib
import random
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile

import pytest

import martlet as harness
from fault_smtp import FaultServer
from hostile_smtp import Authority
from martlet import HOST, free_port, listens, wait_until
from postfix import Postfix

HERE = pathlib.Path(__file__).resolve().parent
BOB = f"bob@{HOST}"
FAR = "far.example"
needs_postfix = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("postfix"), reason="Postfix starts only as root, where it is installed")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a network of its own, which only root makes")


def relaying(home, routes, users=("bob",)):
    """Takes mail for FAR, and sends it where `routes` say."""
    for user in users:
        home.user(user)
    home.control("rcpthosts", f"{HOST}\n{FAR}")
    home.control("smtproutes", routes)
    return home.start()


def is_empty(server):
    return b"messages in queue: 0\n" in server.command("qmail-qstat").stdout


@pytest.fixture
def next_hop():
    server = FaultServer(extensions=["PIPELINING", "8BITMIME", "SIZE 0", "SMTPUTF8"])
    yield server
    server.close()


@pytest.fixture(scope="module")
def far():
    """Postfix, for mail to FAR."""
    server = Postfix(FAR)
    yield server
    server.close()


def content_of(message):
    """Without the trace of those it went through."""
    return message[message.index(b"Subject: "):]


# Postfix as next hop


@needs_postfix
@pytest.mark.parametrize("body", [
    "hello\n", "", ".\n..\n...\n.end\n", "x" * 900 + "\n", "a line\n" * 200_000, "no line end", "\n\n\n", "smörgås\n",
], ids=lambda body: repr(body[:10]))
def test_content_arrives_at_postfix(home, far, body):
    relaying(home, f"{FAR}:127.0.0.1:{far.port}")
    before = len(far.messages("carol"))
    assert home.inject(BOB, f"carol@{FAR}", "Subject: x\n\n" + body) == 0
    far.wait_for_messages("carol", before + 1)
    home.wait_for_log(r"^delivery 1: success: 127\.0\.0\.1_accepted_message\./Remote_host_said:_250_2\.0\.0_Ok:_(\d+_bytes_)?queued_as_\w+/$")
    [content] = [c for m in far.messages("carol") if (c := content_of(m)).rstrip(b"\n") == f"Subject: x\n\n{body}".encode().rstrip(b"\n")][-1:]
    # A last line without end is given one on the wire.
    assert content == f"Subject: x\n\n{body}".encode() + (b"" if body.endswith("\n") or not body else b"\n")


@needs_postfix
def test_recipients_of_one_host_and_those_that_postfix_refuses(home, far):
    relaying(home, f"{FAR}:127.0.0.1:{far.port}")
    before = len(far.messages("dave"))
    home.send(BOB, [f"carol@{FAR}", f"nobody@{FAR}", f"dave@{FAR}"], "Subject: x\n\nhello\n")
    far.wait_for_messages("dave", before + 1)
    [bounce] = home.wait_for_messages("bob", 1)
    _, status, _ = email.message_from_bytes(bounce, policy=email.policy.default).iter_parts()
    _, recipient = status.get_payload()
    assert (recipient["Final-Recipient"], recipient["Status"][0]) == (f"rfc822; nobody@{FAR}", "5")
    assert re.search(rb"<nobody@far\.example>:\n127\.0\.0\.1 does not like recipient\.\nRemote host said: 550 5\.1\.1 <nobody@far\.example>", bounce)
    home.wait_for_log(r"^delivery 4: success: did_1\+0\+0/$")
    assert sorted(re.findall(r"^delivery (\d): success: ", home.log(), re.M)) == ["1", "3", "4"]


@needs_postfix
def test_a_hundred_messages_to_postfix(home, far):
    relaying(home, f"{FAR}:127.0.0.1:{far.port}")
    before = len(far.messages("dave"))
    with home.smtp() as client:
        for number in range(100):
            client.sendmail(BOB, f"dave@{FAR}", f"Subject: {number}\r\n\r\n")
    found = far.wait_for_messages("dave", before + 100)
    subjects = sorted(int(email.message_from_bytes(message)["Subject"]) for message in found if re.search(rb"^Subject: \d", message, re.M))
    assert subjects == list(range(100))


# Postfix as client


@needs_postfix
def test_postfix_as_client(home):
    """Through a Postfix that relays here: large, dotted and 8-bit content, several recipients, and one who does not exist."""
    home.user("alice")
    home.user("bob")
    home.start()
    client = Postfix("postfix.example", relay=f"127.0.0.1:{home.address[1]}")
    try:
        bodies = ["hello\n", ".\n..dots\n", "x" * 990 + "\n", "a line\n" * 300_000, "smörgås\n"]
        with smtplib.SMTP("127.0.0.1", client.port, timeout=harness.LIMIT) as smtp:
            for number, body in enumerate(bodies):
                smtp.sendmail("carol@postfix.example", [f"alice@{HOST}", BOB], f"Subject: {number}\n\n{body}".replace("\n", "\r\n").encode())
            smtp.sendmail("carol@postfix.example", [f"nobody-here@{HOST}"], b"Subject: lost\r\n\r\n")
        for user in ("alice", "bob"):
            found = sorted(content_of(message) for message in home.wait_for_messages(user, len(bodies)))
            assert found == sorted(f"Subject: {number}\n\n{body}".encode() for number, body in enumerate(bodies))
        [bounce] = client.wait_for_messages("carol", 1)
        assert b"550 5.1.1 sorry, no mailbox here by that name" in b" ".join(bounce.split())
        assert len(re.findall(r"status=sent \(250 2\.0\.0 ok \d+ qp \d+\)", client.log())) == 2 * len(bodies)
        # Postfix speaks every extension that it knows: none of its commands was refused.
        assert not re.search(r"status=deferred|warning: host", client.log()), client.log()
    finally:
        client.close()


# Postfix over TLS, both ways


@pytest.fixture(scope="module")
def authority():
    instance = Authority()
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def far_by_tls(authority):
    """Postfix that takes no mail in clear."""
    certificate, key = authority.files("mx.far.example")
    server = Postfix(FAR, settings=(
        f"smtpd_tls_security_level = encrypt\nsmtpd_tls_cert_file = {certificate}\nsmtpd_tls_key_file = {key}\nsmtpd_tls_loglevel = 1\n"
        "smtpd_tls_received_header = yes"))
    yield server
    server.close()


@needs_postfix
@pytest.mark.parametrize("options, verdict", [
    ("name=mx.far.example", "certificate verified"), ("tls=verify name=mx.far.example", "certificate verified"),
    ("", "certificate not verified: it is not of 127.0.0.1"), ("tls=encrypt name=other.example", "certificate not verified: it is not of other.example"),
])
def test_to_postfix_over_tls(home, far_by_tls, authority, options, verdict):
    home.control("cafile", str(authority.file))
    relaying(home, f"{FAR}:127.0.0.1:{far_by_tls.port} {options}")
    before = collections.Counter(far_by_tls.messages("carol"))
    bodies = ["hello\n", ".\n..dots\n", "a line\n" * 200_000, "smörgås\n"]
    for number, body in enumerate(bodies):
        assert home.inject(BOB, f"carol@{FAR}", f"Subject: {number}\n\n{body}") == 0
    found = list((collections.Counter(far_by_tls.wait_for_messages("carol", before.total() + len(bodies))) - before).elements())
    assert sorted(map(content_of, found)) == sorted(f"Subject: {number}\n\n{body}".encode() for number, body in enumerate(bodies))
    assert all(b"(using TLSv1.3 with cipher TLS_" in message for message in found)
    home.wait_for_log(rf"^remote: TLS with 127\.0\.0\.1: TLSv1\.3 TLS_\w+, {verdict}$")


@needs_postfix
def test_postfix_with_the_wrong_name_gets_nothing_where_it_matters(home, far_by_tls, authority):
    home.control("cafile", str(authority.file))
    relaying(home, f"{FAR}:127.0.0.1:{far_by_tls.port} tls=verify name=other.example")
    assert home.inject(BOB, f"carol@{FAR}", "Subject: x\n\n") == 0
    home.wait_for_log(
        r"^delivery 1: deferral: Connected_to_127\.0\.0\.1_but_TLS_failed:_the_certificate_is_not_of_other\.example\._\(#4\.7\.5\)/$")


@needs_postfix
def test_from_postfix_over_tls(home, authority):
    """It verifies our certificate, and logs so."""
    for user in ("alice", "bob"):
        home.user(user)
    folder = home.home / "tls/default"
    folder.mkdir(parents=True, mode=0o755)
    for source, name in zip(authority.files(HOST), ("cert.pem", "key.pem")):
        shutil.copy(source, folder / name)
        os.chmod(folder / name, 0o600)
    home._give(folder.parent, folder, *folder.iterdir())
    home.start()
    client = Postfix("postfix.example", relay=f"127.0.0.1:{home.address[1]}", settings=(
        f"smtp_tls_security_level = verify\nsmtp_tls_CAfile = {authority.file}\nsmtp_tls_verify_cert_match = {HOST}\nsmtp_tls_loglevel = 1"))
    try:
        with smtplib.SMTP("127.0.0.1", client.port, timeout=harness.LIMIT) as smtp:
            smtp.sendmail("carol@postfix.example", [f"alice@{HOST}", BOB], ("Subject: x\r\n\r\n" + "a line\r\n" * 200_000).encode())
        for user in ("alice", "bob"):
            [message] = home.wait_for_messages(user, 1)
            assert content_of(message) == b"Subject: x\n\n" + b"a line\n" * 200_000
        wait_until(lambda: re.search(r"Verified TLS connection established to 127\.0\.0\.1", client.log()), client.log)
    finally:
        client.close()


# smtp-sink


@pytest.mark.skipif(not shutil.which("smtp-sink"), reason="smtp-sink is not installed")
def test_smtp_sink_gets_what_was_sent(home):
    dump = pathlib.Path(tempfile.mkdtemp(prefix="martlet-sink-"))
    shutil.chown(dump, *harness.account())
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = subprocess.Popen(["smtp-sink", *user, "-d", f"{dump}/%M%S.", f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), "smtp-sink does not listen")
        relaying(home, f":127.0.0.1:{port}")
        for number in range(20):
            home.send(BOB, [f"one@{FAR}", f"two@{FAR}"], f"Subject: {number}\n\n.dot\n{'x' * number}\n")
        wait_until(lambda: is_empty(home), home.log)

        def found():
            texts = [file.read_text() for file in dump.iterdir()]
            return texts if all(re.search(r"^Subject: ", text, re.M) for text in texts) and len(texts) >= 20 else None

        texts = wait_until(found, lambda: f"{len(list(dump.iterdir()))} of 20")
        assert len(texts) == 20
        assert all(text.count("X-Rcpt-Args: <") == 2 and f"X-Mail-Args: <{BOB}>" in text and f"X-Helo-Args: {HOST}" in text for text in texts)
        bodies = sorted(text[text.index("Subject: "):].rstrip("\n") for text in texts)
        assert bodies == sorted(f"Subject: {number}\n\n.dot\n{'x' * number}".rstrip("\n") for number in range(20))
    finally:
        sink.kill()
        sink.wait()
        shutil.rmtree(dump)


# What leaves: hardening.md "SMG-out"


def test_no_stray_newline_leaves(home, next_hop):
    """Any bytes from qmail-queue: the next hop sees one message, whose only line end is CR LF."""
    relaying(home, f":127.0.0.1:{next_hop.port}")
    chance = random.Random(5321)
    contents = [b"".join(chance.choice([b"\r", b"\n", b".", b"a"]) for _ in range(chance.randint(1, 12))) for _ in range(60)]
    contents += [b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"a\r", b".", b"\r", b"\n.\r\nMAIL FROM:<smuggled@x.example>\n"]
    for content in contents:
        assert home.inject(BOB, f"x@{FAR}", content) == 0
    wait_until(lambda: is_empty(home), home.log)
    assert len(next_hop.messages) == len(contents)
    for message in next_hop.messages:
        assert message.endswith(b"\r\n") and b"\r" not in message.replace(b"\r\n", b"") and b"\n" not in message.replace(b"\r\n", b"")
    assert not [line for line in next_hop.transcript if "smuggled" in line]


def test_nul_does_not_leave(home, next_hop):
    relaying(home, f":127.0.0.1:{next_hop.port}")
    assert home.inject(BOB, f"x@{FAR}", b"a\0b\n") == 0
    [bounce] = home.wait_for_messages("bob", 1)
    assert b"(#5.6.1)" in bounce and next_hop.messages == []


# Next hops that are away


def test_a_next_hop_that_is_down_gets_its_mail_later(home):
    port = free_port()
    relaying(home, f"{FAR}:127.0.0.1:{port}")
    for number in range(5):
        home.send(BOB, f"x{number}@{FAR}", f"{number}\n")
    for number in range(1, 6):
        home.wait_for_log(rf"^delivery {number}: deferral: .*\(#4\.4\.1\)\.?/$")
    assert b"messages in queue: 5\n" in home.command("qmail-qstat").stdout
    sink = subprocess.Popen(
        ["smtp-sink", *(["-u", "nobody"] if os.geteuid() == 0 else []), f"127.0.0.1:{port}", "100"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: listens(port), "smtp-sink does not listen")

        home.send_signal(signal.SIGALRM)
        wait_until(lambda: is_empty(home), home.log)
        assert len(re.findall(r"^delivery \d+: success: ", home.log(), re.M)) == 5
    finally:
        sink.kill()
        sink.wait()


def test_refusals_for_good_and_for_now(home):
    """4xx is kept, 5xx bounces with the remote text; a 421 to everything is a deferral too."""
    server = FaultServer(rcpt=lambda line: "550 5.7.1 not you\x07" if "bad" in line else "451 4.7.1 later" if "later" in line else None)
    try:
        relaying(home, f":127.0.0.1:{server.port}")
        home.send(BOB, [f"good@{FAR}", f"bad@{FAR}", f"later@{FAR}"], "hello\n")
        home.wait_for_log(r"^delivery 1: success: 127\.0\.0\.1_accepted_message\./Remote_host_said:_250_taken/$")
        home.wait_for_log(r"^delivery 2: failure: 127\.0\.0\.1_does_not_like_recipient\./Remote_host_said:_550_5\.7\.1_not_you\?/$")
        home.wait_for_log(r"^delivery 3: deferral: 127\.0\.0\.1_does_not_like_recipient\./Remote_host_said:_451_4\.7\.1_later/")
        # The bounce waits for the last recipient.
        assert home.messages("bob") == []
        server.steps["rcpt"] = None
        home.send_signal(signal.SIGALRM)
        [bounce] = home.wait_for_messages("bob", 1)
        assert b"550 5.7.1 not you" in bounce and b"\x07" not in bounce and b"later@" not in bounce
    finally:
        server.close()


# Names


class Names:
    """The hostile name server, with a zone that can change."""

    def __init__(self, wrapper=()):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="martlet-names-"))
        self.zone = self.directory / "zone"
        self.zone.write_text("")
        self.process = subprocess.Popen([*wrapper, sys.executable, HERE / "hostile_dns.py", "--zone", self.zone], stdout=subprocess.PIPE, text=True)
        self.resolver = "127.0.0.1@" + self.process.stdout.readline().split()[-1]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        shutil.rmtree(self.directory)


@pytest.fixture
def names():
    server = Names()
    yield server
    server.close()


def test_names_that_lie(home, names):
    """Those that are no mail host bounce, those of which nobody knows are kept; none of them keeps the others waiting."""
    home.user("bob")
    home.control("resolvers", names.resolver)
    home.start()
    fates = {
        "no-such.test": ("failure", "5.1.2"), "mx-null.test": ("failure", "5.1.10"), "mx-self.test": ("failure", "5.4.6"),
        "mx-literal.test": ("failure", "5.4.6"), "servfail.test": ("deferral", "4.1.2"), "cname-loop.test": ("deferral", "4.1.2"),
        "mx-weird.test": ("deferral", "4.1.2"), "wrong-id.test": ("deferral", "4.1.2"), "refused.test": ("deferral", "4.1.2"),
    }
    assert home.inject(BOB, [f"x@{name}" for name in fates], "hello\n") == 0
    for name, (outcome, code) in fates.items():
        delivery = home.wait_for_log(rf"^starting delivery (\d+): msg 1 to remote x@{re.escape(name)}$")[1]
        home.wait_for_log(rf"^delivery {delivery}: {outcome}: .*\(#{re.escape(code)}\)/")
    home.wait_for_messages("bob", 0)
    assert sorted(line for line in home.command("qmail-qread").stdout.decode().splitlines() if line.startswith("\tremote")) == sorted(
        f"\tremote\tx@{name}" for name, (outcome, _) in fates.items() if outcome == "deferral")


def test_a_route_is_looked_up_by_name(home, names, next_hop):
    names.zone.write_text("relay.test A 127.0.0.1\n")
    home.control("resolvers", names.resolver)
    relaying(home, f".{FAR}:\n{FAR}:relay.test:{next_hop.port}")
    home.send(BOB, f"x@{FAR}", "hello\n")
    home.wait_for_log(r"^delivery 1: success: 127\.0\.0\.1_accepted_message\.")
    assert len(next_hop.messages) == 1


class Network:
    """A network of its own: everything under 198.51.100.0/24 is this machine, port 25 is free, and nothing leaves."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && ip route add local 198.51.100.0/24 dev lo && echo ready && exec sleep 300"],
            stdout=subprocess.PIPE, text=True)
        self.ready = self.holder.stdout.readline() == "ready\n"
        self.inside = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]
        self.servers = []

    def sink(self, address):
        """smtp-sink at port 25 of the address; counts what it took."""
        output = tempfile.TemporaryFile()
        process = subprocess.Popen(
            [*self.inside, "smtp-sink", "-u", "nobody", "-c", f"{address}:25", "100"], stdout=output, stderr=subprocess.DEVNULL)
        self.servers.append(process)
        # proc(5): the address in the machine's byte order, port 25, listening.
        place = f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:0019 00000000:0000 0A"

        def is_listening():
            return place in subprocess.run([*self.inside, "cat", "/proc/net/tcp"], capture_output=True, text=True, timeout=10).stdout

        wait_until(is_listening, "smtp-sink does not listen")

        def count():
            found = re.findall(rb"mesg=(\d+)", os.pread(output.fileno(), 1 << 20, 0))
            return int(found[-1]) if found else 0

        return count

    def close(self):
        for process in [*self.servers, self.holder]:
            process.kill()
            process.wait()
        self.holder.stdout.close()


@needs_root
def test_exchangers_are_found_by_name_and_tried_in_order(home):
    """The best exchanger refuses connections, the next one takes the mail; a host without exchangers is its own."""
    network = Network()
    names = None
    try:
        if not network.ready:
            pytest.skip("this system gives no network of its own")
        names = Names(network.inside)
        names.zone.write_text(
            "two.test MX 10 first.test\ntwo.test MX 20 second.test\n"
            "first.test A 198.51.100.1\nsecond.test A 198.51.100.2\nplain.test A 198.51.100.3\n")
        uid, gid = harness.account()
        home.wrapper = [*network.inside, "--setuid", str(uid), "--setgid", str(gid)]
        home.user("bob")
        home.control("resolvers", names.resolver)
        home.start()
        second, third = network.sink("198.51.100.2"), network.sink("198.51.100.3")
        assert home.inject(BOB, ["x@two.test", "y@two.test", "z@plain.test"], "hello\n") == 0
        wait_until(lambda: is_empty(home), home.log)
        home.wait_for_log(r"^delivery \d+: success: 198\.51\.100\.2_accepted_message\.")
        home.wait_for_log(r"^delivery \d+: success: 198\.51\.100\.3_accepted_message\.")
        assert (second(), third()) == (1, 1)
        first = network.sink("198.51.100.1")
        home.control("timeoutconnect", "5")
        assert home.inject(BOB, ["x@two.test"], "hello\n") == 0
        wait_until(lambda: is_empty(home), home.log)
        assert first() + second() == 2
    finally:
        network.close()
        if names:
            names.close()
