"""Role auth: hardening.md §1.5 "AUTH". The test plays everybody else."""

import base64
import hashlib
import hmac
import os
import re
import struct
import threading
import time

import pytest

from auth_role import (
    CHALLENGE, CREDENTIALS, DENIED, ENCRYPTION, FAILURE, MALFORMED, MECHANISM, OPEN, POP3, SUCCESS, TEMPORARY, THROTTLED, AuthRole, identity)
from martlet import LIMIT, account, wait_until

JOE, PASSWORD = "joe@example.org", b"correct horse"
GUESSER = "192.0.2.1"


@pytest.fixture
def auth(programs):
    role = AuthRole(programs)
    role.add(JOE, PASSWORD, b"of the telephone")
    yield role
    logged = role.log() if role.log_path.exists() else ""
    role.end()
    assert PASSWORD.decode() not in logged


@pytest.fixture
def asker(auth):
    auth.start()
    asker = auth.asker()
    yield asker
    asker.close()


# Exchanges


@pytest.mark.parametrize("login", [JOE, JOE.upper()])
@pytest.mark.parametrize("password", [PASSWORD, b"of the telephone"])
def test_plain(asker, login, password):
    answer = asker.plain(login, password)
    assert (answer.kind, answer.account, answer.ticket, answer.final) == (SUCCESS, JOE, b"", b"")


def test_login_in_steps(asker):
    token = asker.begin("LOGIN")
    assert asker.answer(token).rest == b"Username:"
    asker.respond(token, JOE.encode())
    assert asker.answer(token).rest == b"Password:"
    asker.respond(token, PASSWORD)
    assert asker.answer(token).kind == SUCCESS


@pytest.mark.parametrize("login, password", [(JOE, b"wrong"), ("nobody@example.org", PASSWORD), ("joe", PASSWORD), (JOE, PASSWORD + b" ")])
def test_failures_are_alike_and_take_their_second(asker, login, password):
    began = time.monotonic()
    answer = asker.plain(login, password)
    assert (answer.kind, answer.refusal) == (FAILURE, CREDENTIALS)
    assert 0.9 < time.monotonic() - began < 5


@pytest.mark.parametrize("mechanism, initial, refusal", [
    ("PLAIN", b"no nuls", MALFORMED), ("PLAIN", b"\0\0\0\0", MALFORMED), ("PLAIN", b"\0" * 5000, MALFORMED), ("LOGIN", b"", MALFORMED),
    ("CRAM-MD5", None, MECHANISM), ("SCRAM-SHA-256", b"n,,n=x,r=y", MECHANISM), ("GSSAPI", None, MECHANISM), ("", None, MECHANISM), ("plain", None, MECHANISM),
    ("PLAIN", b"root\0" + JOE.encode() + b"\0" + PASSWORD, CREDENTIALS),
])
def test_what_is_no_login(asker, mechanism, initial, refusal):
    answer = asker.answer(asker.begin(mechanism, initial))
    assert (answer.kind, answer.refusal) == (FAILURE, refusal)


def test_no_login_before_tls(auth):
    """Also when the role at the door has forgotten to refuse it; `control/authinsecure` excepts networks."""
    auth.control("authinsecure", "192.0.2.0/24\nunix")
    auth.start()
    asker = auth.asker()
    for address in ("198.51.100.1", "2001:db8::1"):
        assert asker.plain(JOE, PASSWORD, address=address, encrypted=False).refusal == ENCRYPTION
        assert asker.answer(asker.begin("LOGIN", address=address, encrypted=False)).refusal == ENCRYPTION
    for address in ("192.0.2.200", ""):
        assert asker.plain(JOE, PASSWORD, address=address, encrypted=False).kind == SUCCESS
    asker.close()


