"""The wire programs under their qmail names, on descriptors as other programs start them: qmail-smtpd, qmail-remote, qmail-tcpto, qmail-tcpok, tcp-env.
What they say is compared with the reference by the recorded cases; here they meet a running system, slow peers and sockets."""

import contextlib
import fcntl
import os
import re
import socket
import stat
import struct
import subprocess
import threading
import time

import pytest

from fault_smtp import FaultServer
from martlet import HOST, LIMIT, account, as_account, free_port, wait_until

BOB = f"bob@{HOST}"
FAR = "far.example"
CLIENT = {"TCPREMOTEIP": "192.0.2.7", "TCPLOCALHOST": "local.example"}


def smtp(*lines):
    return "".join(f"{line}\r\n" for line in lines).encode()


def environment(home, more=()):
    return {"PATH": os.environ["PATH"], "QMAILHOME": str(home.home), **dict(more)}


@contextlib.contextmanager
def start(home, name, *arguments, more=(), **descriptors):
    """A program with open descriptors; it has ended afterwards."""
    child = subprocess.Popen([home.programs / name, *arguments], env=environment(home, more), cwd="/", **{**as_account(), **descriptors})
    try:
        yield child
        child.wait(LIMIT)
    finally:
        child.kill()
        child.wait()


# qmail-smtpd


def test_a_message_from_qmail_smtpd_reaches_the_queue(server):
    said = smtp("EHLO c", f"MAIL FROM:<{BOB}>", f"RCPT TO:<alice@{HOST}>", "DATA", "Subject: x", "", "..body", ".", "QUIT")
    ran = server.command("qmail-smtpd", stdin=said, environment=CLIENT)
    assert ran.returncode == 0 and re.search(rb"\r\n354 go ahead\r\n250 ok \d+ qp \d+\r\n221 mail\.example\r\n$", ran.stdout)
    [message] = server.wait_for_messages("alice", 1)
    assert re.search(rb"\nReceived: from unknown \(HELO c\) \(192\.0\.2\.7\)\n  by local\.example with SMTP; .* -0000\nSubject: x\n\n\.body\n$", message)


def test_a_large_message_and_many_recipients(server):
    body = ["x" * 900] * 6000
    recipients = [f"RCPT TO:<alice-{number}@{HOST}>" for number in range(2000)]
    (server.home / "home/alice/.qmail-default").write_text("#\n")
    said = smtp("HELO c", f"MAIL FROM:<{BOB}>", f"RCPT TO:<alice@{HOST}>", *recipients, "DATA", "Subject: x", "", *body, ".", "QUIT")
    ran = server.command("qmail-smtpd", stdin=said, environment=CLIENT)
    assert ran.returncode == 0 and ran.stdout.count(b"250 ok\r\n") == 2002
    [message] = server.wait_for_messages("alice", 1)
    assert message.endswith(("\n".join(body) + "\n").encode())


def test_the_queue_is_away(home):
    said = smtp("HELO c", f"MAIL FROM:<{BOB}>", f"RCPT TO:<alice@{HOST}>", "DATA", "x", ".", "NOOP", "QUIT")
    ran = home.command("qmail-smtpd", stdin=said, environment=CLIENT)
    assert ran.returncode == 0
    assert ran.stdout.endswith(b"354 go ahead\r\n451 qq trouble creating files in queue (#4.3.0)\r\n250 ok\r\n221 mail.example\r\n")


@pytest.mark.parametrize("said", [b"", b"NOOP", smtp(f"MAIL FROM:<{BOB}>", f"RCPT TO:<alice@{HOST}>", "DATA", "x")])
def test_a_silent_client_is_left(home, said):
    home.control("timeoutsmtpd", "1")
    began = time.monotonic()
    with start(home, "qmail-smtpd", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdin.write(said)
        child.stdin.flush()
        assert child.stdout.read().endswith(b"\r\n451 timeout (#4.4.2)\r\n")
        assert child.wait(LIMIT) == 1
    assert 0.9 < time.monotonic() - began < LIMIT


def test_a_client_that_takes_no_replies_is_left(home):
    home.control("timeoutsmtpd", "1")
    ours, theirs = socket.socketpair()
    began = time.monotonic()
    with ours, start(home, "qmail-smtpd", stdin=theirs, stdout=theirs) as child:
        theirs.close()
        ours.settimeout(LIMIT)
        with contextlib.suppress(OSError):
            for _ in range(1000):
                ours.sendall(b"NOOP\r\n" * 10_000)
        assert child.wait(LIMIT) == 1
    assert 0.9 < time.monotonic() - began < LIMIT


def test_without_a_name_there_is_no_session(home):
    home.control("me", None)
    ran = home.command("qmail-smtpd", stdin=smtp("QUIT"))
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, b"421 unable to read controls (#4.3.0)\r\n", b"")


