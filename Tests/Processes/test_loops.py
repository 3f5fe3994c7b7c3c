"""hardening.md "LOOP / BACKSCATTER": mail that goes in circles ends, with one bounce at most; forged mail makes little mail or none."""

import json
import re
import smtplib

import pytest

from martlet import HOST, Martlet, wait_until

FORGED = "victim@far.example"


@pytest.fixture
def circle(programs):
    """Makes servers h0.example, h1.example …, each of which sends what is for the next one there; the user carol lives at the first."""
    made = []

    def make(count):
        for number in range(count):
            one = Martlet(programs)
            made.append(one)
            for name in ("me", "locals", "rcpthosts"):
                one.control(name, f"h{number}.example")
            one.user("alice")
            one.user("carol")
            one.start()
        for one, following in zip(made, made[1:] + made[:1]):
            one.control("smtproutes", f":[127.0.0.1]:{following.address[1]}")
            # What goes back to the sender at h0 takes the same way.
            one.control("rcpthosts", "\n".join(f"h{number}.example" for number in range(count)))
        return made

    yield make
    for one in made:
        one.clean()


def is_empty(server):
    return b"messages in queue: 0\n" in server.command("qmail-qstat").stdout


def dot_qmail(server, name, line, user="alice"):
    path = server.home / "home" / user / name
    path.write_text(line + "\n")
    path.chmod(0o600)
    server._give(path)


def hops(servers):
    return sum(len(re.findall(r"^starting delivery ", server.log(), re.M)) for server in servers)


def end_of_circle(servers):
    """The messages that carol, who sent one, has when the circle is at rest."""
    servers[0].wait_for_messages("carol", 1, limit=60)
    wait_until(lambda: all(map(is_empty, servers)), lambda: "mail is left:\n" + "\n".join(server.log()[-2000:] for server in servers), 30)
    return servers[0].messages("carol")


def test_two_servers_forward_to_each_other(circle):
    servers = circle(2)
    dot_qmail(servers[0], ".qmail", "&alice@h1.example")
    dot_qmail(servers[1], ".qmail", "&alice@h0.example")
    assert servers[0].inject("carol@h0.example", "alice@h0.example", "Subject: x\n\nround\n") == 0
    (bounce,) = end_of_circle(servers)
    assert b"This message is looping: it already has my Delivered-To line. (#5.4.6)\n" in bounce
    assert hops(servers) <= 8


def test_a_circle_of_three_that_rewrites_the_address(circle, programs):
    """No Delivered-To line is ever seen twice: the number of Received lines ends it."""
    servers = circle(3)
    for number, server in enumerate(servers):
        dot_qmail(server, ".qmail-default", f'|QMAILHOME={server.home} {programs}/forward "alice-x$EXT@h{(number + 1) % 3}.example"')
    assert servers[0].inject("carol@h0.example", "alice-x@h0.example", "Subject: x\n\nround\n") == 0
    (bounce,) = end_of_circle(servers)
    assert b"too many hops" in bounce
    assert hops(servers) <= 210


# What answers every mail but that of nobody, as its manual asks of it; the deliveries and bounces that two of them make of one message.
RESPONDERS = {
    # As vacation(1): nobody is its sender.
    "null sender": ('[ -z "$SENDER" ] || { echo "To: $SENDER"; echo; echo away; } | {bin}/qmail-inject -f "" "$SENDER"', 2, 0),
    # In its own name, below the header that it answers.
    "own sender": ('[ -z "$SENDER" ] || {bin}/preline -fr cat | {bin}/qmail-inject -f "$RECIPIENT" "$SENDER"', 4, 1),
    # Answers nobody as well: the second bounce is the postmaster's.
    "bouncesaying": ('{bin}/bouncesaying away', 3, 2),
}


@pytest.mark.parametrize("kind", RESPONDERS)
def test_two_responders_answer_each_other(server, programs, kind):
    line, deliveries, bounces = RESPONDERS[kind]
    server.user("bob")
    for user in ("alice", "bob"):
        dot_qmail(server, ".qmail", f"|export QMAILHOME={server.home}; " + line.replace("{bin}", str(programs)), user)
    assert server.inject(f"alice@{HOST}", f"bob@{HOST}", "Subject: x\n\nhello\n") == 0
    wait_until(lambda: hops([server]) >= deliveries and is_empty(server), server.log, 30)
    assert hops([server]) == deliveries
    assert len(re.findall(r"^bounce msg ", server.log(), re.M)) == bounces


def test_forged_recipients_make_no_mail(server):
    """10,000 of them."""
    left = 10_000
    while left:
        with smtplib.SMTP(*server.address, timeout=20) as client:
            client.ehlo("x")
            client.mail(FORGED)
            try:
                while left:
                    count = min(left, 100)
                    client.send("".join(f"RCPT TO:<nobody{left - n}@{HOST}>\r\n" for n in range(count)))
                    for _ in range(count):
                        code, text = client.getreply()
                        if code == 421:
                            raise smtplib.SMTPServerDisconnected("enough")
                        assert code == 550 and text.startswith(b"5.1.1 "), (code, text)
                        left -= 1
            except smtplib.SMTPServerDisconnected:
                pass
    server.stop()
    assert "new msg" not in server.log()


def rows(home):
    return [json.loads(line) for line in home.command("martlet", "queue", "list", "--json").stdout.splitlines()]


def test_bounces_to_one_address_are_spread(home):
    """docs/decisions/0035"""
    home.control("bouncesperhour", "2")
    home.control("concurrencyremote", "0")
    home.user("alice")
    home.start()
    for _ in range(5):
        assert home.inject(FORGED, f"alice-gone@{HOST}", "Subject: x\n\nforged\n") == 0
    assert home.inject("other@far.example", f"alice-gone@{HOST}", "Subject: x\n\nforged\n") == 0
    wait_until(lambda: len(re.findall(r"^bounce msg \d+ qp ", home.log(), re.M)) == 6, home.log)
    waits = [int(found) for found in re.findall(rf"^bounce msg \d+ waits (\d+) seconds: too many an hour to {FORGED}$", home.log(), re.M)]
    assert len(waits) == 3 and all(abs(wait - 1800 * (number + 1)) < 60 for number, wait in enumerate(waits))

    def delays():
        return sorted(row["nextRemote"] - row["birth"] for row in rows(home))

    before = delays()
    assert max(before[:3]) == 0 and all(abs(delay - wait) < 5 for delay, wait in zip(before[3:], waits))
    # What is owed is owed after a restart, at its time.
    home.kill("queue")
    home.wait_for_log(r"queue pid \d+ was killed")
    wait_until(lambda: len(rows(home)) == 6, home.log)
    assert delays() == before
