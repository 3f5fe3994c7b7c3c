"""martlet route ADDRESS: the decisions of queue, route and remote, told without any of them."""

import json
import pathlib
import struct
import subprocess
import sys
import time

import pytest
from martlet import HOST, account

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture
def home(home):
    home.user("alice")
    home.zone = home.home / "zone"
    home.zone.write_text("")
    names = subprocess.Popen([sys.executable, HERE / "hostile_dns.py", "--zone", home.zone], stdout=subprocess.PIPE, text=True)
    home.control("resolvers", "127.0.0.1@" + names.stdout.readline().split()[-1])
    yield home
    names.kill()
    names.wait()
    names.stdout.close()


def route(home, address):
    """(exit code, answer)."""
    done = home.command("martlet", "route", "--json", address)
    assert done.stderr == b"", done.stderr
    return done.returncode, json.loads(done.stdout)


def attempts(answer):
    return [(a["preference"], a["host"], a["address"], a["port"], a["tls"], a["certificateName"]) for a in answer["attempts"]]


def test_a_user(home):
    code, answer = route(home, "alice")
    uid, _ = account()
    assert code == 0 and answer["recipient"] == f"alice@{HOST}"
    assert (answer["channel"], answer["because"], answer["user"], answer["uid"]) == ("local", "locals", "alice", uid)
    assert answer["home"] == f"{home.home}/home/alice" and answer["dotQmail"] is None


def test_an_extension_with_and_without_its_file(home):
    assert route(home, f"alice-x@{HOST}")[0] == 1
    file = home.home / "home/alice/.qmail-x"
    file.touch()
    code, answer = route(home, f"alice-X@{HOST}")
    assert code == 0 and answer["dotQmail"] == str(file) and (answer["dash"], answer["ext"]) == ("-", "X")


def test_nobody(home):
    code, answer = route(home, f"nobody-here@{HOST}")
    assert code == 1 and answer["user"] == "alias" and answer["dotQmail"] is None


def test_a_virtual_domain_and_its_exception(home):
    home.control("virtualdomains", "virt.example:alice-v\nno.virt.example:\n.virt.example:alice-w")
    _, answer = route(home, "x@virt.example")
    assert (answer["recipient"], answer["because"], answer["key"]) == ("alice-v-x@virt.example", "virtualdomains", "virt.example")
    assert route(home, "x@a.virt.example")[1]["key"] == ".virt.example"
    assert (route(home, "x@no.virt.example")[1]["channel"]) == "remote"


def test_exchangers_in_their_order(home):
    home.zone.write_text(
        "far.example MX 20 b.example\nfar.example MX 10 a.example\na.example A 198.51.100.1\na.example AAAA 2001:db8::1\nb.example A 198.51.100.2\n")
    code, answer = route(home, "x@FAR.example")
    assert code == 0 and answer["because"] is None and answer["smtproute"] is None
    assert attempts(answer) == [
        (10, "a.example", "198.51.100.1", 25, "may", "a.example"), (10, "a.example", "2001:db8::1", 25, "may", "a.example"),
        (20, "b.example", "198.51.100.2", 25, "may", "b.example"),
    ]


def test_a_domain_that_dns_does_not_know(home):
    code, answer = route(home, "x@nowhere.example")
    assert (code, answer["outcome"]) == (1, "failed")
    assert answer["text"] == "Sorry, I couldn't find any host named nowhere.example. (#5.1.2)\n"


def test_a_smarthost_without_its_password(home):
    home.control("password", "s3cret")
    home.control("smtproutes", ":192.0.2.7:587 user=me@isp.example passwordfile=control/password name=mail.isp.example\nplain.example:192.0.2.8 tls=none")
    code, answer = route(home, "x@far.example")
    assert code == 0 and answer["smtproute"] == "" and answer["login"] == "me@isp.example"
    assert attempts(answer) == [(0, "", "192.0.2.7", 587, "verify", "mail.isp.example")]
    text = home.command("martlet", "route", "x@far.example").stdout.decode()
    assert "TLS demanded, by a certificate of mail.isp.example" in text and "s3cret" not in text and "password in control/password" in text
    assert attempts(route(home, "x@plain.example")[1]) == [(0, "", "192.0.2.8", 25, "none", "192.0.2.8")]


def test_an_address_that_did_not_answer_lately(home):
    home.control("smtproutes", ":192.0.2.7")
    # A record of qmail's tcpto: the address, how often, when.
    (home.home / "run/tcpto").write_bytes(struct.pack("<4sBxxxQ", bytes([192, 0, 2, 7]), 2, int(time.time())).ljust(64 * 48, b"\0"))
    assert route(home, "x@far.example")[1]["attempts"][0]["isResting"] is True


def test_a_program_in_place_of_our_smtp(home):
    home.control("remoteprogram", "bin/other")
    assert route(home, "x@far.example") == (0, {
        "address": "x@far.example", "recipient": "x@far.example", "channel": "remote", "because": None, "program": "bin/other"})


def test_a_broken_control_file_is_told_with_its_line(home):
    home.control("smtproutes", "\nfar.example:h tls=perhaps")
    done = home.command("martlet", "route", "x@far.example")
    assert done.returncode == 1
    assert done.stderr == (
        b'martlet: control/smtproutes line 2: the route of "far.example" has a tls= that is none of none, may, encrypt, verify, implicit\n')


@pytest.mark.parametrize("arguments, code", [([], 64), (["a\nb@x.example"], 64), ([""], 64), (["a", "b"], 64)])
def test_wrong_calls(home, arguments, code):
    assert home.command("martlet", "route", *arguments).returncode == code
