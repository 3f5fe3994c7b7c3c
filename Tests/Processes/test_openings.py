"""lspawn's side of run/opening: store workers, started by an auth that the test plays.

In place of the store worker stands a shell script that tells what it was given, to its descriptor 0, and waits for the end of its input.
"""

import array
import os
import socket
import struct
import tempfile

import pytest

from test_lspawn import BIN, GID, LIMIT, LSPAWN, ROOT, UID, Post, counted, until

pytestmark = pytest.mark.skipif(not (BIN and os.access(LSPAWN, os.X_OK)), reason="MARTLET_BIN is not set")

POP3 = 2
TELL = """#!/bin/sh
{
  echo "$0 $*"
  id -u; id -g; id -G
  pwd
  echo "USER=$USER HOME=$HOME SECRET=$SECRET"
  echo "QMAILHOME=$QMAILHOME"
  umask
  grep SigBlk /proc/self/status
  ulimit -c
  echo END
} >&0
exec cat >/dev/null
"""


class Office(Post):
    """A Post whose lspawn has an auth too; its worker is a script."""

    def listen(self, name):
        if name == "deliver-local":
            os.mkdir(f"{self.home}/run/opening", 0o755)
            self.opening_listener = super().listen("opening")
        return super().listen(name)

    def connect(self):
        super().connect()
        self.connect_opening()

    def connect_opening(self):
        self.opening = self.opening_listener.accept()[0]
        self.opening.settimeout(LIMIT)

    def order(self, name="alice", uid=UID, gid=GID, service=POP3, confined=0, mailbox=b"Maildir", home=None, user=None, descriptors=1, raw=None):
        """Sends auth's order; returns the other end of the pair that went with it."""
        ours, theirs = socket.socketpair()
        ours.settimeout(LIMIT)
        path = home if home is not None else f"{self.home}/home/{name}".encode()
        packet = raw if raw is not None else struct.pack("<BBBII", 1, service, confined, uid, gid) + counted(user or name.encode()) + counted(path) + counted(mailbox)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()] * descriptors))] if descriptors else []
        self.opening.sendmsg([packet], rights)
        theirs.close()
        return ours

    def logged(self, text):
        with open(f"{self.home}/log") as file:
            return text in file.read()

    def close(self):
        super().close()
        self.opening.close()
        self.opening_listener.close()


@pytest.fixture
def office():
    # Not in pytest's folder, which other users may not enter.
    with tempfile.TemporaryDirectory(prefix="martlet-store-") as folder:
        os.chmod(folder, 0o755)
        with open(f"{folder}/store", "w") as file:
            file.write(TELL)
        os.chmod(f"{folder}/store", 0o755)
        office = Office(worker=f"{folder}/store")
        yield office
        office.close()


def told(end):
    text = b""
    while not text.endswith(b"END\n"):
        piece = end.recv(1 << 16)
        assert piece, text
        text += piece
    return text.decode().splitlines()


