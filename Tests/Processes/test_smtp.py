"""The SMTP server of the whole system, by smtplib, swaks and raw sockets: what a client sees, and that what was accepted arrives byte for byte."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
import uuid

import pytest

import martlet as harness
from dialogue import Dialogue
from martlet import HOST, wait_until

ALICE = f"alice@{HOST}"
SENDER = "sender@elsewhere.example"
OK = re.compile(r"250 2\.0\.0 ok \d+ qp \d+")


@pytest.fixture(scope="module")
def shared(programs):
    """One running Martlet for the tests that leave it as they found it."""
    instance = harness.Martlet(programs)
    instance.user("alice")
    instance.control("concurrencyperip", "2000")
    instance.control("databytes", "20000000")
    yield instance.start()
    instance.clean()


def marked():
    """A word that no other message holds."""
    return uuid.uuid4().hex


def body_of(message):
    """What the client sent: without the lines that Martlet put in front."""
    lines = message.split(b"\n")
    # Return-Path, Delivered-To, the queue's Received, smtpd's Received with its second line.
    assert lines[0].startswith(b"Return-Path: <") and lines[1].startswith(b"Delivered-To: "), message[:300]
    assert lines[2].startswith(b"Received: (qmail ") and lines[3].startswith(b"Received: from "), message[:300]
    assert lines[4].startswith(b"  by "), message[:300]
    return b"\n".join(lines[5:])


def arrived(server, word, count=1):
    """The bodies of the messages that hold `word`, when there are `count`."""
    def find():
        return [body_of(message) for message in server.messages("alice") if word.encode() in message]

    wait_until(lambda: len(find()) >= count, lambda: f"{word} did not arrive:\n{server.log()[-3000:]}")
    found = find()
    assert len(found) == count
    return found


# Acceptance


def test_smtplib(shared):
    word = marked()
    with shared.smtp() as client:
        assert client.ehlo("client.example")[0] == 250
        client.mail(SENDER)
        assert client.rcpt(ALICE) == (250, b"2.1.5 ok")
        code, text = client.data(f"Subject: {word}\r\n\r\n.leading dot\r\n..two\r\n.\r\nend\r\n")
        assert (code, bool(OK.fullmatch(f"250 {text.decode()}"))) == (250, True)
    [body] = arrived(shared, word)
    assert body == f"Subject: {word}\n\n.leading dot\n..two\n.\nend\n".encode()


def test_received_lines_are_qmails(shared):
    word = marked()
    with Dialogue(shared.address) as client:
        client.envelope(SENDER, ALICE)
        client.say("DATA")
        qp = client.say(f"{word}\r\n.").split()[-1]
    arrived(shared, word)
    [message] = [message for message in shared.messages("alice") if word.encode() in message]
    date = rb"\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d -0000"
    shape = (
        rb"Return-Path: <sender@elsewhere\.example>\nDelivered-To: alice@mail\.example\n"
        rb"Received: \(qmail " + qp.encode() + rb" invoked from network\); " + date + rb"\n"
        rb"Received: from unknown \(HELO client\.example\) \(127\.0\.0\.1\)\n  by mail\.example with SMTP; " + date + rb"\n" + word.encode() + rb"\n")
    assert re.fullmatch(shape, message), message


@pytest.mark.parametrize("options", [["--protocol", "SMTP"], ["--protocol", "ESMTP"], ["--pipeline"]])
def test_swaks(shared, options):
    word = marked()
    done = subprocess.run(
        ["swaks", "--server", shared.address[0], "--port", str(shared.address[1]), "--from", SENDER, "--to", ALICE, "--body", word, *options],
        capture_output=True, text=True, timeout=harness.LIMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"<-\s+250 2\.0\.0 ok \d+ qp \d+", done.stdout)
    [body] = arrived(shared, word)
    assert body.rstrip().endswith(word.encode())


def test_greeting_and_extensions(shared):
    with Dialogue(shared.address) as client:
        assert client.greeting == f"220 {HOST} ESMTP"
        said = [line[4:] for line in client.say("EHLO client.example").split("\n")]
        # STARTTLS comes once role keys has made a certificate.
        assert [word for word in said if word != "STARTTLS"] == [
            HOST, "PIPELINING", "SIZE 20000000", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING"]
        assert client.say("HELO client.example") == f"250 {HOST}"
        assert client.say("NOOP") == "250 2.0.0 ok"
        assert client.say("RSET") == "250 2.0.0 flushed"
        assert client.say("VRFY alice").startswith("252 2.0.0 ")
        assert client.say("HELP").startswith("214 2.0.0 ")
        assert client.say("QUIT") == f"221 2.0.0 {HOST}"
        assert client.is_closed()


def test_a_whole_session_in_one_write(shared):
    """RFC 2920: every answer comes, in order, and QUIT's is the last."""
    word = marked()
    with Dialogue(shared.address, greet=False) as client:
        client.write(
            f"EHLO c.example\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<nobody-here@{HOST}>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n{word}\r\n.\r\n"
            f"MAIL FROM:<>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\n{word}\r\n.\r\nQUIT\r\n")
        codes = [client.reply()[:3] for _ in range(11)]
        assert codes == ["220", "250", "250", "550", "250", "354", "250", "250", "250", "354", "250"]
        assert client.reply().startswith("221")
        assert client.is_closed()
    arrived(shared, word, 2)


