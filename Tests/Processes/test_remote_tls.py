"""TLS and logins of role remote, before servers that are good and servers that are not (hostile_smtp.py)."""

import base64
import hashlib
import hmac
import re
import subprocess
import time

import hostile_smtp
import pytest
from hostile_smtp import Authority, HostileServer, hello, polite, take_mail, upgrade
from martlet import wait_until
from test_remote import DIED, Sender

NAME = "mail.example"
ACCEPTED = "K127.0.0.1 accepted message.\nRemote host said: 250 taken\n"
CLEAR = b"EHLO us.example\r\nSTARTTLS\r\n"


class TLSSender(Sender):
    def start(self, role):
        with open(self.home / "log", "ab") as log:
            self.processes[role] = subprocess.Popen(
                [self.program, "--role", role, "--worker", "0"], stdin=subprocess.PIPE, cwd=self.home, stdout=log, stderr=log)

    def log(self):
        return (self.home / "log").read_text()

    def serve(self, script, options=f"name={NAME}", host="127.0.0.1", **arguments):
        """A server with this script, and a domain that is routed to it."""
        server = HostileServer(script, **arguments)
        self.servers.append(server)
        server.domain = f"h{len(self.servers)}.example"
        routes = self.home / "control/smtproutes"
        old = routes.read_text() if routes.exists() else ""
        self.control("smtproutes", f"{old}{server.domain}:{host}:{server.port} {options}")
        return server

    def deliver(self, server, content=b"Subject: secret\n\nsecret body\n"):
        """The report of one message to the server's domain."""
        [report] = self.queue.deliver(server.domain, [f"r@{server.domain}"], content)
        assert server.failures == []
        return report


@pytest.fixture(scope="module")
def authority():
    instance = Authority()
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def sender(programs, authority):
    instance = TLSSender(programs / "martletd")
    instance.control("cafile", str(authority.file))
    yield instance
    instance.clean()


@pytest.fixture
def impatient(sender):
    sender.control("timeoutremote", "1")
    yield sender
    sender.control("timeoutremote", "1200")


@pytest.fixture(scope="module")
def known(authority):
    return hostile_smtp.scripts(authority)


def nothing_in_clear(server):
    """Neither envelope nor content have left outside TLS."""
    return not re.search(rb"MAIL|RCPT|DATA|secret|AUTH", server.clear)


# RFC 3207, opportunistic: the certificate is looked at, told, and does not decide.


@pytest.mark.parametrize("name, verdict", [
    ("good", "verified"), ("self-signed", "not verified: it is of no authority that is trusted here"),
    ("expired", "not verified: it has expired"), ("other-name", "not verified: it is not of mail.example"),
])
def test_tls_where_it_is_offered(sender, known, name, verdict):
    server = sender.serve(known[name])
    before = len(sender.log())
    assert sender.deliver(server) == ACCEPTED
    assert server.clear == CLEAR and server.messages == [b"Subject: secret\r\n\r\nsecret body\r\n"]
    said = sender.log()[before:]
    assert re.search(rf"^remote: TLS with 127\.0\.0\.1: TLSv1\.3 TLS_\w+, certificate {verdict}$", said, re.M), said


def test_certificates_that_follow_each_other_in_any_order(sender, authority):
    """Nine have some 300,000 orders, each with a signature to check at every step; the verdict must not take minutes."""
    server = sender.serve(polite(authority.labyrinth()))
    begun = time.monotonic()
    assert sender.deliver(server) == ACCEPTED
    assert time.monotonic() - begun < 5


def test_the_name_of_the_host_is_asked_for(sender, authority):
    names = []
    context = authority.context()
    context.sni_callback = lambda connection, name, context: names.append(name)
    assert sender.deliver(sender.serve(polite(context))) == ACCEPTED
    assert sender.deliver(sender.serve(polite(authority.context(address="127.0.0.1")), "tls=verify")) == ACCEPTED
    assert names == [NAME]


