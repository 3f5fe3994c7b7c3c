"""`martlet queue`: each action while mail flows, and after a kill of the queue that follows its answer (docs/queue.md, "Administering")."""

import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

from fault_smtp import FaultServer
from martlet import HOST, LIMIT, wait_until

FAR = "far.example"
OTHER = "other.example"


@pytest.fixture
def far():
    """A next hop that defers everything, so that mail waits."""
    server = FaultServer(mail="451 not now")
    yield server
    server.close()


@pytest.fixture
def near():
    """A next hop that takes everything."""
    server = FaultServer()
    yield server
    server.close()


@pytest.fixture
def queue(home, far):
    home.user("alice")
    home.user("bob")
    home.control("smtproutes", f"{FAR}:127.0.0.1:{far.port}\n{OTHER}:127.0.0.1:{far.port}")
    home.start()
    return home


def martlet(home, *arguments, code=0):
    """The answer of `martlet queue …`."""
    done = home.command("martlet", "queue", *arguments)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr, home.log()[-2000:])
    return done.stdout.decode()


def listed(home, *arguments):
    return [json.loads(line) for line in martlet(home, "list", "--json", *arguments).splitlines()]


def waiting(home, *arguments):
    """Addresses that wait."""
    return sorted(r["address"] for message in listed(home, *arguments) for r in message["recipients"] if r["state"] in ("waiting", "underWay"))


def deferred(home, recipients, sender=f"alice@{HOST}"):
    """Injects a message that the next hop defers; its id."""
    said = len(home.log())
    assert home.inject(sender, recipients, "Subject: waits\n\nbody\n") == 0
    number = int(home.wait_for_log(rf"^info msg (\d+): bytes \d+ from <{re.escape(sender)}>", after=said)[1])

    def tried():
        shown = json.loads(martlet(home, "show", "--json", str(number)))["recipients"]
        return all("text" in recipient and recipient["state"] == "waiting" for recipient in shown)

    wait_until(tried, home.log)
    return number


def kill_queue(home):
    """kill -9 of the queue; returns when it answers again."""
    [pid] = home.pids()["queue"]
    os.kill(pid, signal.SIGKILL)

    def answers():
        return home.pids().get("queue", [pid]) != [pid] and home.command("qmail-qstat").returncode == 0

    wait_until(answers, home.log)


@pytest.fixture
def traffic(queue):
    """Mail that flows meanwhile; at the end all of it must have arrived."""
    stopping, sent = threading.Event(), []

    def run():
        while not stopping.is_set():
            if queue.inject(f"s@{FAR}", f"bob@{HOST}", f"Subject: flow {len(sent)}\n\nx\n") == 0:
                sent.append(len(sent))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    stopping.set()
    thread.join(LIMIT)
    assert sent

    def missing():
        # A kill may have repeated some.
        arrived = {re.search(rb"^Subject: (.*)$", raw, re.M)[1] for raw in queue.messages("bob")}
        return {f"flow {number}".encode() for number in sent} - arrived

    wait_until(lambda: not missing(), lambda: f"{missing()} did not arrive\n{queue.log()[-3000:]}")


def test_list_and_show(queue):
    first = deferred(queue, [f"x@{FAR}", f"y@{OTHER}"])
    second = deferred(queue, f"z@{FAR}", sender="")
    assert [m["id"] for m in listed(queue)] == [first, second]
    assert waiting(queue, "--domain", FAR.upper()) == [f"x@{FAR}", f"z@{FAR}"]
    assert waiting(queue, "--sender", f"*@{HOST}") == [f"x@{FAR}", f"y@{OTHER}"]
    assert waiting(queue, "--sender", "") == [f"z@{FAR}"]
    assert waiting(queue, "--recipient", "y@*") == [f"y@{OTHER}"]
    assert waiting(queue, "--older-than", "1h") == [] and len(waiting(queue, "--younger-than", "1h")) == 3
    assert waiting(queue, "--channel", "local") == [] and waiting(queue, "--held") == []
    assert waiting(queue, str(second), "--domain", OTHER) == []
    fields = martlet(queue, "list", str(second)).rstrip("\n").split("\t")
    assert fields[0] == str(second) and fields[4:8] == ["waiting", fields[5], "remote", f"z@{FAR}"]
    shown = martlet(queue, "show", str(first))
    assert f"x@{FAR}" in shown and "Subject: waits" in shown and "not now" in shown and "body" not in shown
    assert martlet(queue, "show", str(first), "--content").endswith("Subject: waits\n\nbody\n")
    assert json.loads(martlet(queue, "show", "--json", str(first)))["recipients"][0]["text"].count("not now") == 1


