"""A message's whole way, SMTP to its end: Maildir, program, forward, bounce; what log and commands say of it; retries and signals."""

import email
import email.policy
import re
import signal
import time

import pytest

from dialogue import Dialogue
from martlet import HOST, account, wait_until

ALICE = f"alice@{HOST}"
BOB = f"bob@{HOST}"


@pytest.fixture
def server(home):
    """Running, with alice and bob."""
    home.user("alice")
    home.user("bob")
    return home.start()


def write(server, path, text, mode=0o600):
    """A file of an account below the home."""
    path.write_text(text)
    path.chmod(mode)
    server._give(path)
    return path


def inject(server, sender, recipients, content="hello\n"):
    assert server.inject(sender, recipients, content) == 0


def log_lines(server, number):
    """The log lines of message `number`, and of its deliveries."""
    lines = server.log().splitlines()
    deliveries = {m[1] for line in lines if (m := re.match(rf"starting delivery (\d+): msg {number} ", line))}
    return [line for line in lines if re.search(rf"\bmsg {number}\b", line) or (m := re.match(r"delivery (\d+): ", line)) and m[1] in deliveries]


# Local delivery


@pytest.mark.parametrize("content", [
    b"", b"\n", b"Subject: x\n\nbody\n", b"no line end", b"From me\n>From you\n", b"\n\n\n", b"8bit \xff\xfe\n", b"." * 3 + b"\n.\n",
    b"x" * 100_000 + b"\n", b"a line of a large message\n" * 60_000], ids=lambda content: repr(content[:12]))
def test_content_arrives_byte_for_byte(server, content):
    """By qmail-queue, which takes any bytes."""
    inject(server, "s@x.example", ALICE, content)
    [message] = server.wait_for_messages("alice", 1)
    head = rb"Return-Path: <s@x\.example>\nDelivered-To: alice@mail\.example\nReceived: \(qmail \d+ invoked by uid \d+\); [^\n]+ -0000\n"
    found = re.match(head, message)
    assert found and message[found.end():] == content


def test_maildir_files_are_private_and_named_as_qmails(server):
    server.send("s@x.example", "alice", "hello")
    server.wait_for_messages("alice", 1)
    [file] = (server.home / "home/alice/Maildir/new").iterdir()
    assert re.match(r"\d+\.[^/:]+\.", file.name) and not file.name.endswith(":")
    status = file.stat()
    assert (status.st_mode & 0o077, status.st_uid) == (0, account()[0])
    assert not list((server.home / "home/alice/Maildir/tmp").iterdir())


def test_every_recipient_gets_it_once(server):
    server.send("s@x.example", ["alice", "bob", "alice"], "hello")
    server.wait_for_messages("bob", 1)
    server.wait_for_log(r"^end msg 1$")
    assert (len(server.messages("alice")), len(server.messages("bob"))) == (2, 1)


def test_address_case(server):
    """spec-qmail §24.4: look-ups fold case, what is kept does not."""
    server.send("s@x.example", "Alice@MAIL.example", "hello")
    [message] = server.wait_for_messages("alice", 1)
    assert b"\nDelivered-To: Alice@MAIL.example\n" in message


def test_virtualdomains(home):
    home.user("alice")
    home.control("virtualdomains", "virtual.example:alice-shop\nboss@else.example:alice\nnot.virtual.example:")
    home.control("rcpthosts", f"{HOST}\nvirtual.example\nelse.example")
    write(home, home.home / "home/alice/.qmail-shop-default", "./Maildir/\n")
    home.start()
    home.send("s@x.example", "order@virtual.example", "hello")
    [message] = home.wait_for_messages("alice", 1)
    assert b"\nDelivered-To: alice-shop-order@virtual.example\n" in message
    write(home, home.home / "home/alice/.qmail-boss", "./Maildir/\n")
    home.send("s@x.example", "boss@else.example", "hello")
    assert any(b"\nDelivered-To: alice-boss@else.example\n" in m for m in home.wait_for_messages("alice", 2))
    # A failure names the address that the sender knows: without the prepend.
    home.user("bob")
    home.control("virtualdomains", "virtual.example:alice-none")
    home.send_signal(signal.SIGHUP)
    home.wait_for_log(r"^martletd: got HUP")
    time.sleep(0.2)
    inject(home, BOB, "gone@virtual.example")
    [bounce] = home.wait_for_messages("bob", 1)
    assert b"<gone@virtual.example>:\n" in bounce
    assert home.wait_for_log(r"^starting delivery \d+: msg \d+ to local alice-none-gone@virtual\.example$")