def test_scram(auth):
    salt, iterations = b"0123456789abcdef", 4096
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD, salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    b64 = lambda data: base64.b64encode(data).decode()
    auth.add("ann@example.org", PASSWORD, scram_sha_256=f"{iterations} {b64(salt)} {b64(stored)} {b64(server_key)}")
    auth.control("authmechanisms", "scram-sha-256\nPLAIN")
    auth.start()
    asker = auth.asker()

    def log_in(user, password, damage=b""):
        bare = f"n={user},r=abcdef".encode()
        token = asker.begin("SCRAM-SHA-256", b"n,," + bare)
        first = asker.answer(token).rest
        fields = dict(f.split("=", 1) for f in first.decode().split(","))
        assert fields["r"].startswith("abcdef") and len(fields["r"]) > 20
        salted = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without = f"c=biws,r={fields['r']}".encode()
        message = bare + b"," + first + b"," + without
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        asker.respond(token, without + b",p=" + base64.b64encode(proof))
        return fields["s"], asker.answer(token), message

    _, answer, message = log_in("ann@example.org", PASSWORD)
    assert answer.kind == SUCCESS and answer.account == "ann@example.org"
    assert answer.final == b"v=" + base64.b64encode(hmac.digest(server_key, message, "sha256"))
    assert log_in("ann@example.org", b"wrong")[1].refusal == CREDENTIALS
    # Nobody, and an account without keys, look as if they had some, and the same ones each time.
    for login in ("nobody@example.org", JOE):
        one, other = log_in(login, PASSWORD), log_in(login.upper(), PASSWORD)
        assert one[1].refusal == CREDENTIALS and one[0] == other[0] and len(base64.b64decode(one[0])) == 16
    asker.close()


def test_digests_only_where_the_password_is_stored(auth):
    auth.add("ann@example.org", PASSWORD, secret=base64.b64encode(PASSWORD).decode())
    auth.control("authmechanisms", "CRAM-MD5\nAPOP")
    auth.start()
    asker = auth.asker()
    for login, expected in (("ann@example.org", SUCCESS), (JOE, FAILURE), ("nobody@example.org", FAILURE)):
        token = asker.begin("CRAM-MD5")
        challenge = asker.answer(token).rest
        assert re.fullmatch(rb"<[^>]+@[^>]+>", challenge)
        asker.respond(token, login.encode() + b" " + hmac.new(PASSWORD, challenge, "md5").hexdigest().encode())
        assert asker.answer(token).kind == expected
        stamp = b"<1.2@mail.example>"
        digest = hashlib.md5(stamp + PASSWORD).hexdigest().encode()
        assert asker.answer(asker.begin("APOP", login.encode() + b" " + digest, binding=stamp, service=POP3)).kind == expected
    # One challenge, one answer: what was heard once does not work again.
    token = asker.begin("CRAM-MD5")
    asker.answer(token)
    asker.respond(token, b"ann@example.org " + hmac.new(PASSWORD, challenge, "md5").hexdigest().encode())
    assert asker.answer(token).refusal == CREDENTIALS
    asker.close()


# Who is refused


@pytest.mark.parametrize("uid, gid", [(0, 65534), (0, 0), (99, 65534), (65534, 0)])
def test_root_is_refused_under_any_name(auth, uid, gid):
    auth.add("toor@example.org", PASSWORD, uid=uid, gid=gid)
    auth.start()
    asker = auth.asker()
    answer = asker.plain("toor@example.org", PASSWORD)
    assert (answer.kind, answer.refusal) == (FAILURE, CREDENTIALS)
    asker.close()


def test_a_disabled_account(auth):
    auth.add("ann@example.org", PASSWORD, disabled="")
    auth.start()
    asker = auth.asker()
    assert asker.plain("ann@example.org", PASSWORD).refusal == CREDENTIALS
    asker.close()


@pytest.mark.parametrize("login", [
    "' OR 1=1 --@example.org", "joe@example.org\n", "joe@example.org'; DROP TABLE user; --", "*)(uid=*", "../joe@example.org", "%00joe@example.org", "uid 0",
    "joe@example.org uid 0", "\ufeffjoe@example.org", "JOE@EXAMPLE.ORG ", "j" * 500])
def test_names_that_want_to_be_code(asker, login):
    assert asker.plain(login, PASSWORD, address="").refusal == CREDENTIALS
    assert asker.plain(JOE, PASSWORD).kind == SUCCESS