def test_a_program_for_the_queue_hears_of_an_unfinished_message(home):
    """It gets no envelope, so it takes nothing; and it has ended when the session goes on."""
    taken = home.home / "taken"
    program = home.home / "take"
    program.write_text(f"#!/bin/sh\ncat >/dev/null; wc -c <&1 >>{taken}\n")
    program.chmod(0o755)
    taken.touch()
    os.chown(taken, *account())
    home.control("databytes", "10")
    said = smtp("HELO c", f"MAIL FROM:<{BOB}>", f"RCPT TO:<alice@{HOST}>", "DATA", "more than ten bytes", ".", "QUIT")
    ran = home.command("qmail-smtpd", stdin=said, environment={**CLIENT, "QMAILQUEUE": str(program)})
    assert ran.stdout.endswith(b"552 sorry, that message size exceeds my databytes limit (#5.3.4)\r\n221 mail.example\r\n")
    assert taken.read_text() == "0\n"


# qmail-remote


@pytest.fixture
def next_hop():
    server = FaultServer(extensions=["PIPELINING"])
    yield server
    server.close()


def remote(home, host=FAR, recipients=(f"carol@{FAR}",), **options):
    return home.command("qmail-remote", host, BOB, *recipients, **options)


@pytest.mark.parametrize("content", [b"Subject: x\n\nbody\n", b"a line\n" * 100_000, b""], ids=["small", "large", "empty"])
def test_a_message_from_a_pipe_and_from_a_file(home, next_hop, content):
    home.control("smtproutes", f"{FAR}:127.0.0.1:{next_hop.port}")
    assert remote(home, stdin=content).stdout == b"r\0K127.0.0.1 accepted message.\nRemote host said: 250 taken\n\0"
    with open(home.home / "message", "w+b") as file:
        file.write(b"not this\n" + content)
        file.flush()
        file.seek(9)
        # The program goes on where the descriptor stands, as programs of qmail do.
        ran = subprocess.run(
            [home.programs / "qmail-remote", FAR, BOB, f"carol@{FAR}"], stdin=file, capture_output=True, env=environment(home), timeout=LIMIT)
        assert ran.returncode == 0 and ran.stdout.startswith(b"r\0K")
    assert next_hop.messages == [content.replace(b"\n", b"\r\n")] * 2
    # QUIT is not waited for.
    wait_until(lambda: next_hop.transcript.count("QUIT") == 2, "the last QUIT does not come")
    assert [line for line in next_hop.transcript if line[:4] in ("HELO", "EHLO")] == [f"HELO {HOST}"] * 2


def test_a_message_that_cannot_be_read(home):
    with start(home, "qmail-remote", FAR, BOB, f"carol@{FAR}", stdin=os.open("/", os.O_RDONLY), stdout=subprocess.PIPE) as child:
        assert child.stdout.read() == b"ZUnable to read message. (#4.3.0)\n\0"
        assert child.wait(LIMIT) == 0


@pytest.mark.parametrize("step", ["greeting", "helo", "mail", "rcpt", "data"])
def test_a_server_that_says_nothing_is_left(home, step):
    server = FaultServer(**{step: "hang"})
    try:
        home.control("timeoutremote", "1")
        home.control("smtproutes", f"{FAR}:127.0.0.1:{server.port}")
        assert remote(home, stdin=b"x\n").stdout.endswith(b"ZConnected to 127.0.0.1 but connection died. (#4.4.2)\n\0")
    finally:
        server.close()


@pytest.mark.parametrize("name, text, complaint", [
    ("smtproutes", "# c\nok.example:relay\nbad.example:relay:port", "line 3: the route of \"bad.example\" is not RELAY or RELAY:PORT"),
    ("smtproutes", "b.example:relay:1\n\nb.example:relay:x\na.example:", "line 3: the route of \"b.example\" is not RELAY or RELAY:PORT"),
    ("moreipme", "192.0.2.1\n2001:db8::1\n\nmail.example", "line 4: \"mail.example\" is not an IP address"),
])
def test_a_bad_line_defers_all_mail_and_is_named(home, name, text, complaint):
    home.control(name, text)
    assert remote(home, stdin=b"x\n").stdout == b"ZUnable to read control files. (#4.3.0)\n\0"
    home.control("queuesegmentbytes", str(1 << 20))
    home.start()
    home.wait_for_log(rf"^alert: remote defers all mail: control/{name} {re.escape(complaint)}$")