def test_bytes_that_are_no_text(home):
    """JSON has only text: what it cannot hold is told in hexadecimal too. People see nothing that turns or ends a line."""
    home.control("concurrencyremote", "0")
    home.start()
    assert home.inject("s\udcff@x.example", [f"y\udce9@{FAR}", f"\u202ez@{FAR}"], "Subject: x\n\nx\n") == 0
    [message] = wait_until(lambda: listed(home), home.log)
    assert bytes.fromhex(message["senderHex"]) == b"s\xff@x.example" and message["sender"] == "s\ufffd@x.example"
    found = {r["address"]: r.get("addressHex") for r in message["recipients"]}
    assert found == {f"y\ufffd@{FAR}": (b"y\xe9@" + FAR.encode()).hex(), f"\u202ez@{FAR}": None}
    assert f"remote _z@{FAR}" in martlet(home, "show", str(message["id"]))


def test_hold_survives_a_kill_until_release(queue, traffic, near):
    held = deferred(queue, f"x@{FAR}")
    queue.control("smtproutes", f"{FAR}:127.0.0.1:{near.port}")
    assert martlet(queue, "hold", "--domain", FAR) == "held: 1 message\n"
    kill_queue(queue)
    assert [m["held"] for m in listed(queue, "--held")] == [True]
    queue.send_signal(signal.SIGALRM)
    martlet(queue, "retry", str(held))
    time.sleep(0.5)
    assert not near.messages and waiting(queue, str(held)) == [f"x@{FAR}"]
    assert martlet(queue, "release", "--held") == "released: 1 message\n"
    wait_until(lambda: near.messages, queue.log)
    queue.wait_for_log(rf"^end msg {held}$")
    assert re.search(rf"^hold msg {held} by uid \d+\n", queue.log(), re.M) and re.search(rf"^release msg {held} by uid", queue.log(), re.M)


def test_a_release_is_kept(queue, near):
    held = deferred(queue, f"x@{FAR}")
    martlet(queue, "hold", str(held))
    martlet(queue, "release", str(held))
    kill_queue(queue)
    assert listed(queue, "--held") == [] and len(listed(queue)) == 1


def test_retry_tries_now(queue, traffic, near):
    number = deferred(queue, f"x@{FAR}")
    deferred(queue, f"y@{OTHER}")
    queue.control("smtproutes", f"{FAR}:127.0.0.1:{near.port}\n{OTHER}:127.0.0.1:{near.port}")
    assert martlet(queue, "retry", "--recipient", f"x@{FAR}") == "due now: 1 message\n"
    queue.wait_for_log(rf"^end msg {number}$")
    assert len(near.messages) == 1 and waiting(queue, "--channel", "remote") == [f"y@{OTHER}"]


def test_expire_bounces_once(queue, traffic):
    number = deferred(queue, [f"x@{FAR}", f"y@{FAR}"])
    assert martlet(queue, "expire", str(number)) == "expired: 2 recipients of 1 message\n"
    kill_queue(queue)
    [bounce, *_] = queue.wait_for_messages("alice", 1)
    assert b"The administrator of this host has ended the attempts" in bounce and b"451 not now" in bounce.replace(b"_", b" ")
    assert bounce.count(f"\n<x@{FAR}>:".encode()) == bounce.count(f"\n<y@{FAR}>:".encode()) > 0
    wait_until(lambda: not any(m["id"] == number for m in listed(queue)), queue.log)
    time.sleep(0.3)
    # One bounce; a delivery that the kill overtook may have been made again.
    assert len({re.search(rb"\(qmail (\d+) invoked for bounce\)", message)[1] for message in queue.messages("alice")}) == 1