def test_alias_gets_what_no_user_controls(home):
    home.user("alice")
    write(home, home.home / "alias/.qmail-postmaster", f"&{ALICE}\n")
    write(home, home.home / "alias/.qmail-info-default", f"&{ALICE}\n")
    home.start()
    home.send("s@x.example", ["postmaster", "info-sales"], "hello")
    found = b"".join(home.wait_for_messages("alice", 2))
    assert b"\nDelivered-To: postmaster@mail.example\n" in found and b"\nDelivered-To: info-sales@mail.example\n" in found


# .qmail


def test_dot_qmail_maildir_program_and_forward(home):
    """All three in one file, for an extension; the program gets the message and the variables of spec-qmail §7."""
    alice = home.user("alice")
    home.user("bob")
    program = '{ echo "$LOCAL|$HOST|$EXT|$DEFAULT|$SENDER|$RECIPIENT|$HOME|$USER"; cat; } > told; echo heard'
    other = alice / "Other"
    for path in (other, *(other / part for part in ("tmp", "new", "cur"))):
        path.mkdir(mode=0o700)
        home._give(path)
    write(home, alice / ".qmail-list-default", f"# comment\n./Other/\n|{program}\n&{BOB}\n")
    home.start()
    home.send("s@x.example", "alice-list-one", "Subject: x\n\nhello\n")
    [forwarded] = home.wait_for_messages("bob", 1)
    [kept] = [file.read_bytes() for file in (other / "new").iterdir()]
    told = (alice / "told").read_bytes()
    first, message = told.split(b"\n", 1)
    assert first.decode() == f"alice-list-one|{HOST}|list-one|one|s@x.example|alice-list-one@{HOST}|{alice}|alice"
    assert kept.endswith(b"Subject: x\n\nhello\n") and kept.startswith(b"Return-Path: <s@x.example>\nDelivered-To: alice-list-one@mail.example\n")
    assert message.startswith(b"Received: (qmail ") and message.endswith(b"Subject: x\n\nhello\n")
    assert forwarded.startswith(b"Return-Path: <s@x.example>\nDelivered-To: bob@mail.example\nReceived: (qmail ")
    assert b"\nDelivered-To: alice-list-one@mail.example\n" in forwarded
    # What the program printed is in the log, as qmail-local merges it.
    home.wait_for_log(r"^delivery \d+: success: heard/did_1\+1\+1/(qp_\d+/)?$")


@pytest.mark.parametrize("code, outcome", [(0, "success"), (99, "success"), (100, "failure"), (111, "deferral"), (64, "failure"), (1, "deferral")])
def test_exit_codes_of_programs(home, code, outcome):
    alice = home.user("alice")
    home.user("bob")
    write(home, alice / ".qmail", f"|echo why; exit {code}\n./Maildir/\n")
    home.start()
    home.send(BOB, "alice", "hello")
    home.wait_for_log(rf"^delivery 1: {outcome}: why/")
    assert len(home.messages("alice")) == (1 if code == 0 else 0)
    if outcome == "failure":
        [bounce] = home.wait_for_messages("bob", 1)
        assert b"<alice@mail.example>:\nwhy\n" in bounce