def test_bdat(shared):
    """RFC 3030: chunks of any size are the message; a line with a dot is a line."""
    word = marked()
    with Dialogue(shared.address) as client:
        client.envelope(SENDER, ALICE)
        for chunk in (f"{word}\r\n.", "\r\n..\r", "\n.\r\nMAIL FROM:<x@y.example>\r\n"):
            client.write(f"BDAT {len(chunk)}\r\n{chunk}")
            assert client.reply().startswith("250 ")
        client.write("BDAT 0 LAST\r\n")
        assert OK.fullmatch(client.reply())
    assert arrived(shared, word) == [f"{word}\n.\n..\n.\nMAIL FROM:<x@y.example>\n".encode()]


def test_bdat_pipelined(shared):
    word = marked()
    content = f"{word}\r\n" + "x" * 5000
    with Dialogue(shared.address) as client:
        client.write(
            f"EHLO c\r\nMAIL FROM:<{SENDER}>\r\nRCPT TO:<{ALICE}>\r\nBDAT {len(content)}\r\n{content}BDAT 2 LAST\r\n\r\nQUIT\r\n")
        assert [client.reply()[:3] for _ in range(6)] == ["250"] * 5 + ["221"]
    assert arrived(shared, word) == [content.replace("\r\n", "\n").encode() + b"\n"]


def test_a_refused_chunk_is_read_before_the_next_command(shared):
    with Dialogue(shared.address) as client:
        client.write("EHLO c\r\nBDAT 30\r\nMAIL FROM:<smuggled@x.example>NOOP\r\n")
        client.reply()
        assert client.reply().startswith("503 5.5.1 ")
        assert client.reply() == "250 2.0.0 ok"


def test_eight_bits_and_utf8(shared):
    word = marked()
    with Dialogue(shared.address) as client:
        client.say("EHLO client.example")
        assert client.say(f"MAIL FROM:<jürgen@elsewhere.example>").startswith("553 5.6.7 ")
        assert client.say(f"MAIL FROM:<jürgen@elsewhere.example> SMTPUTF8 BODY=8BITMIME") == "250 2.1.0 ok"
        assert client.say(f"RCPT TO:<{ALICE}>") == "250 2.1.5 ok"
        client.say("DATA")
        client.write(word.encode() + bytes(range(128, 256)) + b"\r\n.\r\n")
        assert OK.fullmatch(client.reply())
    assert arrived(shared, word) == [word.encode() + bytes(range(128, 256)) + b"\n"]
    assert "from <j__rgen@elsewhere.example>" in shared.log()


def test_size(shared):
    with Dialogue(shared.address) as client:
        client.say("EHLO client.example")
        assert client.say(f"MAIL FROM:<{SENDER}> SIZE=20000001").startswith("552 5.3.4 ")
        assert client.say(f"MAIL FROM:<{SENDER}> SIZE=99999999999999999999").startswith("552 5.3.4 ")
        assert client.say(f"MAIL FROM:<{SENDER}> SIZE=-1").startswith("555 5.5.4 ")
        assert client.say(f"MAIL FROM:<{SENDER}> SIZE=20000000") == "250 2.1.0 ok"


