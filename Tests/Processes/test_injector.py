"""qmail-queue in hostile hands (hardening.md 1.3 "INJECTOR"): the caller controls descriptors, limits, signals, folder and environment, and may speak
to the queue's socket itself. A message is taken whole or not at all, the caller gets one answer, and nobody else notices."""

import os
import resource
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from martlet import HOST, LIMIT, account, as_account, wait_until

MESSAGE = b"Subject: x\n\n" + b"a line of it\n" * 2000
ENVELOPE = f"Fs@x.example\0Talice@{HOST}\0\0".encode()


@pytest.fixture
def server(home):
    home.user("alice")
    return home.start()


def pipe_of(data):
    """The reading end of a pipe that holds `data`, which is less than a pipe takes."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return reader


def queue(server, prepare=lambda: None, wait=True, environment=None, cwd="/", **options):
    """Runs qmail-queue after `prepare`, which runs in the child as the account; its exit code, or the process."""
    envelope = pipe_of(ENVELOPE)
    try:
        with tempfile.TemporaryFile() as message:
            message.write(MESSAGE)
            message.seek(0)
            process = subprocess.Popen(
                [server.programs / "qmail-queue"], stdin=message, stdout=envelope, stderr=subprocess.DEVNULL, preexec_fn=prepare, cwd=cwd,
                env={"QMAILHOME": str(server.home), **(environment or {})}, **{**as_account(), **options})
    finally:
        os.close(envelope)
    return process.wait(LIMIT) if wait else process


def fill_descriptors():
    """As many as there may be, all of them something else."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1024), hard))
    while True:
        try:
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)
        except OSError:
            return


def limit(name, value):
    return lambda: resource.setrlimit(name, (value, value))


def pending(*numbers):
    """Blocked, and one of each waiting."""
    def prepare():
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        for number in numbers:
            os.kill(os.getpid(), number)
    return prepare


def ignore_all():
    for number in set(range(1, signal.NSIG)) - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
        signal.signal(number, signal.SIG_IGN)


def timer():
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)


SURROUNDINGS = {
    "all descriptors taken": fill_descriptors, "RLIMIT_NOFILE 3": limit(resource.RLIMIT_NOFILE, 3), "RLIMIT_NOFILE 4": limit(resource.RLIMIT_NOFILE, 4),
    "RLIMIT_FSIZE 0": limit(resource.RLIMIT_FSIZE, 0), "RLIMIT_CPU 1": limit(resource.RLIMIT_CPU, 1), "RLIMIT_AS 8 MiB": limit(resource.RLIMIT_AS, 8 << 20),
    "RLIMIT_STACK 64 KiB": limit(resource.RLIMIT_STACK, 64 << 10), "RLIMIT_NPROC 0": limit(resource.RLIMIT_NPROC, 0),
    "RLIMIT_CORE": limit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1]),
    "signals pending": pending(signal.SIGALRM, signal.SIGXFSZ, signal.SIGTERM, signal.SIGPIPE), "signals ignored": ignore_all, "a timer": timer,
    "umask 777": lambda: os.umask(0o777), "0 closed": lambda: os.close(0), "1 closed": lambda: os.close(1), "2 closed": lambda: os.close(2),
    "all closed": lambda: os.closerange(0, 3), "own session": os.setsid,
}


@pytest.mark.parametrize("prepare", SURROUNDINGS.values(), ids=SURROUNDINGS.keys())
def test_whatever_surrounds_it_a_message_is_whole_or_refused(server, prepare):
    code = queue(server, prepare)
    # Killed by the caller's own limits, refused with a code of qmail-queue's, not to be run at all, or done.
    assert code <= 0 or code in (51, 52, 53, 54, 61, 63, 91, 111, 127), code
    assert queue(server) == 0
    for message in server.wait_for_messages("alice", 2 if code == 0 else 1):
        assert message.endswith(MESSAGE)
    server.wait_for_log(rf"^end msg {2 if code == 0 else 1}$")
    assert len(server.messages("alice")) == (2 if code == 0 else 1)