def test_expire_of_some_recipients(queue):
    number = deferred(queue, [f"x@{FAR}", f"y@{OTHER}"])
    assert martlet(queue, "expire", "--domain", OTHER) == "expired: 1 recipient of 1 message\n"
    assert waiting(queue) == [f"x@{FAR}"] and not queue.messages("alice")
    martlet(queue, "hold", str(number))
    assert [m["bouncing"] for m in listed(queue)] == [True]
    martlet(queue, "remove", str(number), "--domain", FAR)
    [bounce] = queue.wait_for_messages("alice", 1)
    assert f"<y@{OTHER}>:".encode() in bounce and f"<x@{FAR}>:".encode() not in bounce


def test_who_failed_and_was_removed_is_told_of_no_more(queue):
    number = deferred(queue, [f"x@{FAR}", f"y@{OTHER}"])
    martlet(queue, "expire", "--domain", OTHER)
    # One that has failed and is not told yet is removed too, and shown before.
    preview = [json.loads(line) for line in martlet(queue, "remove", "--dry-run", "--json", "--domain", OTHER).splitlines()]
    assert [r["state"] for message in preview for r in message["recipients"]] == ["failed"]
    martlet(queue, "remove", str(number), "--domain", OTHER)
    assert [m["bouncing"] for m in listed(queue)] == [False] and waiting(queue) == [f"x@{FAR}"]
    martlet(queue, "remove", str(number))
    queue.wait_for_log(rf"^end msg {number}$")
    assert "bounce msg" not in queue.log()


def test_remove_tells_nobody(queue, traffic):
    number = deferred(queue, [f"x@{FAR}", f"y@{OTHER}"])
    other = deferred(queue, f"z@{OTHER}")
    assert "would be removed: 1 message, 2 recipients" in martlet(queue, "remove", "--dry-run", str(number))
    assert len(waiting(queue, str(number))) == 2
    # Twice is once.
    assert martlet(queue, "remove", str(number), str(number)) == "removed: 2 recipients of 1 message\n"
    kill_queue(queue)
    wait_until(lambda: waiting(queue, "--channel", "remote") == [f"z@{OTHER}"], queue.log)
    assert not queue.messages("alice")
    log = queue.log()
    assert re.search(rf"^remove msg {number} remote x@{FAR} by uid \d+$", log, re.M) and f"end msg {number}\n" in log
    assert [m["id"] for m in listed(queue, str(other))] == [other]


@pytest.mark.parametrize("action, bounces", [("expire", 1), ("remove", 0)])
@pytest.mark.parametrize("ending", ["250 taken", "451 later", "554 never", "kill"])
def test_what_is_under_way_ends_by_its_delivery(home, action, bounces, ending):
    """Delivered is delivered; anything else ends as the administrator said; also when the queue dies meanwhile."""
    go = threading.Event()

    def end(_):
        go.wait(LIMIT)
        return None if ending == "kill" else ending

    # Its loop is its own: it may wait there.
    slow = FaultServer(end=end)
    try:
        home.user("alice")
        home.control("smtproutes", f"{FAR}:127.0.0.1:{slow.port}")
        home.start()
        home.inject(f"alice@{HOST}", f"x@{FAR}", "Subject: slow\n\nbody\n")
        wait_until(lambda: slow.messages, home.log)
        number = int(home.wait_for_log(r"^new msg (\d+)$")[1])
        assert "1 of them are being delivered" in martlet(home, action, "--all")
        assert [r["state"] for m in listed(home) for r in m["recipients"]] == ["underWay"]
        if ending == "kill":
            kill_queue(home)
        go.set()
        home.wait_for_log(rf"^end msg {number}$")
        expected = 0 if ending == "250 taken" else bounces
        home.wait_for_messages("alice", expected)
        time.sleep(0.3)
        assert len(home.messages("alice")) == expected
        assert len(slow.messages) == 1
    finally:
        go.set()
        slow.close()


def test_reroute_via_reaches_the_new_host(queue, traffic, near):
    number = deferred(queue, [f"x@{FAR}", f"y@{OTHER}"])
    martlet(queue, "hold", str(number))
    assert martlet(queue, "reroute", "--domain", FAR, "--via", f"127.0.0.1:{near.port}") == "rerouted: 1 recipient of 1 message\n"
    kill_queue(queue)
    [relay] = [r.get("relay") for m in listed(queue) for r in m["recipients"] if r["address"] == f"x@{FAR}"]
    assert relay == f"127.0.0.1:{near.port}"
    martlet(queue, "release", str(number))
    wait_until(lambda: near.messages, queue.log)
    assert f"RCPT TO:<x@{FAR}>" in near.transcript and f"RCPT TO:<y@{OTHER}>" not in near.transcript
    wait_until(lambda: waiting(queue, str(number)) == [f"y@{OTHER}"], queue.log)