def test_large_messages_arrive_whole(shared):
    """Past 1 MiB a message has a file of its own in the queue."""
    word = marked()
    line = b"0123456789" * 7 + b"\r\n"
    content = word.encode() + b"\r\n\r\n" + line * 100_000
    with Dialogue(shared.address) as client:
        client.envelope(SENDER, ALICE)
        client.say("DATA")
        client.write(content + b".\r\n")
        assert OK.fullmatch(client.reply())
    assert arrived(shared, word) == [content.replace(b"\r\n", b"\n")]
    wait_until(lambda: not [file for _, _, files in os.walk(shared.home / "queue/content") for file in files], "the content file stays")


# Smuggling: hardening.md "SMG-in"

# Endings that some servers take for the end of a message and RFC 5321 does not.
FALSE_ENDINGS = [
    b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n",
    b"\r\n.\0\r\n", b"\r\n.\x0b\r\n", "\u0085.\u0085".encode(), "\u2028.\u2028".encode(), b"\r\n .\r\n",
]
SMUGGLED = f"MAIL FROM:<smuggled@x.example>\r\nRCPT TO:<{ALICE}>\r\nDATA\r\nsmuggled\r\n.\r\n".encode()


def smuggle(server, ending, word, cuts=()):
    """Sends one message with a false ending inside; the one reply to it."""
    message = word.encode() + ending + SMUGGLED[:-5] + b"\r\n.\r\n"
    with Dialogue(server.address) as client:
        client.envelope(SENDER, ALICE)
        client.say("DATA")
        start = 0
        for cut in [*cuts, len(message)]:
            client.write(message[start:cut])
            start = cut
        answer = client.reply()
        # Nothing that followed was taken for a command: the next answer is NOOP's.
        assert client.say("NOOP") == "250 2.0.0 ok"
    return answer


def judge(server, ending, word, answers):
    """A message with a stray CR, LF or NUL is refused whole; the others are text and arrive once."""
    rest = ending.replace(b"\r\n", b"")
    if b"\0" in rest:
        assert all(answer.startswith("550 5.6.0 ") for answer in answers), (ending, answers)
    elif b"\r" in rest or b"\n" in rest:
        assert all(answer.startswith("550 5.5.2 ") for answer in answers), (ending, answers)
    else:
        assert all(OK.fullmatch(answer) for answer in answers), (ending, answers)
        arrived(server, word, len(answers))
        return
    assert not [message for message in server.messages("alice") if word.encode() in message]


@pytest.mark.parametrize("ending", FALSE_ENDINGS, ids=repr)
def test_smuggling(shared, ending):
    word = marked()
    message_length = len(word) + len(ending) + len(SMUGGLED)
    judge(shared, ending, word, [smuggle(shared, ending, word), smuggle(shared, ending, word, range(1, message_length))])


@pytest.mark.parametrize("ending", [b"\n.\n", b"\r\n.\r", b"\r\n.\n", b"\r\n.\r\r\n", b"\r\n .\r\n"], ids=repr)
def test_smuggling_split_at_every_offset(shared, ending):
    word = marked()
    judge(shared, ending, word, [smuggle(shared, ending, word, [cut]) for cut in range(len(word) - 1, len(word) + len(ending) + 12)])


@pytest.mark.parametrize("ending", FALSE_ENDINGS, ids=repr)
def test_smuggling_in_a_chunk(shared, ending):
    word = marked()
    content = word.encode() + ending + SMUGGLED
    with Dialogue(shared.address) as client:
        client.envelope(SENDER, ALICE)
        client.write(b"BDAT %d LAST\r\n" % len(content) + content)
        judge(shared, ending, word, [client.reply()])
        assert client.say("NOOP") == "250 2.0.0 ok"


def test_nothing_was_smuggled(shared):
    """After all of the above."""
    assert "smuggled@x.example> qp" not in shared.log()


# Replies


@pytest.mark.parametrize("command", [
    "HELO {}", "MAIL FROM:<{}@x.example>", "MAIL FROM:<a@{}>", "RCPT TO:<{}@mail.example>", "VRFY {}", "{}", "NOOP {}"])
def test_no_reply_echoes_what_came(shared, command):
    """`Dialogue` checks the form of each line; sessions end after 20 errors, so new ones are made."""
    before, after = command.encode().split(b"{}")
    client = Dialogue(shared.address)
    for number, byte in enumerate(b for b in range(256) if b != 10):
        if number % 10 == 0:
            client.close()
            client = Dialogue(shared.address)
            client.say("EHLO c")
            client.say("MAIL FROM:<a@b.example>")
        answer = client.say(before + b"canary" + bytes([byte]) + b"canary" + after)
        assert "canary" not in answer
    client.close()