def test_a_host_known_by_its_address_alone(sender, authority):
    """The certificate names the address, and another one does not do."""
    assert sender.deliver(sender.serve(polite(authority.context(address="127.0.0.1")), "tls=verify")) == ACCEPTED
    wrong = sender.serve(polite(authority.context(address="127.0.0.2")), "tls=verify")
    assert sender.deliver(wrong) == "ZConnected to 127.0.0.1 but TLS failed: the certificate is not of 127.0.0.1. (#4.7.5)\n"
    assert wrong.messages == []


def test_what_was_offered_before_tls_is_forgotten(sender, authority):
    """RFC 3207 §4.2. Before: PIPELINING, CHUNKING, SIZE. Inside: nothing of it."""
    server = sender.serve(polite(authority.context(), ["PIPELINING", "CHUNKING", "SIZE 0", "STARTTLS"], ["8BITMIME", "STARTTLS"]))
    assert sender.deliver(server, "smörgås\n".encode()) == ACCEPTED
    lines = server.peers[0].lines
    assert lines[:5] == ["EHLO us.example", "STARTTLS", "EHLO us.example", "MAIL FROM:<sender@us.example> BODY=8BITMIME", f"RCPT TO:<r@{server.domain}>"]


def test_one_connection_for_many_messages(sender, known):
    server = sender.serve(known["good"])
    for _ in range(10):
        assert sender.deliver(server) == ACCEPTED
    assert len(server.peers) == 1 and len(server.messages) == 10


def test_large_content(sender, known):
    server = sender.serve(known["good"])
    assert sender.deliver(server, b"x" * 99 + b"\n" + (b"y" * 99 + b"\n") * 20_000) == ACCEPTED
    assert len(server.messages[0]) == 20_001 * 101


@pytest.mark.parametrize("options, inside_tls", [(f"tls=none name={NAME}", False), (f"tls=may name={NAME}", True)])
def test_the_route_decides_whether_tls_is_wanted(sender, authority, options, inside_tls):
    context = authority.context()

    def script(peer):
        peer.say("220 hello")
        hello(peer, "STARTTLS")
        if inside_tls:
            upgrade(peer, context)
        take_mail(peer)

    server = sender.serve(script, options)
    assert sender.deliver(server) == ACCEPTED
    assert (server.clear == CLEAR) == inside_tls


# TLS demanded


@pytest.mark.parametrize("name, problem", [
    ("self-signed", "the certificate is of no authority that is trusted here"), ("expired", "the certificate has expired"),
    ("other-name", "the certificate is not of mail.example"),
])
@pytest.mark.parametrize("options", [f"tls=verify name={NAME}"])
def test_a_certificate_that_must_be_the_hosts(sender, known, name, problem, options):
    server = sender.serve(known[name], options)
    assert sender.deliver(server) == f"ZConnected to 127.0.0.1 but TLS failed: {problem}. (#4.7.5)\n"
    assert server.clear == CLEAR and server.messages == [] and not server.peers[0].inside


@pytest.mark.parametrize("name", ["good", "self-signed", "expired", "other-name"])
def test_tls_without_looking_who_it_is(sender, known, name):
    server = sender.serve(known[name], f"tls=encrypt name={NAME}")
    assert sender.deliver(server) == ACCEPTED and server.clear == CLEAR


@pytest.mark.parametrize("options", [f"tls=verify name={NAME}", f"tls=encrypt name={NAME}"])
def test_a_stripped_offer_gets_no_mail_where_tls_is_demanded(sender, known, options):
    server = sender.serve(known["stripped"], options)
    assert sender.deliver(server) == "ZConnected to 127.0.0.1 but it does not offer TLS, which is demanded here. (#4.7.4)\n"
    wait_until(lambda: server.clear == b"EHLO us.example\r\nQUIT\r\n", lambda: server.clear)


def test_an_offer_that_is_not_there_is_no_obstacle_otherwise(sender, known):
    server = sender.serve(known["stripped"])
    assert sender.deliver(server) == ACCEPTED


def test_helo_is_no_way_around(sender):
    def script(peer):
        peer.say("220 hello")
        peer.command("EHLO")
        peer.say("502 what?")
        peer.command("HELO")
        peer.say("250 hello")
        take_mail(peer)

    server = sender.serve(script, "tls=encrypt")
    assert sender.deliver(server) == "ZConnected to 127.0.0.1 but it does not offer TLS, which is demanded here. (#4.7.4)\n"
    assert b"MAIL" not in server.clear