def test_name_servers_that_are_none(home):
    home.control("resolvers", "not an address")
    assert remote(home, stdin=b"x\n").stdout == b"ZUnable to read control files. (#4.3.0)\n\0"


def test_loopback_is_no_host_of_the_internet(home):
    for host in ("[127.0.0.2]", "127.0.0.1", "[::1]", "[IPv6:::ffff:127.0.0.1]", "0.0.0.0"):
        assert remote(home, host, stdin=b"x\n").stdout.startswith(b"DSorry. Although I'm listed as a best-preference MX or A for that host,\n")


# Who did not answer


def entry(count, age, address="127.0.0.1"):
    return socket.inet_aton(address) + struct.pack("<BxxxIxxxx", count, int(time.time()) - age)


def shown(home):
    ran = home.command("qmail-tcpto")
    assert ran.returncode == 0
    return re.sub(rb"\d+ seconds", b"N seconds", ran.stdout).decode()


def write_table(home, *entries):
    with open(home.home / "run/tcpto", "r+b") as file:
        file.write(b"".join(entries))


@contextlib.contextmanager
def deaf():
    """A port where connections are not answered: the listener's queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        time.sleep(0.2)
        yield listener.getsockname()[1]


def test_the_table_is_made_at_the_start(server):
    info = (server.home / "run/tcpto").stat()
    assert stat.S_IMODE(info.st_mode) == 0o644 and info.st_uid == account()[0]
    assert shown(server) == ""


def test_qmail_remote_writes_down_who_did_not_answer(server):
    with deaf() as port:
        server.control("timeoutconnect", "1")
        server.control("smtproutes", f"{FAR}:127.0.0.1:{port}")
        assert remote(server, stdin=b"x\n").stdout == b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\0"
        assert shown(server) == "127.0.0.1 timed out N seconds ago; # recent timeouts: 1\n"
        remote(server, stdin=b"x\n")
        assert shown(server).endswith(": 1\n"), "the same incident"
        write_table(server, entry(1, 200))
        remote(server, stdin=b"x\n")
        assert shown(server).endswith(": 2\n")
        # Not tried now.
        server.control("timeoutconnect", "60")
        began = time.monotonic()
        remote(server, stdin=b"x\n")
        assert time.monotonic() - began < 30
    # A refusal is an answer, but this address is not asked before the hour is over.
    server.control("smtproutes", f"{FAR}:127.0.0.1:{free_port()}")
    remote(server, stdin=b"x\n")
    assert shown(server).endswith(": 2\n")
    write_table(server, entry(2, 7000))
    remote(server, stdin=b"x\n")
    assert shown(server) == ""


def test_role_remote_shares_the_table(home, next_hop):
    home.user("bob")
    home.control("smtproutes", f"{FAR}:127.0.0.1:{next_hop.port}")
    home.start()
    write_table(home, entry(2, 10), entry(1, 10, "192.0.2.9"))
    assert home.inject(BOB, f"carol@{FAR}", "Subject: x\n\n") == 0
    home.wait_for_log(r"^delivery 1: deferral: Sorry,_I_wasn't_able_to_establish_an_SMTP_connection\._\(#4\.4\.1\)/$")
    assert next_hop.connections == 0 and shown(home).count("\n") == 2
    ran = home.command("qmail-tcpok")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"") and shown(home) == ""
    assert home.inject(BOB, f"dave@{FAR}", "Subject: x\n\n") == 0
    home.wait_for_log(r"^delivery 2: success: ")
    assert next_hop.connections == 1


def test_tcpto_without_a_table(home):
    ran = home.command("qmail-tcpto")
    assert (ran.returncode, ran.stdout, ran.stderr) == (111, b"fatal: unable to open tcpto: file does not exist\n", b"")
    ran = home.command("qmail-tcpok")
    expected = f"qmail-tcpok: fatal: unable to write {home.home}/run/tcpto: file does not exist\n".encode()
    assert (ran.returncode, ran.stdout, ran.stderr) == (111, b"", expected)


def test_qmail_tcpok_does_not_wait_for_ever(home):
    """Everybody may read the table, so anybody may hold its lock."""
    path = home.home / "run/tcpto"
    path.touch()
    os.chown(path, *account())
    with open(path) as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        ran = home.command("qmail-tcpok")
    expected = f"qmail-tcpok: fatal: unable to lock {path}: temporary failure\n".encode()
    assert (ran.returncode, ran.stdout, ran.stderr) == (111, b"", expected)


# tcp-env


@contextlib.contextmanager
def connection(host="127.0.0.1"):
    """Both ends of a TCP connection: the client's, the server's."""
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        with socket.create_connection(listener.getsockname()[:2]) as client:
            accepted, _ = listener.accept()
            with accepted:
                yield client, accepted


def variables(home, accepted, *arguments, more=()):
    ran = subprocess.run(
        [home.programs / "tcp-env", *arguments, "env"], stdin=accepted, capture_output=True, env=environment(home, more), timeout=LIMIT)
    assert ran.returncode == 0, ran.stderr
    found = dict(line.split("=", 1) for line in os.fsdecode(ran.stdout).splitlines() if "=" in line)
    return {name: value for name, value in found.items() if name == "PROTO" or name.startswith("TCP")}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tcp_env_tells_both_ends(home, host):
    with connection(host) as (client, accepted):
        found = variables(home, accepted, "-R", more={"TCPREMOTEINFO": "old"})
        names = {name: found.pop(name, None) for name in ("TCPLOCALHOST", "TCPREMOTEHOST")}
        assert found == {
            "PROTO": "TCP", "TCPLOCALIP": host, "TCPLOCALPORT": str(accepted.getsockname()[1]), "TCPREMOTEIP": host,
            "TCPREMOTEPORT": str(client.getsockname()[1])}
        assert names["TCPLOCALHOST"] == names["TCPREMOTEHOST"] and all(name is None or name == name.lower() for name in names.values())


def test_tcp_env_leaves_what_is_set(home):
    with connection() as (_, accepted):
        assert variables(home, accepted, more={"PROTO": "TCP", "TCPREMOTEIP": "x"}) == {"PROTO": "TCP", "TCPREMOTEIP": "x"}


@pytest.mark.skipif(os.geteuid() != 0, reason="listens on port 113")
@pytest.mark.parametrize("answer, info", [
    (b"%s : USERID : UNIX : joe smith\r\n", "joe smith"), (b"%s:USERID:UNIX:\xffo\r\n", "\udcffo"), (b"%s:USERID:OTHER,US-ASCII:j:s\r\n", "j:s"), (b"%s : ERROR : HIDDEN-USER\r\n", None),
    (b"%s : USERID : UNIX :\r\n", None), (b"nonsense\r\n", None), (b"", None), (b"x" * 5000, None),
])
def test_tcp_env_asks_who_the_client_is(home, answer, info):
    with contextlib.ExitStack() as stack:
        client, accepted = stack.enter_context(connection())
        asked = []

        def serve():
            peer, _ = ident.accept()
            with peer:
                asked.append(peer.recv(1000))
                peer.sendall(answer.replace(b"%s", asked[0].strip()))

        try:
            ident = stack.enter_context(socket.create_server(("127.0.0.1", 113)))
        except OSError:
            pytest.skip("port 113 is taken")
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        assert variables(home, accepted, "-t5").get("TCPREMOTEINFO") == info
        thread.join(LIMIT)
        assert asked == [f"{client.getsockname()[1]}, {accepted.getsockname()[1]}\r\n".encode()]


@pytest.mark.skipif(os.geteuid() != 0, reason="listens on port 113")
@pytest.mark.parametrize("drips", [True, False], ids=["drips", "hangs up"])
def test_tcp_env_does_not_depend_on_the_ident_server(home, drips):
    """One that sends a byte now and then gets the time of -t in all; one that hangs up ends nothing."""
    with contextlib.ExitStack() as stack:
        _, accepted = stack.enter_context(connection())
        try:
            ident = stack.enter_context(socket.create_server(("127.0.0.1", 113)))
        except OSError:
            pytest.skip("port 113 is taken")

        def serve():
            peer, _ = ident.accept()
            with peer, contextlib.suppress(OSError):
                while drips and not stopped.wait(0.3):
                    peer.send(b"x")
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        stopped = threading.Event()
        stack.callback(stopped.set)
        threading.Thread(target=serve, daemon=True).start()
        start = time.monotonic()
        found = variables(home, accepted, "-t2")
        assert found["PROTO"] == "TCP" and "TCPREMOTEINFO" not in found
        assert time.monotonic() - start < 8


def test_tcp_env_passes_arguments_on_as_they_are(home):
    ran = subprocess.run(
        [home.programs / "tcp-env", "printf", b"%s", b"\xff\xe9"], stdin=subprocess.DEVNULL, capture_output=True,
        env=environment(home, {"PROTO": "TCP"}), timeout=LIMIT)
    assert (ran.returncode, ran.stdout) == (0, b"\xff\xe9")


@pytest.mark.parametrize("arguments", [[], ["-x", "true"], ["-t"], ["-R", "no-such-program"], ["-R", "true"]])
def test_tcp_env_fails_without_a_word(home, arguments):
    ran = home.command("tcp-env", *arguments)
    assert (ran.returncode, ran.stdout, ran.stderr) == (111, b"", b"")


# Loops and forgeries (hardening.md "LOOP")


@contextlib.contextmanager
def other_host(home, programs, name):
    """A second Martlet, called `name`; each sends the other its mail."""
    other = type(home)(programs)
    try:
        for control in ("me", "locals", "rcpthosts"):
            other.control(control, name)
        yield other
    finally:
        other.clean()


def start_both(home, other, name, domains=()):
    """Each knows the other's port before it starts, and takes mail for `domains`."""
    ports = {home: free_port(), other: free_port()}
    for one, next_one, next_name in ((home, other, name), (other, home, HOST)):
        one.control("smtplisten", f"127.0.0.1:{ports[one]}")
        one.control("rcpthosts", "\n".join((HOST if one is home else name, *domains)))
        one.control("smtproutes", "\n".join(f"{domain}:127.0.0.1:{ports[next_one]}" for domain in (next_name, *domains)))
    home.start()
    other.start()