@pytest.mark.parametrize("name", [b"<script>", b"a\x1bb".replace(b"\x1b", b"%"), b"x" * 255])
def test_hostile_helo_names_are_harmless_in_the_trace(shared, name):
    word = marked()
    with Dialogue(shared.address) as client:
        assert client.say(b"EHLO " + name).startswith("250")
        client.say(f"MAIL FROM:<{SENDER}>")
        client.say(f"RCPT TO:<{ALICE}>")
        client.say("DATA")
        client.say(f"{word}\r\n.")
    arrived(shared, word)
    [message] = [message for message in shared.messages("alice") if word.encode() in message]
    helo = re.search(rb"\(HELO ([^)\n]*)\)", message)[1]
    assert re.fullmatch(rb"[A-Za-z0-9.@%+/=:\-\[\]?]+", helo)


# Limits: hardening.md "LEN"


def test_command_line_limit(shared):
    with Dialogue(shared.address) as client:
        assert client.say("NOOP " + "x" * (4096 - 5)) == "250 2.0.0 ok"
        assert client.say("NOOP " + "x" * (4096 - 4)).startswith("500 5.5.2 ")
        assert client.say("NOOP") == "250 2.0.0 ok"


def test_an_endless_command_ends_the_session(shared):
    with Dialogue(shared.address) as client, contextlib.suppress(ConnectionError):
        for _ in range(100):
            client.write(b"x" * 65536)
        pytest.fail("6 MiB of one command were taken")


def test_errors_and_junk_end_the_session(shared):
    with Dialogue(shared.address) as client:
        answers = [client.say("UNKNOWN") for _ in range(21)]
        assert {answer[:3] for answer in answers[:20]} == {"502"} and answers[20].startswith("421 4.7.0 ")
        assert client.is_closed()
    with Dialogue(shared.address) as client:
        answers = [client.say("NOOP") for _ in range(101)]
        assert {answer[:3] for answer in answers[:100]} == {"250"} and answers[100].startswith("421 4.7.0 ")
        assert client.is_closed()


def test_a_web_browser_is_shown_the_door(shared):
    with Dialogue(shared.address) as client:
        client.write("POST / HTTP/1.1\r\nHost: mail.example\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.example>\r\n")
        assert client.reply().startswith("421 4.7.0 ")
        assert client.is_closed()


def test_recipient_limit(shared):
    with Dialogue(shared.address) as client:
        client.say("EHLO c")
        client.say(f"MAIL FROM:<{SENDER}>")
        client.write(f"RCPT TO:<{ALICE}>\r\n" * 1001 + "RSET\r\n")
        answers = [client.reply() for _ in range(1002)]
        assert set(answers[:1000]) == {"250 2.1.5 ok"}
        assert answers[1000].startswith("452 4.5.3 ")
        assert answers[1001] == "250 2.0.0 flushed"


@pytest.mark.parametrize("header, answer", [
    (b"Received: x\r\n" * 99, OK), (b"Received: x\r\n" * 100, r"554 5\.4\.6 .*"), (b"dElIvErEd-To: x\r\n" * 100, r"554 5\.4\.6 .*"),
    (b"X: y\r\n" * 900, OK), (b"X: y\r\n" * 1001, r"552 5\.3\.4 .*"), (b"X: " + b"y" * (256 << 10) + b"\r\n", r"552 5\.3\.4 .*"),
])
def test_header_limits(shared, header, answer):
    with Dialogue(shared.address) as client:
        client.envelope(SENDER, ALICE)
        client.say("DATA")
        client.write(header + b"\r\nbody\r\n.\r\n")
        assert re.fullmatch(answer, client.reply())
        assert client.say("NOOP") == "250 2.0.0 ok"


@pytest.mark.parametrize("path, answer", [
    ("a" * 300 + "@mail.example", "550"), ("a" * 1000 + "@mail.example", "555"), ("a@" + "b" * 256, "555"), ("", "555"), ("\0@mail.example", "500"),
    ("@a.example,@b.example:alice@mail.example", "250"), ('"alice"@mail.example', "250"), ("alice@elsewhere.example", "553"),
    ("alice%elsewhere.example@mail.example", "550"), ('"alice@elsewhere.example"@mail.example', "550"), ("alice@mail.example.", "553"),
])
def test_recipients(shared, path, answer):
    with Dialogue(shared.address) as client:
        client.say("EHLO c")
        client.say(f"MAIL FROM:<{SENDER}>")
        assert client.say(f"RCPT TO:<{path}>")[:3] == answer