def test_a_loop_by_delivered_to_ends_in_one_bounce(home):
    """alice forwards to bob, bob to alice."""
    alice, bob = home.user("alice"), home.user("bob")
    carol = home.user("carol")
    write(home, alice / ".qmail", f"&{BOB}\n")
    write(home, bob / ".qmail", f"&{ALICE}\n")
    home.start()
    home.send(f"carol@{HOST}", "alice", "round")
    [bounce] = home.wait_for_messages("carol", 1)
    assert b"<alice@mail.example>:\nThis message is looping: it already has my Delivered-To line. (#5.4.6)\n" in bounce
    assert carol and home.wait_for_log(r"^end msg 4$")


def test_a_loop_of_three_with_a_rewritten_sender_ends_in_one_bounce(home):
    """alice → bob → dave → alice; from bob on the sender is bob's owner, so that he hears of it and carol does not."""
    users = {name: home.user(name) for name in ("alice", "bob", "dave", "carol")}
    for name, target in (("alice", "bob"), ("bob", "dave"), ("dave", "alice")):
        write(home, users[name] / ".qmail", f"&{target}@{HOST}\n")
    write(home, users["bob"] / ".qmail-owner", "./Maildir/\n")
    home.start()
    home.send(f"carol@{HOST}", "alice", "round")
    [bounce] = home.wait_for_messages("bob", 1)
    assert b"<alice@mail.example>:\nThis message is looping: it already has my Delivered-To line. (#5.4.6)\n" in bounce
    wait_until(lambda: b"messages in queue: 0\n" in home.command("qmail-qstat").stdout, home.log)
    assert len(re.findall(r"^starting delivery ", home.log(), re.M)) == 5 and not home.messages("carol")


# Bounces


def test_an_unknown_user_is_refused_at_the_door_and_bounces_behind_it(server):
    with Dialogue(server.address) as client:
        client.say("EHLO c")
        client.say(f"MAIL FROM:<{BOB}>")
        assert client.say(f"RCPT TO:<nobody-here@{HOST}>") == "550 5.1.1 sorry, no mailbox here by that name (#5.1.1)"
    inject(server, BOB, [f"nobody-here@{HOST}", ALICE, f"neither@{HOST}"], "Subject: original\n\nits body\n")
    [bounce] = server.wait_for_messages("bob", 1)
    assert len(server.wait_for_messages("alice", 1)) == 1
    parsed = email.message_from_bytes(bounce, policy=email.policy.default)
    assert not parsed.defects
    assert (parsed["Return-Path"], parsed["To"], parsed["Subject"]) == ("<>", BOB, "failure notice")
    assert parsed["From"] == f"MAILER-DAEMON@{HOST}" and parsed["Auto-Submitted"] == "auto-replied" and parsed["Message-ID"]
    assert parsed.get_content_type() == "multipart/report" and parsed.get_param("report-type") == "delivery-status"
    human, status, original = parsed.iter_parts()
    expected = f"<nobody-here@{HOST}>:\nSorry, no mailbox here by that name. (#5.1.1)\n"
    assert expected in human.get_content()
    # QSBMF's parsers read the preamble: RFC 2046's readers do not.
    assert parsed.preamble.startswith(f"Hi. This is the qmail-send program at {HOST}.\n") and expected in parsed.preamble
    about, *recipients = status.get_payload()
    assert about["Reporting-MTA"] == f"dns; {HOST}"
    assert [(r["Final-Recipient"].split(";")[1].strip(), r["Action"], r["Status"]) for r in recipients] == [
        (f"nobody-here@{HOST}", "failed", "5.1.1"), (f"neither@{HOST}", "failed", "5.1.1")]
    [inner] = original.get_payload()
    assert inner["Subject"] == "original" and inner.get_content() == "its body\n"