def test_a_changed_database_counts_at_once(auth, asker):
    assert asker.plain(JOE, PASSWORD).kind == SUCCESS
    auth.add(JOE, b"another")
    assert asker.plain(JOE, PASSWORD).refusal == CREDENTIALS
    assert asker.plain(JOE, b"another").kind == SUCCESS
    (auth.home / "auth/accounts.cdb").write_bytes(b"damaged")
    assert asker.plain(JOE, b"another").refusal == TEMPORARY


# Throttle


def test_an_address_that_fails_is_refused_and_can_be_released(auth, asker):
    tokens = [asker.begin("PLAIN", b"\0" + JOE.encode() + b"\0wrong %d" % n, address=GUESSER) for n in range(10)]
    assert {asker.answer(token).refusal for token in tokens} == {CREDENTIALS}
    began = time.monotonic()
    assert asker.plain(JOE, PASSWORD, address=GUESSER).refusal == THROTTLED
    assert time.monotonic() - began < 0.5
    assert asker.plain(JOE, PASSWORD, address="198.51.100.1").kind == SUCCESS


def test_a_guesser_waits_longer_and_longer(asker):
    times = []
    for number in range(4):
        began = time.monotonic()
        assert asker.plain(f"user{number}@example.org", b"x", address=GUESSER).refusal == CREDENTIALS
        times.append(time.monotonic() - began)
    assert times[0] < 2 < times[3]


# Exhaustion


def test_logins_in_parallel_keep_the_loop_alive(auth):
    """A thousand at a time, from many addresses: other questions are answered meanwhile, and every login is right or told to come again."""
    auth.add("slow@example.org", PASSWORD)
    auth.start()
    asker, other = auth.asker(), auth.asker()
    tokens = [asker.begin("PLAIN", b"\0slow@example.org\0" + PASSWORD, address=f"10.{n % 250}.{n // 250}.1") for n in range(1000)]
    slowest = 0
    for _ in range(20):
        began = time.monotonic()
        assert other.permit("slow@example.org", "slow@example.org").permission == 0
        slowest = max(slowest, time.monotonic() - began)
    answers = [asker.answer(token) for token in tokens]
    assert all(a.kind == SUCCESS or a.refusal == TEMPORARY for a in answers)
    assert sum(a.kind == SUCCESS for a in answers) >= 256
    assert slowest < 1
    assert asker.plain(JOE, PASSWORD).kind == SUCCESS
    asker.close()
    other.close()


@pytest.mark.parametrize("frame", [
    b"", b"\x01\x00\x00\x00\x09", b"\xff\xff\xff\xff", b"\x01\x80\x00\x00\x01", struct.pack("<IB", 2, 1) + b"x", struct.pack("<IB", 6, 3) + b"12345",
    struct.pack("<IBI", 5, 9, 1)])
def test_a_bad_frame_costs_its_peer_alone(auth, asker, frame):
    bad = auth.asker()
    token = asker.begin("LOGIN")
    asker.answer(token)
    bad.connection.sendall(frame or b"\0\0\0\0")
    with pytest.raises(EOFError):
        bad.read()
    asker.respond(token, JOE.encode())
    asker.answer(token)
    asker.respond(token, PASSWORD)
    assert asker.answer(token).kind == SUCCESS


def test_two_exchanges_of_one_token_are_no_honest_peers(auth, asker):
    bad = auth.asker()
    bad.begin("LOGIN")
    bad.token -= 1
    bad.begin("LOGIN")
    with pytest.raises(EOFError):
        while True:
            bad.read()
    assert asker.plain(JOE, PASSWORD).kind == SUCCESS


def test_exchanges_are_bounded(asker):
    tokens = [asker.begin("LOGIN") for _ in range(2049)]
    assert [asker.answer(t).kind for t in tokens[:-1]] == [CHALLENGE] * 2048
    assert asker.answer(tokens[-1]).refusal == TEMPORARY
    asker.send(3, struct.pack("<I", tokens[0]))
    assert asker.answer(asker.begin("LOGIN")).kind == CHALLENGE


# Mailboxes