# Many clients


def test_a_thousand_idle_connections(shared):
    clients = []
    try:
        for _ in range(1000):
            clients.append(Dialogue(shared.address, greet=False))
        for client in clients:
            client.reply()
        start = time.monotonic()
        with Dialogue(shared.address) as one_more:
            assert one_more.greeting.startswith("220 ")
            assert time.monotonic() - start < 1.0
        word = marked()
        clients[500].envelope(SENDER, ALICE)
        clients[500].say("DATA")
        assert OK.fullmatch(clients[500].say(f"{word}\r\n."))
        arrived(shared, word)
    finally:
        for client in clients:
            client.close()


def test_connections_of_one_address_are_counted(home):
    home.control("concurrencyperip", "3")
    home.start()
    clients = [Dialogue(home.address) for _ in range(3)]
    with Dialogue(home.address) as refused:
        assert refused.greeting.startswith("421 4.7.0 ")
        assert refused.is_closed()
    clients[0].close()

    def is_let_in():
        with Dialogue(home.address) as client:
            return client.greeting.startswith("220 ")

    wait_until(is_let_in, "a place that was given back stays taken")
    for client in clients:
        client.close()


def test_connections_in_all_are_counted(home):
    home.control("concurrencyincoming", "2")
    home.control("smtpworkers", "1")
    home.start()
    with Dialogue(home.address), Dialogue(home.address), Dialogue(home.address) as refused:
        assert refused.greeting.startswith("421 4.7.0 ")


# Control files that change while it runs


def answers_to(server, *commands):
    with Dialogue(server.address) as client:
        return [client.say(command) for command in ("EHLO c", *commands)]


def test_changed_control_files_count_from_the_next_connection(server):
    mail, recipient = f"MAIL FROM:<{SENDER}>", "RCPT TO:<x@new.example>"
    old = Dialogue(server.address)
    assert answers_to(server, mail, recipient)[2].startswith("553 5.7.1 ")
    server.control("rcpthosts", f"{HOST}\nnew.example")
    assert answers_to(server, mail, recipient)[2] == "250 2.1.5 ok"
    server.control("badmailfrom", "@elsewhere.example")
    assert answers_to(server, mail, recipient)[1:] == [
        "250 2.1.0 ok", "553 5.7.1 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"]
    server.control("badmailfrom", None)
    assert answers_to(server, mail, recipient)[2] == "250 2.1.5 ok"
    server.control("databytes", "1000")
    assert "250-SIZE 1000" in answers_to(server)[0]
    server.control("smtpgreeting", "other.example no spam")
    with Dialogue(server.address) as client:
        assert client.greeting == "220 other.example no spam ESMTP"
    # One that was there before keeps what it began with.
    assert [old.say("EHLO c").split("\n")[2], old.say(mail), old.say(recipient)[:3]] == ["250-SIZE 0", "250 2.1.0 ok", "553"]
    old.close()


def test_databytes_is_enforced(server):
    server.control("databytes", "1000")
    with Dialogue(server.address) as client:
        for size, answer in ((990, "250"), (1500, "552")):
            client.envelope(SENDER, ALICE)
            client.say("DATA")
            assert client.say("x" * (size - 2) + "\r\n.")[:3] == answer
    with Dialogue(server.address) as client:
        client.envelope(SENDER, ALICE)
        client.write("BDAT 600\r\n" + "x" * 600)
        assert client.reply().startswith("250")
        client.write("BDAT 600 LAST\r\n" + "x" * 600)
        assert client.reply().startswith("552 5.3.4 ")


def test_smtprules(server):
    mail, recipient = f"MAIL FROM:<{SENDER}>", "RCPT TO:<x@far.example>"
    server.control("smtprules", '127.:allow,RELAYCLIENT=""\n:allow')
    assert answers_to(server, mail, recipient)[2] == "250 2.1.5 ok"
    server.control("smtprules", '127.:allow,RELAYCLIENT="",DATABYTES="777"')
    assert "250-SIZE 777" in answers_to(server)[0]
    server.control("smtprules", "127.0.0.1:deny\n:allow")
    with Dialogue(server.address) as client:
        assert client.greeting.startswith("554 5.7.1 ")
        assert client.is_closed()
    server.control("smtprules", None)
    assert answers_to(server, mail, recipient)[2].startswith("553 ")


