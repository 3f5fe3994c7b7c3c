"""The injecting programs under hostile callers and hostile input: descriptors, limits, signals, environment; sizes and bytes. Whatever the caller does,
exit code 0 means that the message is in the queue, once and whole, and the queue goes on working."""

import os
import resource
import signal
import socket
import subprocess
import time

import pytest

from martlet import HOST, LIMIT, as_account, wait_until

TO = f"alice@{HOST}"
MESSAGE = b"Subject: s\n\nbody\n"


def set_limit(name, value):
    return lambda: resource.setrlimit(name, (value, value))


def close_standard():
    for number in (0, 1, 2):
        os.close(number)


def fill_descriptors(limit=1024):
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    # Closed at the start of the program: the one number that is left.
    null = os.open("/dev/null", os.O_RDWR)
    for number in range(3, 1024):
        if number != null:
            os.dup2(null, number)


def no_folder():
    path = f"/tmp/martlet-gone-{os.getpid()}"
    os.mkdir(path)
    os.chdir(path)
    os.rmdir(path)


# What the caller does, and the exit codes of qmail-queue and qmail-inject.
CALLERS = {
    "closed 0-2": (close_standard, 54, 111),
    # With none left the loader cannot start any program.
    "one number left": (fill_descriptors, 0, 0),
    "1021 descriptors more": (lambda: fill_descriptors(2048), 0, 0),
    "4 descriptors": (set_limit(resource.RLIMIT_NOFILE, 4), 0, 0),
    "no file may grow": (set_limit(resource.RLIMIT_FSIZE, 0), 0, 0),
    "SIGALRM blocked and pending": (lambda: (signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM]), os.kill(os.getpid(), signal.SIGALRM)), 0, 0),
    "every signal ignored": (lambda: [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGPIPE, signal.SIGALRM, signal.SIGHUP, signal.SIGXFSZ)], 0, 0),
    "umask 0777": (lambda: os.umask(0o777), 0, 0),
    "no folder": (no_folder, 0, 0),
}


def start(home, name, arguments, envelope, prepare, environment=None):
    """Runs a program after `prepare` in the child; its exit code."""
    def be_caller():
        if os.geteuid() == 0:
            options = as_account()
            # Limits and folders may need root; then it is the account.
            prepare()
            os.setgroups([])
            os.setgid(options["group"])
            os.setuid(options["user"])
        else:
            prepare()

    return subprocess.run(
        [home.programs / name, *arguments], stdin=message_file(), stdout=envelope, stderr=subprocess.DEVNULL, timeout=LIMIT, cwd="/",
        env={"PATH": os.environ["PATH"], "QMAILHOME": str(home.home), **(environment or {})}, close_fds=False, preexec_fn=be_caller).returncode


def message_file():
    reader, writer = os.pipe()
    os.write(writer, MESSAGE)
    os.close(writer)
    return os.fdopen(reader, "rb")


def envelope_file(text=f"F\0T{TO}\0\0"):
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    os.close(writer)
    return os.fdopen(reader, "rb")


@pytest.mark.parametrize("caller", CALLERS)
def test_hostile_callers(server, caller):
    prepare, of_queue, of_inject = CALLERS[caller]
    assert start(server, "qmail-queue", [], envelope_file(), prepare) == of_queue
    assert start(server, "qmail-inject", [TO], subprocess.DEVNULL, prepare) == of_inject
    expected = (of_queue == 0) + (of_inject == 0)
    # One more, by an honest caller: the last to arrive.
    assert server.inject("", TO, b"Subject: last\n\n") == 0
    messages = server.wait_for_messages("alice", expected + 1)
    assert len(messages) == expected + 1
    assert sum(text.endswith(b"Subject: s\n\nbody\n") for text in messages) == expected


def pending(*numbers):
    """Blocked, and one of each waiting."""
    def prepare():
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for number in numbers:
            os.kill(os.getpid(), number)
    return prepare


def timer():
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)


# What may also end the program, before it begins or in the middle.
DEADLY = {
    "no descriptor may be opened": set_limit(resource.RLIMIT_NOFILE, 3), "8 MiB of address space": set_limit(resource.RLIMIT_AS, 8 << 20),
    "64 KiB of stack": set_limit(resource.RLIMIT_STACK, 64 << 10), "a second of time": set_limit(resource.RLIMIT_CPU, 1),
    "SIGTERM, SIGXFSZ and SIGPIPE pending": pending(signal.SIGTERM, signal.SIGXFSZ, signal.SIGPIPE), "a timer that rings": timer,
}


@pytest.mark.parametrize("prepare", DEADLY.values(), ids=DEADLY.keys())
def test_deadly_callers(server, prepare):
    """Killed by what the caller set up, refused, or done: by the exit code one knows whether the message is there. One that is killed may have been taken."""
    code = start(server, "qmail-queue", [], envelope_file(), prepare)
    assert code <= 0 or code in (51, 53, 54, 61, 63, 127), code
    assert server.inject("", TO, b"Subject: last\n\n") == 0
    messages = wait_until(lambda: any(b"last" in m for m in server.messages("alice")) and server.messages("alice"), "the last does not arrive")
    if code == 0:
        messages = server.wait_for_messages("alice", 2)
    assert all(m.endswith((MESSAGE, b"Subject: last\n\n")) for m in messages)
    assert sum(m.endswith(MESSAGE) for m in messages) in ((1,) if code == 0 else (0,) if code > 0 else (0, 1))