def is_empty(home):
    return b"messages in queue: 0\n" in home.command("qmail-qstat").stdout


def deliveries(*homes):
    return sum(len(re.findall(r"^starting delivery ", home.log(), re.M)) for home in homes)


def test_users_of_two_hosts_who_forward_to_each_other(home, programs):
    with other_host(home, programs, "other.example") as other:
        home.user("bob")
        for host, target in ((home, "alice@other.example"), (other, f"alice@{HOST}")):
            (host.user("alice") / ".qmail").write_text(f"&{target}\n")
        start_both(home, other, "other.example")
        assert home.inject(BOB, f"alice@{HOST}", "Subject: round\n\n") == 0
        [bounce] = home.wait_for_messages("bob", 1)
        assert b"This message is looping: it already has my Delivered-To line. (#5.4.6)" in bounce
        wait_until(lambda: is_empty(home) and is_empty(other), "mail is left")
        # There, to the other host, there, back here, where it ends; and the bounce.
        assert deliveries(home, other) == 6 and len(home.messages("bob")) == 1


def test_two_hosts_that_route_a_domain_to_each_other(home, programs):
    with other_host(home, programs, "other.example") as other:
        home.user("bob")
        start_both(home, other, "other.example", domains=["far.example"])
        assert home.inject(BOB, f"carol@{FAR}", "Subject: round\n\n") == 0
        [bounce] = home.wait_for_messages("bob", 1)
        assert b"554" in bounce and b"too many hops, this message is looping (#5.4.6)" in bounce
        wait_until(lambda: is_empty(home) and is_empty(other), "mail is left")
        assert deliveries(home, other) <= 102 and len(home.messages("bob")) == 1