def test_a_bad_rule_is_said_once_and_changes_nothing(server):
    mail, recipient = f"MAIL FROM:<{SENDER}>", "RCPT TO:<x@far.example>"
    server.control("smtprules", '# ours\n127.:allow,RELAYCLIENT=""')
    assert answers_to(server, mail, recipient)[2] == "250 2.1.5 ok"
    server.control("smtprules", "# ours\n127.:allow\n127.:perhaps\x01")
    for _ in range(3):
        assert answers_to(server, mail, recipient)[2] == "250 2.1.5 ok"
    line = server.wait_for_log(r"^.*smtprules line 3: .*$")[0]
    workers = len(server.pids()["smtpd"])
    assert 1 <= server.log().count("smtprules line 3: ") <= workers and "the old value stays" in line and "\x01" not in line
    server.control("smtprules", ":allow")
    assert answers_to(server, mail, recipient)[2].startswith("553 ")


# When the rest of the system is not there


def test_mail_waits_for_a_queue_that_comes_back(server):
    """martletd holds the queue's socket, so that a restart is a pause."""
    with Dialogue(server.address) as client:
        client.envelope(SENDER, ALICE)
        server.kill("queue")
        answer = client.say("DATA")
        # 451 in the moment in which smtpd has no connection, and for what went into the one that died.
        if answer.startswith("354 "):
            answer = client.say("during the restart\r\n.")
        assert OK.fullmatch(answer) or answer.startswith("451 4.3.0 "), answer
        wait_until(lambda: OK.fullmatch(said_after_restart(client)), "the session takes no more mail")
    server.wait_for_messages("alice", 1)


def said_after_restart(client):
    client.envelope(SENDER, ALICE)
    answer = client.say("DATA")
    return client.say("after it\r\n.") if answer.startswith("354 ") else answer


def test_a_queue_that_is_down_costs_a_message_not_the_session(server):
    # Until the queue has taken smtpd's first connection, that one would only wait for the next queue.
    server.send(SENDER, "alice", "hello")
    (server.home / "run/inject/socket").unlink()
    server.kill("queue")

    def data():
        with Dialogue(server.address) as client:
            client.envelope(SENDER, ALICE)
            answer = client.say("DATA")
            if answer.startswith("354 "):
                client.say(".")
                return None
            client.envelope(SENDER, ALICE)
            client.write("BDAT 5 LAST\r\nhello")
            return [answer, client.reply(), client.say("NOOP")]

    assert wait_until(data, "nothing is refused") == ["451 4.3.0 qqt failure (#4.3.0)", "451 4.3.0 qqt failure (#4.3.0)", "250 2.0.0 ok"]


def test_a_queue_that_dies_with_a_message(server):
    # Until the queue has taken smtpd's first connection, all that went into it waits for the next queue.
    server.send(SENDER, "alice", "hello")
    server.wait_for_messages("alice", 1)
    with Dialogue(server.address) as client:
        client.envelope(SENDER, ALICE)
        client.say("DATA")
        client.write("x" * 200_000)
        time.sleep(0.2)
        server.kill("queue")
        # It is not committed when smtpd sees that the queue is gone: that can be refused. (After the commit nothing true could be said.)
        time.sleep(0.5)
        client.write("\r\n.\r\n")
        assert client.reply().startswith("451 4.3.0 ")
        assert client.say("NOOP") == "250 2.0.0 ok"
    assert len(server.messages("alice")) == 1


def test_a_route_that_is_down_lets_mail_in(server):
    """Whether a mailbox exists is then found at delivery."""
    os.kill(server.pid("route"), signal.SIGSTOP)
    try:
        with Dialogue(server.address) as client:
            client.say("EHLO c")
            client.say(f"MAIL FROM:<{SENDER}>")
            assert client.say(f"RCPT TO:<{ALICE}>") == "250 2.1.5 ok"
    finally:
        os.kill(server.pid("route"), signal.SIGCONT)