# hardening.md "PIPE/TLS", as a client, and servers whose TLS does not come about


TALKS = "ZConnected to 127.0.0.1 but what it said before TLS went on where only TLS may speak. (#4.7.5)\n"


@pytest.mark.parametrize("options", [f"name={NAME}", f"tls=verify name={NAME}"], ids=["may", "verify"])
@pytest.mark.parametrize("name, report", [
    ("injects", TALKS), ("injects-part", TALKS), ("injects-two-replies", TALKS),
    ("injects-later", r"ZConnected to 127\.0\.0\.1 but (what it said before TLS went on|TLS failed: wrong version number).*"),
    ("talks-clear", r"ZConnected to 127\.0\.0\.1 but (what it said before TLS went on|TLS failed: wrong version number).*"),
    ("refuses", "ZConnected to 127.0.0.1 but it refused the TLS that it offers.\nRemote host said: 454 not now\n"),
    ("refuses-for-ever", "ZConnected to 127.0.0.1 but it refused the TLS that it offers.\nRemote host said: 502 what?\n"),
    ("tls-garbage", r"ZConnected to 127\.0\.0\.1 but TLS failed: .*"), ("closes", r"ZConnected to 127\.0\.0\.1 but TLS failed: .*"),
    ("closes-in-handshake", r"ZConnected to 127\.0\.0\.1 but TLS failed: .*"), ("old-tls", r"ZConnected to 127\.0\.0\.1 but TLS failed: .*"),
])
def test_tls_that_does_not_come_about_gets_no_mail(sender, known, name, report, options):
    server = sender.serve(known[name], options)
    found = sender.deliver(server)
    assert found == report or re.fullmatch(report, found, re.S), found
    assert nothing_in_clear(server) and server.messages == []


@pytest.mark.parametrize("name", ["stalls-before-tls", "stalls-in-tls", "stalls-inside"])
def test_a_server_that_stalls(impatient, known, name):
    server = impatient.serve(known[name])
    began = time.monotonic()
    assert impatient.deliver(server) == DIED
    assert time.monotonic() - began < 10 and nothing_in_clear(server)


@pytest.mark.parametrize("name", ["notifies-at-mail", "notifies-at-data"])
def test_the_end_of_tls_is_the_end_of_the_connection(sender, known, name):
    server = sender.serve(known[name])
    assert sender.deliver(server) == DIED
    assert nothing_in_clear(server) and server.messages == []