def test_reroute_follows_the_control_files(queue, traffic):
    """locals, then a virtual domain, then another one, then away again; the queue is never told otherwise."""
    deferred(queue, f"x@{FAR}")
    queue.control("locals", f"{HOST}\n{OTHER}")
    (queue.home / "home/alice/.qmail").write_text("./Maildir/\n")
    queue.control("virtualdomains", f"{FAR}:alice")
    (queue.home / "home/alice/.qmail-x").write_text("|exit 111\n")
    assert martlet(queue, "reroute", "--all").startswith("rerouted: 1 recipient")
    assert waiting(queue, "--domain", FAR) == [f"alice-x@{FAR}"]
    kill_queue(queue)
    # Known by its own address too.
    assert waiting(queue, "--recipient", f"x@{FAR}") == [f"alice-x@{FAR}"]
    queue.wait_for_log(r"^delivery \d+: deferral: ")
    wait_until(lambda: all(r["state"] == "waiting" for m in listed(queue, "--domain", FAR) for r in m["recipients"]), queue.log)
    queue.control("virtualdomains", f"{FAR}:bob")
    (queue.home / "home/bob/.qmail-x").write_text("./Maildir/\n")
    martlet(queue, "reroute", "--domain", FAR)
    wait_until(lambda: any(b"Subject: waits" in raw for raw in queue.messages("bob")), queue.log)
    [delivered] = [raw for raw in queue.messages("bob") if b"Subject: waits" in raw]
    assert f"Delivered-To: bob-x@{FAR}\n".encode() in delivered


def test_a_list_is_rerouted_as_long_as_a_segment_holds_it(home, near):
    """Its recipients grow with every reroute; what no segment holds could never be moved, and the next start would fail."""
    home.control("queuesegmentbytes", str(1 << 20))
    home.control("concurrencyremote", "0")
    home.start()
    recipients = [f"{number:050d}@{FAR}" for number in range(900)]
    assert home.inject(f"alice@{HOST}", recipients, "Subject: list\n\nx\n") == 0
    codes = []
    for host in ("127.0.0.1", "[127.0.0.1]") * 6:
        done = home.command("martlet", "queue", "reroute", "--all", "--via", f"{host}:{near.port}")
        codes.append(done.returncode)
    assert 0 in codes and codes == sorted(codes) and codes[-2:] == [1, 1] and b"has no room for more rerouted recipients: raise control/queuesegmentbytes" in done.stderr
    kill_queue(home)
    assert len(waiting(home)) == 900
    home.stop()
    home.control("concurrencyremote", None)
    home.start()
    home.wait_for_log(r"^end msg \d+$")
    transcript = near.transcript
    assert all(f"RCPT TO:<{recipient}>" in transcript for recipient in recipients)


def test_reroute_takes_away_only_what_a_virtual_domain_added(queue):
    """An address that begins like the new prepend by itself keeps that: with the prepend it has it twice, and is another mailbox."""
    martlet(queue, "hold", str(deferred(queue, f"alice-x@{FAR}")))
    (queue.home / "home/alice/.qmail-y").write_text("|exit 111\n")
    assert queue.inject(f"s@{OTHER}", f"alice-y@{HOST}", "Subject: near\n\nx\n") == 0
    queue.wait_for_log(r"^delivery \d+: deferral: ")
    martlet(queue, "hold", "--all")
    queue.control("locals", "localhost")
    queue.control("virtualdomains", f"{FAR}:alice\n{HOST}:alice")
    expected = [f"alice-alice-x@{FAR}", f"alice-alice-y@{HOST}"]
    for said in ("2 recipients of 2", "0 recipients of 0"):
        assert martlet(queue, "reroute", "--all").startswith(f"rerouted: {said}")
        assert waiting(queue) == expected
        kill_queue(queue)
    assert waiting(queue, "--recipient", f"alice-x@{FAR}") == expected[:1]