def test_a_ticket_opens_the_mailbox_once(auth, asker):
    lspawn = auth.lspawn()
    ticket = asker.plain(JOE, PASSWORD, service=POP3).ticket
    assert len(ticket) == 16
    client = auth.open_mailbox(ticket)
    order, end = lspawn.order()
    uid, gid = account()
    assert order == {"kind": OPEN, "service": POP3, "confined": 0, "uid": uid, "gid": gid, "user": JOE, "home": "/home/joe", "mailbox": "Maildir"}
    end.sendall(b"+OK")
    assert client.recv(3) == b"+OK"
    end.close()
    for bad in (ticket, b"\0" * 16, b"short"):
        assert auth.open_mailbox(bad).recv(1) == b""
    assert not lspawn.orders
    lspawn.close()


def test_a_confined_mailbox_and_none_for_submission(auth):
    auth.add("vic@example.org", PASSWORD, confined="", home="/var/mail/example.org/vic", mailbox="mail")
    auth.start()
    asker, lspawn = auth.asker(), auth.lspawn()
    assert asker.plain("vic@example.org", PASSWORD).ticket == b""
    auth.open_mailbox(asker.plain("vic@example.org", PASSWORD, service=POP3).ticket)
    order, _ = lspawn.order()
    assert (order["confined"], order["home"], order["mailbox"]) == (1, "/var/mail/example.org/vic", "mail")
    asker.close()
    lspawn.close()


def test_without_lspawn_the_mailbox_closes(auth, asker):
    ticket = asker.plain(JOE, PASSWORD, service=POP3).ticket
    assert auth.open_mailbox(ticket).recv(1) == b""


# Back ends that authcheck asks


@pytest.fixture
def system(auth):
    auth.control("authbackends", "accounts\nprogram /bin/checkpw\nsystem")
    auth.control("locals", "mail.example")
    return auth


def test_the_first_back_end_that_has_the_account_decides(system):
    uid, gid = account()

    def answer(question):
        if question["method"] == 4:
            return DENIED
        return identity(uid, gid, b"alice", b"/home/alice") if question["password"] == b"secret" else DENIED

    system.start()
    asker, lspawn = system.asker(), system.lspawn(answer)
    got = asker.plain("alice", b"secret", address="192.0.2.1")
    assert (got.kind, got.account) == (SUCCESS, "alice")
    assert [(q["method"], q["program"], q["login"], q["address"]) for q in lspawn.questions] == [
        (4, b"/bin/checkpw", b"alice", b"192.0.2.1"), (1, b"", b"alice", b"192.0.2.1")]
    # An address of a local domain is its user; others are no users' names.
    assert asker.plain("alice@mail.example", b"secret").account == "alice"
    del lspawn.questions[:]
    assert asker.plain("alice@elsewhere.example", b"secret").refusal == CREDENTIALS
    assert [q["method"] for q in lspawn.questions] == [4]
    del lspawn.questions[:]
    assert asker.plain(JOE, b"secret").refusal == CREDENTIALS
    assert lspawn.questions == []
    asker.close()
    lspawn.close()


def test_root_from_a_back_end_is_refused(system):
    system.start()
    asker, lspawn = system.asker(), system.lspawn(lambda question: identity(0, 65534, b"alice", b"/root"))
    assert asker.plain("alice", b"secret").refusal == CREDENTIALS
    asker.close()
    lspawn.close()


def test_a_back_end_that_is_out_of_order(system):
    system.start()
    asker = system.asker()
    assert asker.plain("alice", b"secret").refusal == TEMPORARY
    lspawn = system.lspawn(None)
    assert asker.plain("alice", b"secret").refusal == TEMPORARY
    assert asker.plain(JOE, PASSWORD).kind == SUCCESS
    lspawn.close()
    asker.close()