def test_thousands_of_recipients_in_one_burst(home):
    """Route's verdict is remembered: none of them waits, and none may cost a level of the stack."""
    count = 10_000
    home.user("alice")
    home.control("maxrecipients", str(count))
    home.start()
    pid = home.pid("smtpd")
    with Dialogue(home.address) as client:
        client.envelope(SENDER, ALICE)
        client.write(f"RCPT TO:<{ALICE}>\r\n" * (count - 1) + "NOOP\r\n")
        for _ in range(count - 1):
            assert client.reply() == "250 2.1.5 ok"
        assert client.reply() == "250 2.0.0 ok"
    assert home.pid("smtpd") == pid


# Listeners and time


def test_unix_listener(home):
    path = home.home / "smtp"
    home.user("alice")
    home.control("smtplisten", f"unix:{path}\n127.0.0.1:0")
    home.launch()
    home.wait_for_log(r"^martletd: ready: ")
    with Dialogue(str(path), socket.AF_UNIX) as client:
        client.envelope(SENDER, ALICE)
        client.say("DATA")
        assert OK.fullmatch(client.say("by unix\r\n."))
    [message] = home.wait_for_messages("alice", 1)
    assert b"Received: from unknown (HELO client.example) (unknown)\n  by mail.example with SMTP; " in message


def test_slow_clients_are_dropped(home):
    """timeoutsmtpd is for a command, not for a byte: who drips is as late as who is silent."""
    home.user("alice")
    home.control("timeoutsmtpd", "2")
    home.start()
    start = time.monotonic()
    silent, dripping = Dialogue(home.address), Dialogue(home.address)
    in_data = Dialogue(home.address)
    in_data.envelope(SENDER, ALICE)
    in_data.say("DATA")
    gone = {}
    with contextlib.ExitStack() as stack:
        for name, client in (("silent", silent), ("dripping", dripping), ("in data", in_data)):
            stack.enter_context(client)
            client.socket.settimeout(0.05)
        while len(gone) < 3:
            assert time.monotonic() - start < 15, f"left: {set(('silent', 'dripping', 'in data')) - set(gone)}"
            for name, client in (("silent", silent), ("dripping", dripping), ("in data", in_data)):
                if name in gone:
                    continue
                with contextlib.suppress(OSError):
                    if name != "silent":
                        client.socket.send(b"x")
                with contextlib.suppress(TimeoutError):
                    try:
                        gone[name] = client.reply()
                    except ConnectionResetError:
                        gone[name] = "reset"
            time.sleep(0.1)
    # A client that still writes when the server closes may see a reset in place of the words.
    assert gone["silent"] == "451 4.4.2 timeout (#4.4.2)"
    assert set(gone.values()) <= {"451 4.4.2 timeout (#4.4.2)", "reset"}


def test_a_client_that_takes_no_replies_costs_nobody(server):
    deaf = Dialogue(server.address)
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.socket.settimeout(1)
    with contextlib.suppress(OSError):
        for _ in range(10_000):
            deaf.write(b"EHLO x\r\n" * 100)
    with Dialogue(server.address) as client:
        client.envelope(SENDER, ALICE)
    deaf.close()


# More than once: whether its delivery begins before the queue stops is a race, and both ways must end well.
@pytest.mark.parametrize("_", range(4))
def test_term_lets_a_transaction_finish(server, _):
    with Dialogue(server.address) as client, Dialogue(server.address) as idle:
        client.envelope(SENDER, ALICE)
        client.say("DATA")
        server.send_signal(signal.SIGTERM)
        assert idle.reply().startswith("421 4.3.2 ")
        client.write("last words\r\n.\r\n")
        assert OK.fullmatch(client.reply())
    assert server.supervisor.wait(harness.STOP_LIMIT) == 0
    server.start()
    [message] = server.wait_for_messages("alice", 1)
    assert body_of(message) == b"last words\n"


def test_what_a_client_did_not_finish_is_not_kept(server):
    for part in (b"DATA\r\nhalf a message\r\n", b"BDAT 100\r\nhalf a chunk", b"BDAT 5\r\nchunk"):
        with Dialogue(server.address) as client:
            client.envelope(SENDER, ALICE)
            client.write(part)
            client.reply() if not part.startswith(b"BDAT 100") else None
    with Dialogue(server.address) as client:
        client.envelope(SENDER, ALICE)
        client.say("DATA")
        client.say("whole\r\n.")
    [message] = server.wait_for_messages("alice", 1)
    assert body_of(message) == b"whole\n"
    assert server.log().count("\nnew msg ") == 1