@pytest.mark.parametrize("name", ["long-line", "endless-line", "endless-reply", "endless-ehlo"])
def test_replies_without_end(sender, known, name):
    def memory():
        """The most that it had, in KiB."""
        with open(f"/proc/{sender.processes['remote'].pid}/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1])

    # What the first delivery needs is not the replies'.
    assert sender.deliver(sender.serve(known["drips"])) == ACCEPTED
    before = memory()
    server = sender.serve(known[name])
    assert sender.deliver(server) == DIED
    assert memory() < before + 20_000


def test_a_server_that_drips(sender, known):
    server = sender.serve(known["drips"])
    assert sender.deliver(server) == ACCEPTED


# Several addresses


def two_hosts(sender, first, second, options=f"name={NAME}"):
    """One relay with two addresses; its servers."""
    name = f"relay{len(sender.servers)}.test"
    sender.zone.write_text(sender.zone.read_text() + f"{name} A 127.0.0.1\n{name} A 127.0.0.2\n")
    one = sender.serve(first, options, host=name)
    two = HostileServer(second, "127.0.0.2", one.port)
    sender.servers.append(two)
    return one, two


def test_where_tls_fails_the_next_address_is_tried(sender, known):
    for _ in range(4):
        bad, good = two_hosts(sender, known["closes"], known["good"])
        assert sender.deliver(bad) == ACCEPTED.replace("127.0.0.1", "127.0.0.2")
        assert nothing_in_clear(bad) and len(good.messages) == 1


def test_a_certificate_that_must_be_the_hosts_is_looked_for_at_every_address(sender, known):
    bad, good = two_hosts(sender, known["self-signed"], known["good"], f"tls=verify name={NAME}")
    assert sender.deliver(bad) == ACCEPTED.replace("127.0.0.1", "127.0.0.2")
    assert bad.messages == []


def test_a_host_whose_tls_failed_gets_nothing_in_clear_at_its_other_address(sender, known):
    """Chance decides which of the two comes first: where it is the one without TLS, mail may go there."""
    outcomes = set()
    for _ in range(12):
        bad, clear = two_hosts(sender, known["closes"], known["stripped"])
        report = sender.deliver(bad)
        outcomes.add(report[0])
        assert (report[0] == "K") == (len(bad.peers) == 0) == (len(clear.messages) == 1)
    assert outcomes == {"K", "Z"}


# TLS from the first byte


def test_implicit_tls(sender, known):
    server = sender.serve(known["implicit"], f"tls=implicit name={NAME}")
    assert sender.deliver(server) == ACCEPTED
    assert server.clear == b"" and server.peers[0].lines[:2] == ["EHLO us.example", "MAIL FROM:<sender@us.example>"]


@pytest.mark.parametrize("name", ["self-signed", "expired", "other-name"])
def test_implicit_tls_needs_the_right_certificate(sender, authority, name):
    context = {
        "self-signed": authority.context(signed=False), "expired": authority.context(days=-1), "other-name": authority.context("other.example"),
    }[name]
    server = sender.serve(polite(context, implicit=True), f"tls=implicit name={NAME}")
    assert sender.deliver(server).startswith("ZConnected to 127.0.0.1 but TLS failed: the certificate ")
    assert server.messages == [] and server.clear == b"" and not server.peers[0].inside


def test_implicit_tls_at_a_port_without(sender, known):
    server = sender.serve(known["stripped"], f"tls=implicit name={NAME}")
    assert sender.deliver(server).startswith("ZConnected to 127.0.0.1 but TLS failed: ")
    assert not re.search(rb"EHLO|MAIL", server.clear)


# Authorities


def test_a_changed_file_of_authorities_counts(sender, authority, known):
    other = Authority()
    try:
        stranger = polite(other.context())
        options = f"tls=verify name={NAME}"
        assert sender.deliver(sender.serve(stranger, options))[0] == "Z"
        both = sender.home / "both.pem"
        both.write_bytes(authority.file.read_bytes() + other.file.read_bytes())
        sender.control("cafile", str(both))
        assert sender.deliver(sender.serve(stranger, options)) == ACCEPTED
        assert sender.deliver(sender.serve(known["good"], options)) == ACCEPTED
        both.write_bytes(authority.file.read_bytes())
        assert sender.deliver(sender.serve(stranger, options))[0] == "Z"
        sender.control("cafile", "/nowhere/ca.pem")
        assert sender.deliver(sender.serve(known["good"], options))[0] == "Z"
        assert "remote trusts no certificate: /nowhere/ca.pem cannot be read" in sender.log()
    finally:
        sender.control("cafile", str(authority.file))
        other.close()


# Logins


USER, PASSWORD = "me@isp.example", "pässword s3cret"


@pytest.fixture
def password(sender):
    path = sender.home / "control/password"
    path.write_text(PASSWORD + "\nnot this\n")
    path.chmod(0o600)
    return f"user={USER} passwordfile=control/password name={NAME}"


def decoded(text):
    return base64.b64decode(text, validate=True)


def coded(data):
    return base64.b64encode(data).decode()


def plain(peer):
    verb, mechanism, initial = peer.line().split(" ")
    assert (verb, mechanism, decoded(initial)) == ("AUTH", "PLAIN", f"\0{USER}\0{PASSWORD}".encode())


def login(peer):
    assert peer.line() == "AUTH LOGIN"
    peer.say("334 " + coded(b"Username:"))
    assert decoded(peer.line()).decode() == USER
    peer.say("334 " + coded(b"Password:"))
    assert decoded(peer.line()).decode() == PASSWORD


def cram(peer):
    assert peer.line() == "AUTH CRAM-MD5"
    challenge = b"<1.2@mail.example>"
    peer.say("334 " + coded(challenge))
    digest = hmac.new(PASSWORD.encode(), challenge, hashlib.md5).hexdigest()
    assert decoded(peer.line()).decode() == f"{USER} {digest}"


def scram(peer, signature_key=b"Server Key"):
    """RFC 5802."""
    verb, mechanism, initial = peer.line().split(" ")
    assert (verb, mechanism) == ("AUTH", "SCRAM-SHA-256")
    bare = decoded(initial).decode().removeprefix("n,,")
    nonce = bare.partition(",r=")[2] + "more"
    first = f"r={nonce},s={coded(b'salt and salt')},i=4096"
    peer.say("334 " + coded(first.encode()))
    final, _, proof = decoded(peer.line()).decode().rpartition(",p=")
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), b"salt and salt", 4096)
    message = f"{bare},{first},{final}".encode()
    key = hmac.digest(salted, b"Client Key", "sha256")
    expected = bytes(a ^ b for a, b in zip(key, hmac.digest(hashlib.sha256(key).digest(), message, "sha256")))
    assert decoded(proof) == expected
    peer.say("334 " + coded(b"v=" + coded(hmac.digest(hmac.digest(salted, signature_key, "sha256"), message, "sha256")).encode()))
    return peer.line()