def test_many_messages_in_slices(queue):
    """Mail is accepted while an action walks through thousands of messages."""
    martlet(queue, "hold", "--all")
    recipients = [f"u{number}@{FAR}" for number in range(2500)]
    for start in range(0, len(recipients), 500):
        assert queue.inject(f"alice@{HOST}", recipients[start:start + 500], "Subject: list\n\nx\n") == 0
    done = martlet(queue, "remove", "--json", "--domain", FAR)
    assert json.loads(done)["recipients"] == 2500
    # What was under way ends by its delivery.
    wait_until(lambda: waiting(queue) == [], queue.log)
    queue.send("s@x.example", "alice", "Subject: next\n\nx\n")
    queue.wait_for_messages("alice", 1)


@pytest.mark.parametrize("arguments, code, said", [
    (["hold"], 64, "say which messages"), (["remove", "999"], 1, "no message 999 is in the queue"),
    (["show", "999"], 1, "no message 999 is in the queue"), (["list", "999"], 1, "no message 999"),
    (["reroute", "--all", "--via", "host:none"], 64, "--via takes HOST"), (["list", "--older-than", "soon"], 64, "soon"),
])
def test_mistakes_have_one_clear_line(queue, arguments, code, said):
    done = queue.command("martlet", "queue", *arguments)
    assert done.returncode == code and said in done.stderr.decode()


def test_without_a_queue(home):
    done = home.command("martlet", "queue", "list")
    assert done.returncode == 1
    assert done.stderr.decode() == "martlet: the queue is not running: start martletd, or say where it runs by QMAILHOME=DIR\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")
def test_others_may_look_only(queue):
    """Who is neither root nor the queue's account, and may enter the directory of the socket."""
    number = deferred(queue, f"x@{FAR}")
    (queue.home / "run/admin").chmod(0o755)
    other = {"user": 12345, "group": 12345, "extra_groups": []}

    def run(*arguments):
        return subprocess.run(
            [queue.programs / "martlet", "queue", *arguments], capture_output=True, timeout=LIMIT, cwd="/",
            env={"QMAILHOME": str(queue.home)}, **other)

    assert run("list").returncode == 0
    shown = run("show", str(number))
    assert shown.returncode == 0 and f"x@{FAR}".encode() in shown.stdout and b"Subject:" not in shown.stdout
    for arguments in (["remove", str(number)], ["hold", "--all"], ["show", "--content", str(number)]):
        done = run(*arguments)
        assert done.returncode == 1 and b"only root and the account of the queue" in done.stderr, done
    assert waiting(queue) == [f"x@{FAR}"]


def test_bounces_of_many_take_no_memory(home):
    """Each of 200 bounces of a megabyte is made only when few others are."""
    home.user("alice")
    home.control("concurrencyremote", "0")
    home.control("concurrencylocal", "0")
    home.start()
    body = ("x" * 75 + "\n") * 12_000
    for _ in range(200):
        assert home.inject(f"alice@{HOST}", f"x@{FAR}", f"Subject: large\n\n{body}") == 0
    [pid] = home.pids()["queue"]
    (pathlib.Path("/proc") / str(pid) / "clear_refs").write_text("5")
    assert martlet(home, "expire", "--all") == "expired: 200 recipients of 200 messages\n"
    wait_until(lambda: home.log().count("\nbounce msg ") == 200, home.log)
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", (pathlib.Path("/proc") / str(pid) / "status").read_text())[1])
    assert peak < 140_000


def test_an_action_does_not_wait_for_the_lazy_sync(home):
    """Four slices: each is synced at once; by itself the log is synced a second later."""
    home.control("concurrencyremote", "0")
    home.start()

    def inject():
        for _ in range(400):
            assert home.inject(f"s@{OTHER}", f"x@{FAR}", "Subject: many\n\nx\n") == 0

    threads = [threading.Thread(target=inject) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    start = time.monotonic()
    assert martlet(home, "hold", "--all") == "held: 1600 messages\n"
    assert time.monotonic() - start < 2


def test_the_manual_tells_every_command(home):
    page = home.command("martlet", "--man").stdout.decode()
    for name in ("list", "show", "hold", "release", "retry", "expire", "remove", "reroute"):
        assert f".SH MARTLET QUEUE {name.upper()}\n" in page