def test_bounces_in_qmails_bytes(home):
    home.user("bob")
    home.control("bounceformat", "qsbmf")
    home.control("bouncefrom", "mailer")
    home.control("bouncehost", "bounces.example")
    home.start()
    inject(home, BOB, f"nobody-here@{HOST}", "Subject: original\n\nno line end")
    [bounce] = home.wait_for_messages("bob", 1)
    date = rb"\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d -0000"
    assert re.fullmatch(
        rb"Return-Path: <>\nDelivered-To: bob@mail\.example\nReceived: \(qmail \d+ invoked for bounce\); " + date + rb"\nDate: " + date
        + rb"\nFrom: mailer@bounces\.example\nTo: bob@mail\.example\nSubject: failure notice\n\n"
        rb"Hi\. This is the qmail-send program at bounces\.example\.\n"
        rb"I'm afraid I wasn't able to deliver your message to the following addresses\.\n"
        rb"This is a permanent error; I've given up\. Sorry it didn't work out\.\n\n"
        rb"<nobody-here@mail\.example>:\nSorry, no mailbox here by that name\. \(#5\.1\.1\)\n\n"
        rb"--- Below this line is a copy of the message\.\n\n"
        rb"Return-Path: <bob@mail\.example>\nReceived: \(qmail \d+ invoked by uid \d+\); " + date + rb"\nSubject: original\n\nno line end", bounce)


def test_a_large_original_is_returned_without_its_body(home):
    home.user("bob")
    home.control("bouncemaxbytes", "10000")
    home.start()
    inject(home, BOB, f"nobody-here@{HOST}", "Subject: original\n\n" + "body\n" * 10_000)
    [bounce] = home.wait_for_messages("bob", 1)
    assert len(bounce) < 10_000
    original = list(email.message_from_bytes(bounce, policy=email.policy.default).iter_parts())[2]
    assert original.get_content_type() == "text/rfc822-headers" and "Subject: original" in original.as_string() and "body" not in original.as_string()


def test_a_bounce_that_bounces_goes_to_doublebounceto_and_no_further(home):
    home.user("alice")
    home.control("doublebounceto", "alice")
    home.start()
    inject(home, f"no-sender@{HOST}", f"nobody-here@{HOST}", "original\n")
    [double] = home.wait_for_messages("alice", 1)
    assert double.startswith(b"Return-Path: <#@[]>\n")
    assert b"I tried to deliver a bounce message to this address, but the bounce bounced!\n" in double
    assert b"<no-sender@mail.example>:\n" in double
    home.wait_for_log(r"^end msg 3$")
    assert not re.search(r"^new msg 4$", home.log(), re.M)


def test_a_double_bounce_that_fails_is_dropped(home):
    """control/doublebounceto names nobody."""
    home.control("doublebounceto", "also-nobody")
    home.start()
    inject(home, f"no-sender@{HOST}", f"nobody-here@{HOST}", "original\n")
    home.wait_for_log(r"^triple bounce: discarding bounce/3$")
    home.wait_for_log(r"^end msg 3$")
    assert not re.search(r"^new msg 4$", home.log(), re.M)
    wait_until(lambda: b"messages in queue: 0\n" in home.command("qmail-qstat").stdout, "the queue is not empty")


def test_null_sender_bounces_become_double_bounces(home):
    home.user("alice")
    home.control("doublebounceto", "alice")
    home.start()
    inject(home, "", f"nobody-here@{HOST}", "a bounce of somebody else\n")
    [double] = home.wait_for_messages("alice", 1)
    assert double.startswith(b"Return-Path: <#@[]>\n") and b"--- Below this line is the original bounce.\n\nReturn-Path: <>\n" in double


# The log and qmail's commands


def test_log_lines_have_qmails_shape(server):
    inject(server, BOB, [ALICE, f"nobody here%@{HOST}"], "hello\n")
    server.wait_for_messages("bob", 1)
    server.wait_for_log(r"^end msg 2$")
    uid = account()[0]
    assert [re.sub(r"qp \d+", "qp N", re.sub(r"bytes \d+", "bytes B", line)) for line in sorted(log_lines(server, 1))] == sorted([
        "new msg 1", f"info msg 1: bytes B from <{BOB}> qp N uid {uid}", f"starting delivery 1: msg 1 to local {ALICE}",
        f"starting delivery 2: msg 1 to local nobody_here_@{HOST}", "delivery 1: success: did_1+0+0/",
        "delivery 2: failure: Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/", "bounce msg 1 qp N", "end msg 1"])
    [info] = [line for line in log_lines(server, 2) if line.startswith("info ")]
    assert re.fullmatch(rf"info msg 2: bytes \d+ from <> qp \d+ uid {uid}", info)
    # spec-qmail §10.1: the bounce is born after its message has ended.
    log = server.log()
    assert log.index("bounce msg 1 ") < log.index("end msg 1\n") < log.index("new msg 2\n")
    for line in log.splitlines():
        # The certificate is made at the first start.
        if line.startswith(("martletd: ", "keys: made ")):
            continue
        assert re.fullmatch(
            r"status: local \d+/10 remote \d+/20|new msg \d+|info msg \d+: bytes \d+ from <[!-~]*> qp \d+ uid \d+"
            r"|starting delivery \d+: msg \d+ to (local|remote) [!-~]+|delivery \d+: (success|failure|deferral): [!-~]*"
            r"|bounce msg \d+ qp \d+|end msg \d+",
            line), line