def asking(context, mechanisms, ask, answer="235 welcome"):
    """A script that lets in who answers `ask`."""
    def script(peer):
        peer.say("220 hello")
        hello(peer, "STARTTLS", f"AUTH {mechanisms}")
        upgrade(peer, context, f"AUTH {mechanisms}", "PIPELINING")
        ask(peer)
        peer.say(answer)
        take_mail(peer)
    return script


@pytest.mark.parametrize("mechanisms, ask", [
    ("PLAIN LOGIN", plain), ("LOGIN", login), ("CRAM-MD5 LOGIN", cram), ("PLAIN SCRAM-SHA-256", scram),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_login(sender, authority, password, mechanisms, ask):
    server = sender.serve(asking(authority.context(), mechanisms, ask), password)
    assert sender.deliver(server) == ACCEPTED
    assert server.clear == CLEAR
    assert sender.deliver(server) == ACCEPTED
    assert len(server.peers) == 1 and sum(line.startswith("AUTH") for line in server.peers[0].lines) == 1
    assert PASSWORD not in sender.log() and coded(PASSWORD.encode()) not in sender.log()


def test_a_login_inside_tls_from_the_first_byte(sender, authority, password):
    def script(peer):
        peer.start_tls(context)
        peer.say("220 hello")
        hello(peer, "AUTH PLAIN")
        plain(peer)
        peer.say("235 welcome")
        take_mail(peer)

    context = authority.context()
    assert sender.deliver(sender.serve(script, f"tls=implicit {password}")) == ACCEPTED


@pytest.mark.parametrize("answer", ["535 5.7.8 no", "454 4.7.0 later", "530 no", "421 bye"])
def test_a_login_that_is_refused_defers(sender, authority, password, answer):
    """A password that was changed must not bounce a day's mail."""
    server = sender.serve(asking(authority.context(), "PLAIN", plain, answer), password)
    assert sender.deliver(server) == f"ZConnected to 127.0.0.1 but the login was refused.\nRemote host said: {answer}\n"
    assert server.messages == []


def test_a_server_that_cannot_prove_to_know_the_password_gets_no_mail(sender, authority, password):
    """RFC 5802 §5: the server's signature."""
    server = sender.serve(asking(authority.context(), "SCRAM-SHA-256", lambda peer: scram(peer, b"Wrong Key"), "501 cancelled"), password)
    assert sender.deliver(server) == "ZConnected to 127.0.0.1 but it did not prove in the login that it knows the password. (#4.7.5)\n"
    wait_until(lambda: server.peers[0].lines[-2:] == ["*", "QUIT"], lambda: server.peers[0].lines)
    assert server.messages == []


@pytest.mark.parametrize("offers", [[], ["AUTH"], ["AUTH GSSAPI NTLM"]])
def test_a_server_without_a_login_that_we_know(sender, authority, password, offers):
    def script(peer):
        peer.say("220 hello")
        hello(peer, "STARTTLS", "AUTH PLAIN")
        upgrade(peer, context, *offers)
        take_mail(peer)

    context = authority.context()
    server = sender.serve(script, password)
    assert sender.deliver(server) == "ZConnected to 127.0.0.1 but it offers no way of login that may be used here. (#4.7.4)\n"
    assert server.messages == []


@pytest.mark.parametrize("challenge", ["334 not base64!", "334 ", "334 " + base64.b64encode(b"x" * 3000).decode()])
def test_challenges_that_are_none(sender, authority, password, challenge):
    def ask(peer):
        peer.line()
        peer.say(challenge)
        assert peer.line() == "*"

    server = sender.serve(asking(authority.context(), "SCRAM-SHA-256", ask, "501 cancelled"), password)
    assert sender.deliver(server)[0] == "Z" and server.messages == []


@pytest.mark.parametrize("name", ["self-signed", "expired", "other-name", "stripped", "injects"])
def test_nobody_but_the_relay_hears_the_password(sender, known, password, name):
    server = sender.serve(known[name], password)
    assert sender.deliver(server)[0] == "Z"
    assert b"AUTH" not in server.clear and not any(peer.inside for peer in server.peers)


def test_the_route_may_say_that_less_is_enough(sender, authority, password):
    def in_clear(peer):
        peer.say("220 hello")
        hello(peer, "AUTH PLAIN")
        plain(peer)
        peer.say("235 welcome")
        take_mail(peer)

    assert sender.deliver(sender.serve(in_clear, f"{password} tls=none")) == ACCEPTED
    assert sender.deliver(sender.serve(asking(authority.context(signed=False), "PLAIN", plain), f"{password} tls=encrypt")) == ACCEPTED


@pytest.mark.parametrize("mode, content, problem", [
    (0o644, "x\n", "may be read or changed by others; its mode must be 600, or 640 with qmailr's group"),
    (0o620, "x\n", "may be read or changed by others; its mode must be 600, or 640 with qmailr's group"),
    (0o600, "\n", "has no password in its first line"), (0o600, "", "has no password in its first line"),
    (0o600, "x" * 2000, "has no password in its first line"), (None, None, "cannot be read (file does not exist)"),
])
def test_password_files_that_will_not_do(sender, known, password, mode, content, problem):
    path = sender.home / "control/password"
    path.unlink()
    if content is not None:
        path.write_text(content)
        path.chmod(mode)
    server = sender.serve(known["good"], password)
    assert sender.deliver(server) == f"ZThe password file control/password {problem}. (#4.3.5)\n"
    assert server.peers == []


def test_a_group_may_read_the_password(sender, authority, password):
    (sender.home / "control/password").chmod(0o640)
    assert sender.deliver(sender.serve(asking(authority.context(), "PLAIN", plain), password)) == ACCEPTED


@pytest.mark.parametrize("options", ["tls=verify", "tls=encrypt", "tls=implicit", "tls=none user=me passwordfile=control/password"])
def test_qmail_remote_does_not_pretend(sender, programs, known, options):
    """It speaks no TLS and knows no login: what the route demands it does not leave out."""
    server = sender.serve(known["stripped"], options)
    said = subprocess.run(
        [programs / "qmail-remote", server.domain, "s@us.example", f"r@{server.domain}"], input=b"x\n", capture_output=True, timeout=30,
        env={"QMAILHOME": str(sender.home)}).stdout
    assert said == b"ZThe route of this host wants TLS or a login, which qmail-remote does not speak. (#4.7.4)\n\0"
    assert server.peers == []


def test_a_hundred_kinds_of_trouble_do_not_hurt_the_others(sender, known):
    """All hostile servers at once, and a good one."""
    names = [name for name in known if not name.startswith("stalls") and name != "implicit"]
    servers = {name: sender.serve(known[name]) for name in names}
    slots = {sender.queue.hand_out(server.domain, [f"r@{server.domain}"]): name for name, server in servers.items()}
    answers = {}
    for _ in slots:
        slot, [report] = sender.queue.answer()
        answers[slots[slot]] = report[0]
    accepted = {"good", "self-signed", "expired", "other-name", "stripped", "drips"}
    assert answers == {name: "K" if name in accepted else "Z" for name in names}