def test_ten_thousand_forged_recipients_send_nothing_out(home, next_hop):
    """No such users, other domains, relays: all is refused while the client is there; nobody else hears of it."""
    home.control("smtproutes", f":127.0.0.1:{next_hop.port}")
    home.control("concurrencyperip", "1000")
    home.user("alice")
    home.start()
    forms = [f"nobody-{{}}@{HOST}", f"victim{{}}@{FAR}", f"victim{{}}%{FAR}@{HOST}", f"@{HOST}:victim{{}}@{FAR}", f"\"victim{{}}@{FAR}\"@{HOST}"]
    sent = 0
    while sent < 10_000:
        lines = [f"RCPT TO:<{forms[(sent + number) % len(forms)].format(sent + number)}>" for number in range(25)]
        with socket.create_connection(home.address, timeout=LIMIT) as client, client.makefile("rb") as file:
            client.sendall(smtp("EHLO c", f"MAIL FROM:<victim@{FAR}>", *lines, "DATA"))
            client.shutdown(socket.SHUT_WR)
            replies = file.read().splitlines()
        refused = [line for line in replies if line[:4] in (b"550 ", b"553 ")]
        assert len(refused) == 20 and replies[-1].startswith(b"421 ") and not any(b"2.1.5" in line for line in replies)
        sent += len(refused)
    assert is_empty(home) and "new msg" not in home.log() and next_hop.connections == 0