@pytest.mark.parametrize("environment", [
    {"X": "y" * 120_000, **{f"X{number}": "y" * 100_000 for number in range(9)}}, {"LD_LIBRARY_PATH": "/nonexistent", "MALLOC_CHECK_": "3"},
    {"QMAILHOME": "/nonexistent"}, {"QMAILHOME": ""}, {"QMAILHOME": "x" * 5000}, {"PATH": ""}, {"TZ": "../../etc/passwd", "LC_ALL": "\xff"},
], ids=lambda environment: ",".join(environment)[:30])
def test_whatever_the_environment_says(server, environment):
    code = queue(server, environment=environment)
    home = environment.get("QMAILHOME", str(server.home))
    assert code == (0 if home == str(server.home) else code) and code in (0, 61, 63)
    assert queue(server) == 0
    assert all(message.endswith(MESSAGE) for message in server.wait_for_messages("alice", 1))


def test_a_folder_that_is_gone(server):
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    if os.geteuid() == 0:
        os.chown(folder, *account())
    assert queue(server, lambda: os.rmdir(folder), cwd=folder) == 0
    [message] = server.wait_for_messages("alice", 1)
    assert message.endswith(MESSAGE)


def test_a_client_that_stops_midway_holds_up_nobody(server):
    """Stopped with half of its envelope read; then killed: nothing of it is left."""
    reader, writer = os.pipe()
    os.write(writer, ENVELOPE[:8])
    process = subprocess.Popen(
        [server.programs / "qmail-queue"], stdin=subprocess.DEVNULL, stdout=reader, env={"QMAILHOME": str(server.home)}, cwd="/", **as_account())
    os.close(reader)
    try:
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGSTOP)
        assert queue(server) == 0
        server.wait_for_messages("alice", 1)
    finally:
        process.kill()
        process.wait()
        os.close(writer)
    assert queue(server) == 0
    server.wait_for_messages("alice", 2)
    assert b"messages in queue: 0\n" in wait_until(
        lambda: (done := server.command("qmail-qstat").stdout).startswith(b"messages in queue: 0\n") and done, "the queue is not empty")


GARBAGE = [
    b"\xff" * 100_000, b"\0" * 100_000, os.urandom(100_000), b"\5\0\0\0\1\0\0\0\0" * 10_000, b"\1\0\0\0\xff" * 20_000, b"GET / HTTP/1.1\r\n\r\n" * 6000,
    b"\xff\xff\xff\x7f\1" + b"x" * 100_000, b"",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_on_the_socket_costs_its_sender_the_connection(server, garbage):
    """OpenSMTPD CVE-2025-62875: such bytes ended the server."""
    pid = server.pid("queue")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(LIMIT)
        client.connect(str(server.home / "run/inject/socket"))
        try:
            client.sendall(garbage)
            client.shutdown(socket.SHUT_WR)
            # What comes is an end, after answers or without.
            while client.recv(65536):
                pass
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert queue(server) == 0
    server.wait_for_messages("alice", 1)
    assert server.pid("queue") == pid


def test_five_hundred_idle_clients_leave_room(server):
    clients = []
    try:
        for _ in range(500):
            client = socket.socket(socket.AF_UNIX)
            clients.append(client)
            client.connect(str(server.home / "run/inject/socket"))
        assert queue(server) == 0
        server.wait_for_messages("alice", 1)
    finally:
        for client in clients:
            client.close()


def test_the_caller_is_who_the_kernel_says(server):
    assert queue(server, environment={"USER": "root", "LOGNAME": "root", "QMAILUSER": "root"}) == 0
    [message] = server.wait_for_messages("alice", 1)
    assert f" invoked by uid {account()[0]}); ".encode() in message.split(b"\n")[2]