def test_bytes_in_the_log_are_the_size_of_the_message(server):
    inject(server, BOB, ALICE, "x" * 1000)
    [message] = server.wait_for_messages("alice", 1)
    received = message.split(b"\n", 2)[2]
    assert f"info msg 1: bytes {len(received)} from " in server.log()


def sticky(path, on=True):
    path.chmod(0o1700 if on else 0o700)


def test_qmail_qread_and_qstat(home):
    sticky(home.user("alice"))
    home.user("bob")
    home.start()
    assert home.command("qmail-qstat").stdout == b"messages in queue: 0\nmessages in queue but not yet preprocessed: 0\n"
    inject(home, BOB, [BOB, ALICE, "later@127.0.0.1.invalid"], "hello\n")
    home.wait_for_log(r"^delivery \d+: deferral: Home_directory_is_sticky")
    home.wait_for_messages("bob", 1)
    done = home.command("qmail-qread")
    assert done.returncode == 0
    lines = done.stdout.decode().splitlines()
    assert re.fullmatch(rf"\d{{1,2}} \w{{3}} \d{{4}} \d\d:\d\d:\d\d GMT  #1  \d+  <{BOB}> ( bouncing)?", lines[0])
    assert sorted(lines[1:3]) == sorted([f"  done\tlocal\t{BOB}", f"\tlocal\t{ALICE}"])
    assert home.command("qmail-qstat").stdout.startswith(b"messages in queue: 1\n")


# Retries


def test_alrm_retries_what_was_deferred(home):
    alice = home.user("alice")
    sticky(alice)
    home.start()
    home.send("s@x.example", "alice", "hello")
    home.wait_for_log(r"^delivery 1: deferral: Home_directory_is_sticky:_user_is_editing_his_\.qmail_file\._\(#4\.2\.1\)/$")
    home.send_signal(signal.SIGALRM)
    home.wait_for_log(r"^delivery 2: deferral: ")
    sticky(alice, False)
    home.send_signal(signal.SIGALRM)
    home.wait_for_messages("alice", 1)
    home.wait_for_log(r"^end msg 1$")


def test_retry_times_survive_a_restart(home):
    """The second attempt is at 100 s (spec-qmail §9.1), before and after a restart; ALRM still makes it now."""
    alice = home.user("alice")
    sticky(alice)
    home.start()
    home.send("s@x.example", "alice", "hello")
    home.wait_for_log(r"^delivery 1: deferral: ")
    sticky(alice, False)
    # Its retry time is synced within a second.
    time.sleep(1.2)
    home.kill("queue")
    said = len(home.log())
    home.wait_for_log(r"^martletd: started queue ", after=said)
    home.wait_for_log(r"^status: local 0/10 remote 0/20$", after=said)
    time.sleep(1.0)
    assert "starting delivery" not in home.log()[said:]
    assert home.stop() == 0
    said = len(home.log())
    home.start()
    time.sleep(1.0)
    assert "starting delivery" not in home.log()[said:]
    assert b"messages in queue: 1\n" in home.command("qmail-qstat").stdout
    home.send_signal(signal.SIGALRM)
    home.wait_for_messages("alice", 1)