def test_five_hundred_idle_clients_leave_room(server):
    clients = [socket.socket(socket.AF_UNIX) for _ in range(500)]
    try:
        for client in clients:
            client.connect(str(server.home / "run/inject/socket"))
        assert server.inject("", TO, MESSAGE) == 0
        assert len(server.wait_for_messages("alice", 1)) == 1
    finally:
        for client in clients:
            client.close()


def test_an_environment_of_a_mebibyte(server):
    environment = {f"V{number}": "x" * 100_000 for number in range(10)}
    assert start(server, "qmail-queue", [], envelope_file(), lambda: None, environment) == 0
    assert start(server, "qmail-inject", [TO], subprocess.DEVNULL, lambda: None, environment) == 0
    assert len(server.wait_for_messages("alice", 2)) == 2


def test_a_stopped_client_holds_up_nobody(server):
    client = subprocess.Popen(
        [server.programs / "qmail-inject", TO], stdin=subprocess.PIPE, env={"QMAILHOME": str(server.home)}, cwd="/", **as_account())
    try:
        # More than it keeps: it is connected, and stops in the middle.
        client.stdin.write(b"Subject: stopped\n\n" + b"x" * 79 + b"\n" + b"y\n" * 300_000)
        client.stdin.flush()
        client.send_signal(signal.SIGSTOP)
        assert server.inject("", TO, MESSAGE) == 0
        assert len(server.wait_for_messages("alice", 1)) == 1
        client.send_signal(signal.SIGCONT)
        client.stdin.close()
        assert client.wait(LIMIT) == 0
    finally:
        client.kill()
        client.wait()
    assert len(server.wait_for_messages("alice", 2)) == 2


def test_garbage_on_the_socket(server):
    for seed in range(8):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(LIMIT)
            client.connect(str(server.home / "run/inject/socket"))
            try:
                client.sendall(bytes((seed * 31 + i * i // 7) % 256 for i in range(100_000)))
            except (BrokenPipeError, ConnectionResetError):
                pass
    assert server.inject("", TO, MESSAGE) == 0
    assert len(server.wait_for_messages("alice", 1)) == 1


# Hostile input of qmail-inject: arguments, input, exit code, and what it says.
INPUTS = {
    "over-long recipient": ([], b"To: " + b"a" * 1000 + b"@x\n\n", 100, b"qmail-inject: fatal: envelope address too long for qq (#5.1.3)\n"),
    "over-long argument": (["a" * 1000 + "@x"], b"\n", 100, b"qmail-inject: fatal: envelope address too long for qq (#5.1.3)\n"),
    "over-long sender": (["-f", "a" * 1000 + "@x", TO], b"\n", 100, b"qmail-inject: fatal: envelope address too long for qq (#5.1.3)\n"),
    "header without end": ([TO], b"X: " + b"x" * (17 << 20), 100, b"qmail-inject: fatal: the header is longer than 16777216 bytes\n"),
    "fields without end": ([TO], b"X: xxxxxxxxxxxxx\n" * (1 << 20), 100, b"qmail-inject: fatal: the header is longer than 16777216 bytes\n"),
    "line end in a sender": (["-f", "a\nb@x", TO], b"\n", 100, b"qmail-inject: fatal: mail server permanently rejected message (#5.3.0)\n"),
    "unfinished comment": ([TO], b"From: (((\n\n", 100, b"qmail-inject: fatal: unable to parse this line:\nFrom: (((\n"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_hostile_input_is_refused_in_one_line(server, name):
    arguments, text, code, said = INPUTS[name]
    done = server.command("qmail-inject", *arguments, stdin=text)
    assert (done.returncode, done.stderr) == (code, said)


@pytest.mark.parametrize("text", [
    b"Subject: a\0b\nTo: " + TO.encode() + b"\0junk\n\nbody \0\n", b"To: " + TO.encode() + b"\n" + b"X-F: " + b"y" * 70 + b"\n" * 1 + b"Z: z\n" * 200_000 + b"\n",
    b"To: " + b"(" * 100_000 + b")" * 100_000 + TO.encode() + b"\n\nb\n", b"Cc: " + b"@" * 1_000_000 + b"\nTo: " + TO.encode() + b"\n\nb\n",
], ids=["NUL", "1 MiB of fields", "nested comments", "at signs"])
def test_hostile_input_that_is_mail(server, text):
    began = time.monotonic()
    done = server.command("qmail-inject", "-f", "", "-H", TO, stdin=text)
    assert done.returncode == 0, done.stderr
    # No measurement: whatever is not linear takes minutes.
    assert time.monotonic() - began < 10
    assert server.wait_for_messages("alice", 1)


def test_a_hundred_thousand_recipients(server):
    """Held back by a concurrency of 0: what is asked for is that they are all in the queue."""
    server.stop()
    server.control("concurrencyremote", "0")
    server.start()
    text = b"To: " + b",\n ".join(b"user%06d@other.example" % number for number in range(100_000)) + b"\n\nb\n"
    done = server.command("qmail-inject", stdin=text)
    assert done.returncode == 0, done.stderr
    listed = wait_until(lambda: (out := server.command("qmail-qread").stdout).count(b"\tremote\t") == 100_000 and out, "not all are listed")
    assert listed.count(b"user099999@other.example") == 1


def test_ten_mebibytes_of_header(server):
    text = b"".join(b"X-Field-%d: %s\n" % (number, b"y" * 80) for number in range(105_000)) + b"\nbody\n"
    assert len(text) > 9 << 20
    done = server.command("qmail-inject", TO, stdin=text)
    assert done.returncode == 0, done.stderr
    message, = server.wait_for_messages("alice", 1)
    assert message.endswith(text)