@pytest.mark.parametrize("confined, word", [(0, "free"), (1, "confined")])
def test_a_store_worker_is_its_user_with_nothing_of_ours(office, confined, word):
    home = office.user("alice")
    end = office.order(confined=confined)
    lines = told(end)
    assert lines[0].split()[1:] == [word, "pop3", "Maildir"]
    assert lines[1] == str(UID)
    if ROOT:
        assert lines[2:4] == [str(GID), str(GID)]
    assert lines[4:7] == [home, f"USER=alice HOME={home} SECRET=", f"QMAILHOME={office.home}"]
    assert lines[7] == "0077"
    assert lines[8:10] == ["SigBlk:\t0000000000000000", "0"]
    [pid] = office.workers()
    until(lambda: sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"])
    end.close()
    until(lambda: office.workers() == [])


def test_each_order_has_a_process_of_its_own(office):
    office.user("alice")
    ends = [office.order() for _ in range(3)]
    for end in ends:
        told(end)
    assert len(office.workers()) == 3


def test_deliveries_go_on_beside_it(office):
    office.user("alice")
    told(office.order())
    office.queue.send(b"\1" + struct.pack("<I", 3) + counted(b"") + counted(b"s@x") + counted(b"@b"))
    assert office.report() == (3, "K", "")


@pytest.mark.parametrize("who, why", [
    (dict(uid=0, gid=0), "as root"),
    (dict(uid=0), "as root"),
    (dict(uid=2**32 - 1), "Internal"),
    (dict(gid=2**32 - 1), "Internal"),
    pytest.param(dict(uid=99), "minuid", marks=pytest.mark.skipif(not ROOT, reason="needs root")),
    pytest.param(dict(gid=0), "the rights of Martlet", marks=pytest.mark.skipif(not ROOT, reason="needs root")),
    pytest.param(dict(uid=UID + 1), "another user", marks=pytest.mark.skipif(ROOT, reason="needs not to be root")),
])
def test_uid_rules_hold_for_auth_as_for_route(office, who, why):
    office.user("alice")
    end = office.order(**who)
    assert end.recv(100) == b""
    until(lambda: office.logged("no store worker for uid"))
    assert office.logged(why)
    assert office.workers() == []
    told(office.order())


def test_a_home_that_is_not_there_only_closes(office):
    assert office.order(home=b"/nonexistent/home").recv(100) == b""
    until(lambda: office.logged("could not start: step 3: file does not exist"))


def test_one_user_cannot_take_all_places(office):
    office.user("alice")
    office.user("bob")
    ends = [office.order() for _ in range(32)]
    for end in ends:
        told(end)
    assert office.order().recv(100) == b""
    assert office.logged("too many")
    told(office.order("bob"))
    ends.pop().close()
    until(lambda: len(office.workers()) == 31)
    told(office.order())


def good(**changes):
    fields = dict(kind=1, service=POP3, confined=0, user=b"alice", home=b"/", mailbox=b"Maildir") | changes
    return (struct.pack("<BBBII", fields["kind"], fields["service"], fields["confined"], UID, GID) + counted(fields["user"]) + counted(fields["home"])
            + counted(fields["mailbox"]))


@pytest.mark.parametrize("packet", [
    b"\0", b"\1", b"\xff" * 300, good() + b"x", good()[:-1], good(kind=9), good(service=0), good(service=1), good(service=5), good(confined=2),
    good(home=b"relative"), good(home=b""), good(home=b"/a\0b"), good(home=b"/" + b"h" * 4095), good(mailbox=b"/etc"), good(mailbox=b""),
    good(mailbox=b"a\0b"), good(user=b""), good(user=b"a\0b"), good(user=b"u" * 1003),
])
def test_garbage_from_auth_costs_the_connection_only(office, packet):
    office.user("alice")
    end = office.order(raw=packet)
    assert office.opening.recv(100) == b""
    assert end.recv(100) == b""
    office.connect_opening()
    told(office.order())


@pytest.mark.parametrize("descriptors", [0, 2, 9])
def test_an_order_has_one_descriptor(office, descriptors):
    office.user("alice")
    end = office.order(descriptors=descriptors)
    assert office.opening.recv(100) == b""
    assert end.recv(100) == b""
    office.connect_opening()
    told(office.order())


def test_a_thousand_sessions_leak_nothing(office):
    office.user("alice")
    told(office.order()).clear()
    until(lambda: office.workers() == [])
    count = lambda: len(os.listdir(f"/proc/{office.process.pid}/fd"))
    before = count()
    for _ in range(1000):
        end = office.order()
        end.shutdown(socket.SHUT_WR)
        while end.recv(1 << 16):
            pass
        end.close()
    until(lambda: office.workers() == [])
    assert count() == before


def test_sessions_outlive_lspawn_and_auth(office):
    office.user("alice")
    end = office.order()
    told(end)
    [pid] = office.workers()
    office.opening.close()
    office.connect_opening()
    told(office.order("alice"))
    office.process.kill()
    office.process.wait()
    assert os.path.exists(f"/proc/{pid}")
    end.close()
    until(lambda: not os.path.exists(f"/proc/{pid}"))