def test_hup_reads_locals_again(home):
    home.user("alice")
    home.control("rcpthosts", f"{HOST}\nnew.example")
    home.control("smtproutes", "new.example:127.0.0.1:1")
    home.start()
    inject(home, "s@x.example", "alice@new.example")
    home.wait_for_log(r"^starting delivery 1: msg 1 to remote alice@new\.example$")
    home.control("locals", f"{HOST}\nnew.example")
    inject(home, "s@x.example", "alice@new.example")
    home.wait_for_log(r"^starting delivery 2: msg 2 to remote alice@new\.example$")
    home.send_signal(signal.SIGHUP)
    home.wait_for_log(r"^martletd: got HUP")

    def is_local():
        inject(home, "s@x.example", "alice@new.example")
        return home.messages("alice")

    wait_until(is_local, home.log)


def test_a_locals_that_does_not_parse_changes_nothing(home):
    """Not a file at all: what HUP finds, it logs in qmail's words, and goes on with what it had."""
    home.user("alice")
    home.start()
    (home.home / "control/locals").unlink()
    (home.home / "control/locals").mkdir()
    home.send_signal(signal.SIGHUP)
    home.wait_for_log(r"^alert: unable to reread control/locals$")
    home.send("s@x.example", "alice", "hello")
    home.wait_for_messages("alice", 1)


def test_queuelifetime(home):
    """A message past its lifetime gets one last attempt, then bounces with qmail's sentence."""
    sticky(home.user("alice"))
    home.user("bob")
    home.control("queuelifetime", "1")
    home.start()
    home.send(BOB, "alice", "hello")
    home.wait_for_log(r"^delivery 1: deferral: ")
    time.sleep(2.1)
    home.send_signal(signal.SIGALRM)
    home.wait_for_log(
        r"^delivery 2: failure: Home_directory_is_sticky.*/I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long\./$")
    [bounce] = home.wait_for_messages("bob", 1)
    assert b"I'm not going to try again; this message has been in the queue too long.\n" in bounce


def test_concurrencylocal_zero_holds(home):
    home.user("alice")
    home.control("concurrencylocal", "0")
    home.start()
    for _ in range(5):
        home.send("s@x.example", "alice", "hello")
    time.sleep(1.0)
    assert home.messages("alice") == [] and "starting delivery" not in home.log()
    assert b"messages in queue: 5\n" in home.command("qmail-qstat").stdout
    home.control("concurrencylocal", "2")
    assert home.stop() == 0
    home.start()
    home.wait_for_messages("alice", 5)
    assert max(int(n) for n in re.findall(r"^status: local (\d+)/2 ", home.log(), re.M)) <= 2


def test_concurrencylocal_is_not_exceeded_and_is_used(home):
    alice = home.user("alice")
    write(home, alice / ".qmail", "|sleep 0.3\n./Maildir/\n")
    home.control("concurrencylocal", "3")
    home.start()
    for _ in range(9):
        home.send("s@x.example", "alice", "hello")
    home.wait_for_messages("alice", 9)
    assert max(int(n) for n in re.findall(r"^status: local (\d+)/3 ", home.log(), re.M)) == 3


# Injection by commands


def test_qmail_inject_and_sendmail(server):
    done = server.command("qmail-inject", "-f", BOB, ALICE, stdin=b"Subject: injected\n\nhello\n")
    assert done.returncode == 0, done.stderr
    done = server.command("sendmail", "-t", "-f", BOB, stdin=f"To: {ALICE}\nBcc: {BOB}\nSubject: sent\n\nhello\n".encode())
    assert done.returncode == 0, done.stderr
    found = [email.message_from_bytes(m, policy=email.policy.default) for m in server.wait_for_messages("alice", 2)]
    assert {m["Subject"] for m in found} == {"injected", "sent"}
    assert all(m["Message-ID"] and m["Date"] and m["From"] and m["Return-Path"] == f"<{BOB}>" for m in found)
    [copy] = server.wait_for_messages("bob", 1)
    assert b"\nBcc:" not in copy