def test_a_slow_program_does_not_block_others(system):
    """Its places are its own: neither our accounts nor another back end wait."""
    system.control("authbackends", "system\nprogram /bin/slow\naccounts")
    system.start()
    uid, gid = account()
    release = threading.Event()

    def answer(question):
        if question["method"] == 4:
            release.wait(LIMIT)
            return DENIED
        return identity(uid, gid, b"alice", b"/home/alice") if question["login"] == b"alice" else DENIED

    asker, lspawn = system.asker(), system.lspawn(answer)
    slow = [asker.begin("PLAIN", b"\0user%d\0x" % n, address=f"10.0.{n}.1") for n in range(60)]
    wait_until(lambda: sum(q["method"] == 4 for q in lspawn.questions) >= 12, "the slow program is not asked")
    assert asker.plain("alice", b"x").kind == SUCCESS
    assert sum(q["method"] == 4 for q in lspawn.questions) == 12
    release.set()
    assert {asker.answer(token).refusal for token in slow} == {CREDENTIALS}
    asker.close()
    lspawn.close()


# What an account may send


@pytest.mark.parametrize("account, sender, permission", [
    (JOE, JOE, 0), (JOE, "", 0), (JOE, "JOE@Example.Org", 0), (JOE, "ann@example.org", 1), (JOE, "joe@example.com", 1), (JOE, "x@lists.example.org", 0),
    (JOE, "info@example.org", 0), ("ann@example.org", "info@example.org", 1), ("backup", "whoever@anywhere.example", 0), (JOE, "noat", 1)])
def test_whose_sender(auth, account, sender, permission):
    auth.control("senderlogin", "joe@example.org:info@example.org\n*:@lists.example.org\nBackup:*")
    auth.start()
    asker = auth.asker()
    assert asker.permit(account, sender).permission == permission
    asker.close()


def test_a_users_senders(auth):
    """`user@local`, its extensions, its virtual domains: what would be delivered to it."""
    (auth.home / "home/alice").mkdir(parents=True)
    (auth.home / "home/alice-two").mkdir()
    for name in ("alice", "alice-two"):
        os.chown(auth.home / "home" / name, *account())
    auth.control("locals", "mail.example")
    auth.control("virtualdomains", "virtual.example:alice-shop")
    auth.start()
    asker = auth.asker()
    for sender, permission in (("alice@mail.example", 0), ("ALICE-x@mail.example", 0), ("any@virtual.example", 0), ("bob@mail.example", 1),
                               ("alice-two@mail.example", 1), ("alice@elsewhere.example", 1)):
        assert asker.permit("alice", sender).permission == permission, sender
    asker.close()


def test_limits_of_sending(auth):
    auth.control("sendmessages", "3")
    auth.control("sendrecipients", "10")
    auth.start()
    asker = auth.asker()
    assert asker.permit(JOE, JOE).recipients == 10
    assert asker.charge(JOE, 4).permission == 0
    got = asker.permit(JOE, JOE)
    assert (got.permission, got.recipients) == (0, 6)
    assert [asker.charge(JOE, count).permission for count in (7, 6, 1)] == [2, 0, 2]
    assert asker.permit(JOE, JOE).permission == 2
    for _ in range(3):
        assert asker.charge("ann@example.org", 1).permission == 0
    assert asker.charge("ann@example.org", 1).permission == 2
    assert asker.permit("ann@example.org", "ann@example.org").permission == 2
    assert asker.permit("bob@example.org", "bob@example.org").permission == 0
    asker.close()


# Secrets


def test_no_secret_is_logged(auth):
    """A canary in every place where a password can stand."""
    canary = b"cAnArY-7f3a"
    auth.control("authmechanisms", "PLAIN\nLOGIN\nCRAM-MD5")
    auth.add("ann@example.org", canary, secret=base64.b64encode(canary).decode())
    auth.start()
    asker = auth.asker()
    asker.plain("ann@example.org", canary)
    asker.plain(JOE, canary)
    asker.plain("nobody@example.org", canary)
    asker.answer(asker.begin("PLAIN", canary))
    asker.answer(asker.begin("PLAIN", canary + b"\0" + canary))
    asker.answer(asker.begin("PLAIN", b"\0" + JOE.encode() + b"\0" + canary + b"\0"))
    token = asker.begin("LOGIN", b"ann@example.org")
    asker.answer(token)
    asker.respond(token, canary)
    asker.answer(token)
    asker.close()
    text = auth.log()
    assert "ann@example.org logs in" in text and "fails to log in" in text
    for form in (canary, base64.b64encode(canary), canary.hex().encode()):
        assert form.decode() not in text
