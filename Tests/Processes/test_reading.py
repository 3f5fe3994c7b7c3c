"""Mail from SMTP to a POP3 client, through all roles: route, queue, delivery worker, auth, lspawn, access, store worker."""

import base64
import contextlib
import hashlib
import hmac
import poplib
import ssl

import pytest

from martlet import LIMIT, wait_until

DOMAIN = "example.org"
JOE, ANN = f"joe@{DOMAIN}", f"ann@{DOMAIN}"
PASSWORDS = {JOE: "secret of joe", ANN: "ann's secret"}


@pytest.fixture
def reading(home):
    """A running Martlet with two mailboxes of a domain of accounts, and doors for POP3; every login by every mechanism."""
    home.control("rcpthosts", f"mail.example\n{DOMAIN}")
    home.control("pop3listen", "127.0.0.1:0")
    home.control("pop3slisten", "127.0.0.1:0")
    home.control("authsecrets", "1")
    home.control("authmechanisms", "PLAIN\nLOGIN\nSCRAM-SHA-256\nCRAM-MD5\nAPOP")
    run(home, "domain", "add", DOMAIN)
    for account, password in PASSWORDS.items():
        run(home, "user", "add", account, stdin=password.encode() + b"\n")
    home.start()
    wait_until((home.home / "tls/default/cert.pem").exists, home.log)
    wait_until(lambda: "STLS" in capabilities(home), home.log)
    return home


def run(home, *arguments, stdin=b""):
    done = home.command("martlet", *arguments, stdin=stdin)
    assert done.returncode == 0, done.stderr


def capabilities(home):
    client = poplib.POP3(*home.doors["pop3"], timeout=LIMIT)
    try:
        return client.capa()
    finally:
        client.quit()


def send(home, account, subject):
    with home.smtp() as client:
        assert client.sendmail("s@sender.example", account, f"Subject: {subject}\r\n\r\n.dot\r\n") == {}


def pops(home):
    return poplib.POP3_SSL(*home.doors["pop3s"], timeout=LIMIT, context=ssl._create_unverified_context())


def by_password(client, account):
    client.user(account)
    return client.pass_(PASSWORDS[account])


def by_apop(client, account):
    return client.apop(account, PASSWORDS[account])


def auth(client, mechanism, *answers):
    """AUTH with answers that are bytes, or made from the challenge; the last reply."""
    client._putcmd(f"AUTH {mechanism}")
    reply = client._getline()[0]
    for answer in answers:
        assert reply.startswith(b"+ "), reply
        said = answer(base64.b64decode(reply[2:])) if callable(answer) else answer
        client._putline(base64.b64encode(said))
        reply = client._getline()[0]
    return reply


def by_plain(client, account):
    return auth(client, "PLAIN", f"\0{account}\0{PASSWORDS[account]}".encode())


def by_login(client, account):
    return auth(client, "LOGIN", account.encode(), PASSWORDS[account].encode())


def by_cram(client, account):
    return auth(client, "CRAM-MD5", lambda challenge: f"{account} {hmac.new(PASSWORDS[account].encode(), challenge, 'md5').hexdigest()}".encode())


def by_scram(client, account):
    """RFC 5802, with the server's proof checked."""
    first = f"n={account},r=clientnonce"
    proven = {}

    def final(challenge):
        fields = dict(part.split("=", 1) for part in challenge.decode().split(","))
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORDS[account].encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = lambda name: hmac.new(salted, name, "sha256").digest()
        without_proof = f"c=biws,r={fields['r']}"
        message = f"{first},{challenge.decode()},{without_proof}".encode()
        signature = hmac.new(hashlib.sha256(key(b"Client Key")).digest(), message, "sha256").digest()
        proof = bytes(a ^ b for a, b in zip(key(b"Client Key"), signature))
        proven["v"] = b"v=" + base64.b64encode(hmac.new(key(b"Server Key"), message, "sha256").digest())
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()

    def check(challenge):
        assert challenge == proven["v"]
        return b""

    return auth(client, "SCRAM-SHA-256", b"n,," + first.encode(), final, check)


@pytest.mark.parametrize("log_in", [by_password, by_apop, by_plain, by_login, by_cram, by_scram])
def test_each_way_to_log_in_opens_the_right_mailbox(reading, log_in):
    send(reading, JOE, "for joe")
    send(reading, ANN, "for ann")
    for account, subject in ((JOE, b"Subject: for joe"), (ANN, b"Subject: for ann")):
        assert wait_until(lambda: count(reading, account), reading.log) == 1
        client = pops(reading)
        assert log_in(client, account) == b"+OK "
        lines = client.retr(1)[1]
        assert subject in lines and lines[-1] == b".dot"
        client.dele(1)
        client.quit()
        assert count(reading, account) == 0


def count(home, account):
    client = pops(home)
    by_password(client, account)
    try:
        return client.stat()[0]
    finally:
        client.quit()


@pytest.mark.parametrize("log_in", [by_plain, by_login, by_cram])
def test_wrong_passwords_are_refused(reading, log_in, monkeypatch):
    monkeypatch.setitem(PASSWORDS, JOE, "wrong")
    client = pops(reading)
    assert log_in(client, JOE).startswith(b"-ERR [AUTH]")
    client.close()


def test_a_mailbox_of_a_shared_account_is_confined(reading):
    """The store worker's Landlock: it cannot be seen from outside but by its arguments."""
    client = pops(reading)
    by_password(client, JOE)
    worker = next(arguments for pid, arguments in store_workers(reading))
    assert worker[1:] == ["confined", "pop3", "Maildir"]
    client.quit()


def store_workers(home):
    import martlet
    return [(pid, arguments) for pid, (_, arguments) in martlet.processes().items() if arguments[:1] == ["martlet-store"] and home._is_ours(pid)]


def test_workers_end_with_their_clients(reading):
    clients = [pops(reading) for _ in range(5)]
    for client in clients:
        by_password(client, JOE)
    assert len(store_workers(reading)) == 5
    for client in clients[:3]:
        client.quit()
    for client in clients[3:]:
        client.sock.close()
        client.file.close()
    wait_until(lambda: not store_workers(reading), reading.log)


def test_auth_and_lspawn_may_die_and_return(reading):
    held = pops(reading)
    by_password(held, JOE)
    for role in ("auth", "lspawn", "keys"):
        reading.kill(role)
        wait_until(lambda: can_read(reading), reading.log)
    held.noop()
    held.quit()


def can_read(home):
    with contextlib.suppress(poplib.error_proto, OSError, EOFError):
        return count(home, JOE) == 0
    return False


def test_passwords_are_in_no_log(reading):
    client = pops(reading)
    client.user(JOE)
    with contextlib.suppress(poplib.error_proto):
        client.pass_("canary-password")
    by_password(client, JOE)
    client.quit()
    assert "canary" not in reading.log() and PASSWORDS[JOE] not in reading.log()
