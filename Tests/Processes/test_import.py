"""martlet import qmail: qmail homes built by hand (qmail §4.1), imported, and delivered by the real system; what arrives is counted outside."""

import base64
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from fault_smtp import FaultServer
from martlet import HOST, ROOT, account, as_account, wait_until
from qmail_home import QmailHome, record

DAY = 86400
NOW = int(time.time())


@pytest.fixture
def qmail():
    """Makes qmail homes; at the end each must be as it was when the first import began."""
    made = []

    def make(**options):
        home = QmailHome(tempfile.mkdtemp(prefix="qmail-") + "/qmail", **options)
        home.path.parent.chmod(0o755)
        made.append(home)
        return home

    yield make
    for home in made:
        changed = {name for name, state in home.snapshot().items() if home.before and home.before.get(name) != state}
        assert not changed, "the import changed its source"
        assert not home.before or home.before.keys() == home.snapshot().keys()
        shutil.rmtree(home.path.parent)


QmailHome.before = None


def freeze(qmail):
    """From here on nothing in it may change."""
    if qmail.before is None:
        if os.geteuid() == 0:
            qmail.give(*account())
        qmail.before = qmail.snapshot()


def run_import(home, qmail, *options):
    freeze(qmail)
    done = home.command("martlet", "import", "qmail", qmail.path, *options)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def subjects(messages):
    """Subjects of messages, the imported ones: of a bounce, its own."""
    return sorted(re.search(rb"^Subject: (.*)$", message, re.M)[1].decode() for message in messages)


def body(subject, text="hello\n"):
    return f"Subject: {subject}\n\n{text}".encode()


# Each state of a message


def test_each_recipient_ends_once(home, qmail):
    """One message in each state that qmail §4.1 knows; what arrives, where, and how often."""
    source = qmail()
    source.control("me", HOST)
    source.control("virtualdomains", "virtual.example:alice\n")
    here, old = f"@{HOST}", NOW - 1000
    source.routed(f"carol{here}", body("routed"), local=[f"Talice{here}", f"Dbob{here}"], birth=old)
    source.routed(f"carol{here}", body("prepended"), local=["Talice-info@virtual.example"], birth=old)
    source.queued(f"carol{here}", [f"alice{here}", "info@virtual.example", "bob"], body("queued"))
    begun = source.queued(f"carol{here}", [f"alice{here}"], body("half preprocessed"), with_intd=False)
    source.write("info", begun, record("F", f"carol{here}"))
    source.write("local", begun, record("D", f"alice{here}") + b"Tbob")
    source.routed(
        f"carol{here}", body("one failed already"), local=[f"Talice{here}"], birth=old,
        bounce=b"<gone@far.example>:\n1.2.3.4 does not like recipient.\nRemote host said: 550 who?\nGiving up on 1.2.3.4.\n\n")
    source.routed(f"carol{here}", body("all failed"), birth=old, bounce=b"<x@far.example>:\nno x\n\n<y@far.example>:\n/no y\n\n")
    source.routed(f"list-{here}-@[]", body("verp"), local=[f"Talice{here}", f"Tbob{here}"], birth=old)
    source.routed("", body("a bounce"), birth=old, bounce=b"<z@far.example>:\nno z\n\n")
    discarded = source.routed("#@[]", body("a double bounce"), birth=old, bounce=b"<postmaster@far.example>:\nno\n\n")
    source.routed(f"carol{here}", body("over"), birth=old)
    source.routed(f"carol{here}", body("long", "x" * 69 + "\n") + b"y" * 70 * 30000, local=[f"Talice{here}"], birth=old)
    source.message(body("never accepted"))
    cut = source.message(body("never accepted"))
    source.write("intd", cut, b"u1000\0p4711\0Fcarol@")
    code, output, errors = run_import(home, source)
    assert (code, errors) == (0, ""), output
    assert "queue: 11 messages" in output and "2 skipped, 0 damaged" in output
    assert len(re.findall(r"^msg \d+: skipped: .*never accepted", output, re.M)) == 2
    for user in ("alice", "bob", "carol", "postmaster"):
        home.user(user)
    (home.home / "home/alice/.qmail-info").write_text("./Maildir/\n")
    home.start()
    wait_until(lambda: home.log().count("end msg") >= 14, lambda: home.log())
    assert subjects(home.messages("alice")) == [
        "half preprocessed", "long", "one failed already", "prepended", "queued", "queued", "routed", "verp"]
    assert subjects(home.messages("bob")) == ["queued", "verp"]
    assert subjects(home.messages("carol")) == ["failure notice", "failure notice"]
    assert subjects(home.messages("postmaster")) == ["failure notice"]
    first, second = sorted(home.messages("carol"), key=lambda m: b"gone@" not in m)
    assert b"<gone@far.example>:\n1.2.3.4 does not like recipient.\nRemote host said: 550 who?\nGiving up on 1.2.3.4.\n\n" in first
    assert b"<x@far.example>:\nno x\n\n<y@far.example>:\n/no y\n\n" in second
    assert b"<z@far.example>:\nno z\n\n" in home.messages("postmaster")[0]
    paths = {message.split(b"\n")[0] for message in home.messages("alice") + home.messages("bob") if b"Subject: verp" in message}
    assert paths == {f"Return-Path: <list-{user}={HOST}{here}>".encode() for user in ("alice", "bob")}
    longest = max(home.messages("alice"), key=len)
    assert longest.endswith(b"x" * 69 + b"\n" + b"y" * 2100000)
    assert len(re.findall(r"triple bounce: discarding", home.log())) == 1, discarded


def test_births_and_next_attempts_are_kept(home, qmail):
    """qmail §9.1: a channel is due when its file says so; a message expires by its birth."""
    source = qmail()
    here = f"@{HOST}"
    birth = NOW - 3 * DAY
    source.routed(f"carol{here}", body("waits"), remote=["Ta@far.example", "Db@far.example"], birth=birth, next_remote=NOW + DAY)
    source.routed(f"carol{here}", body("dying"), remote=["Tc@dead.example"], birth=NOW - 8 * DAY)
    code, output, _ = run_import(home, source)
    assert code == 0, output
    home.user("carol")
    with_server = FaultServer()
    try:
        home.control("smtproutes", f"far.example:[127.0.0.1]:{with_server.port}\ndead.example:[127.0.0.1]:1")
        home.start()
        home.wait_for_log(r"^delivery \d+: deferral")
        assert "far.example" not in home.log()
        listing = home.command("qmail-qread").stdout.decode()
        assert time.strftime("%-d %b %Y %H:%M:%S GMT", time.gmtime(birth)) in listing
        assert "\tremote\ta@far.example" in listing and "  done\tremote\tb@far.example" in listing
        # Now all is due; and for the old one this was the last attempt.
        home.send_signal(signal.SIGALRM)
        home.wait_for_messages("carol", 1)
        wait_until(lambda: with_server.messages, "nothing came")
    finally:
        with_server.close()
    assert b"this message has been in the queue too long" in home.messages("carol")[0]
    assert with_server.transcript.count("RCPT TO:<a@far.example>") == 1
    assert not [line for line in with_server.transcript if "b@far.example" in line]
    assert len(with_server.messages) == 1


@pytest.mark.parametrize("split, split_todo", [(1, False), (23, False), (23, True), (151, False)])
def test_any_split(home, qmail, split, split_todo):
    source = qmail(split=split, split_todo=split_todo)
    for number in range(5):
        source.routed("", body(f"routed {number}"), local=[f"Talice@{HOST}"], birth=NOW)
        source.queued("", [f"alice@{HOST}"], body(f"queued {number}"))
    code, output, _ = run_import(home, source)
    assert code == 0, output
    home.user("alice")
    home.start()
    home.wait_for_messages("alice", 10)
    assert subjects(home.messages("alice")) == [f"{kind} {number}" for kind in ("queued", "routed") for number in range(5)]


# What the reference wrote


def recorded(name):
    return [json.loads(line) for line in open(ROOT / "Tests/Golden/qmail" / name)]


def recorded_bytes(file):
    if "content_b64" in file:
        return base64.b64decode(file["content_b64"])
    content = file["content"]
    return base64.b64decode(content["b64"]) if isinstance(content, dict) else content.encode()


def test_what_the_references_qmail_queue_wrote_comes_in(home, qmail):
    """Its recorded cases: what it accepted, and what it left when it refused (qmail §3.1)."""
    source = qmail()
    accepted, refused = {}, []
    for number, case in enumerate(recorded("qmail-queue.jsonl"), 1000):
        files = case["expect"].get("queue_files") or {}
        for name, file in files.items():
            kind = name.split("/")[0]
            if kind in ("mess", "intd", "todo"):
                source.write(kind, number, recorded_bytes(file).replace(b"<PID>", b"4711"))
        if any(name.startswith("todo/") for name in files):
            accepted[number] = recorded_bytes(files["todo/<ID>"]).split(b"\0T")[1:]
        elif any(name.startswith("mess/") for name in files):
            refused.append(number)
    assert len(accepted) > 10 and len(refused) > 4
    code, output, _ = run_import(home, source, "--json")
    report = json.loads(output)
    assert (code, report["imported"], report["skipped"], report["damaged"]) == (0, len(accepted), len(refused), 0)
    assert {finding["subject"] for finding in report["findings"] if finding["kind"] == "skipped"} == {f"msg {number}" for number in refused}
    home.control("concurrencylocal", "0")
    home.control("concurrencyremote", "0")
    home.start()
    listed = re.findall(r"\t(?:local|remote)\t(.*)", home.command("qmail-qread").stdout.decode())
    wanted = [recipient.removesuffix(b"\0") for recipients in accepted.values() for recipient in recipients]
    wanted = [recipient if b"@" in recipient else recipient + f"@{HOST}".encode() for recipient in wanted]
    # An address that our envelope has no room for loses the end of its local part.
    shown = [re.sub(rb"[^ -~]", b"_", recipient).decode()[:900] for recipient in wanted]
    assert sorted(recipient[:900] for recipient in listed) == sorted(shown)


@pytest.mark.parametrize("name, failed", [("send-052", ""), ("send-053", "  done\tremote\ta@mx.golden.example\n")])
def test_what_the_references_qmail_send_left_comes_in(home, qmail, name, failed):
    """Recorded at its stop, with messages under way: `qmail-qread` says the same after the import, and once more who failed (decision 13)."""
    expected = next(case for case in recorded("qmail-send.jsonl") if case["id"] == name)["expect"]
    source = qmail()
    number, birth = source.message(body("x")), NOW + DAY
    for file in expected["left"]:
        source.write(file["file"].split("/")[0], number, recorded_bytes(file), birth + file.get("next_attempt_after_birth", 0))
    assert run_import(home, source)[0] == 0
    home.start()
    size = source.file("mess", number).stat().st_size
    listing = home.command("qmail-qread").stdout.decode()
    date = time.strftime("%-d %b %Y %H:%M:%S", time.gmtime(birth))
    assert listing == expected["qread"].replace("<QDATE>", date).replace("<ID1>", "1").replace("<BYTES>", str(size)) + failed
    assert "starting delivery" not in home.log()


# Interruptions


def test_an_import_killed_anywhere_goes_on(home, qmail):
    source = qmail()
    count = 400
    for number in range(count):
        source.routed("", body(f"{number:03}", "x" * 20000), local=[f"Talice@{HOST}"], birth=NOW)
    home.user("alice")
    freeze(source)
    delays = [0.004, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.3]
    arguments = [home.programs / "martlet", "import", "qmail", source.path]
    killed = refused = 0
    while True:
        process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"QMAILHOME": str(home.home), "PATH": os.environ["PATH"]}, **as_account())
        if killed < len(delays):
            time.sleep(delays[killed])
            process.kill()
        code = process.wait(60)
        process.communicate()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        if (home.home / "queue/import/plan").exists():
            # Nothing may be delivered before it is known what was imported.
            refused += 1
            code, log = home.run_to_end()
            assert code == 1 and "an import of a queue was cut off" in log
    assert refused, "no kill came in the middle"
    home.start()
    home.wait_for_messages("alice", count)
    wait_until(lambda: len(re.findall(r"^end msg", home.log(), re.M)) == count, lambda: home.log()[-2000:])
    assert subjects(home.messages("alice")) == [f"{number:03}" for number in range(count)]
    assert home.stop() == 0
    code, output, _ = run_import(home, source)
    assert code == 0 and f"queue: 0 messages (0 bytes) imported, {count} imported before" in output


# Refusals


def test_a_running_qmail_is_refused(home, qmail):
    source = qmail()
    source.routed("", body("x"), local=[f"Talice@{HOST}"])
    with open(source.queue / "lock/sendmutex", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, output, errors = run_import(home, source)
        assert (code, output) == (111, "")
        assert re.fullmatch(r"martlet: qmail-send runs in \S+: stop it, and all that queues mail there, then import\n", errors)
        code, output, _ = run_import(home, source, "--dry-run")
        assert code == 0 and "qmail-send runs there" in output and "queue: 1 messages" in output
    assert run_import(home, source)[0] == 0


def test_a_running_martletd_is_refused(server, qmail):
    source = qmail()
    code, output, errors = run_import(server, source)
    assert (code, output) == (111, "")
    assert "martletd runs here: stop it first" in errors
    assert run_import(server, source, "--dry-run")[0] == 0


@pytest.mark.parametrize("place, code, text", [
    ("/nowhere", 64, "there is no folder /nowhere"), ("/etc", 111, "is no home of qmail: there is no /etc/queue/mess"),
])
def test_a_wrong_folder_is_refused(home, place, code, text):
    done = home.command("martlet", "import", "qmail", place)
    assert done.returncode == code and text in done.stderr.decode()


def test_our_own_home_is_refused(home):
    (home.home / "queue/mess").mkdir()
    done = home.command("martlet", "import", "qmail", home.home)
    assert done.returncode == 111 and "move qmail's aside" in done.stderr.decode()


# Damage and the report


def test_a_terminal_sees_progress_and_a_pipe_does_not(home, qmail):
    source = qmail()
    for number in range(5):
        source.routed("", body(f"{number}"), local=[f"Talice@{HOST}"])
    freeze(source)
    terminal, side = pty.openpty()
    environment = {"QMAILHOME": str(home.home), "PATH": os.environ["PATH"]}
    command = [home.programs / "martlet", "import", "qmail", source.path]
    done = subprocess.run([*command, "--dry-run"], stdout=subprocess.PIPE, stderr=side, env=environment, timeout=60, **as_account())
    assert done.returncode == 0 and b"5 of 5" not in done.stdout
    assert os.read(terminal, 1000).endswith(b"\r5 of 5 messages\r\n")
    os.close(side)
    os.close(terminal)
    assert run_import(home, source)[2] == ""


def test_damage_is_named_and_holds_up_nothing(home, qmail):
    source = qmail()
    good = source.routed("", body("good"), local=[f"Talice@{HOST}"])
    bad = source.routed("", body("bad"), local=[f"Talice@{HOST}"])
    source.write("local", bad, b"Talice@" + HOST.encode())
    lost = source.routed("", body("lost"), local=[f"Talice@{HOST}"])
    source.file("mess", lost).unlink()
    code, output, errors = run_import(home, source, "--json")
    report = json.loads(output)
    assert (code, errors) == (111, "")
    assert (report["imported"], report["damaged"], report["complete"]) == (1, 2, False)
    found = {finding["subject"]: finding for finding in report["findings"] if finding["kind"] == "trouble"}
    assert found[f"msg {bad}"]["text"] == f"local/{bad % 23}/{bad}: ends too early: not imported"
    assert "its content is missing" in found[f"msg {lost}"]["text"]
    assert f"msg {good}" not in found
    home.user("alice")
    home.start()
    home.wait_for_messages("alice", 1)
    assert home.stop() == 0
    # What is mended is imported later.
    source.before = None
    source.write("local", bad, record("T", f"alice@{HOST}"))
    code, output, _ = run_import(home, source)
    assert code == 111 and "queue: 1 messages" in output and "1 imported before" in output
    home.start()
    home.wait_for_messages("alice", 2)
    assert subjects(home.messages("alice")) == ["bad", "good"]


def test_a_dry_run_changes_nothing(home, qmail):
    source = qmail()
    source.control("me", "other.example\n")
    source.control("idhost", "ids.example\n")
    source.routed("", body("x"), local=[f"Talice@{HOST}"])
    source.queued("", [f"alice@{HOST}"], body("y"))
    before = {path: path.lstat().st_mtime_ns for path in home.home.rglob("*")}
    code, output, _ = run_import(home, source, "--dry-run")
    assert code == 0
    assert output.splitlines()[-3:] == [
        "files: 1 would be copied, 0 the same, 1 differ and stay, 0 left where they are",
        "queue: 2 messages (%d bytes) would be imported, 0 imported before, 0 skipped, 0 damaged" % sum(
            path.stat().st_size for path in source.queue.glob("mess/*/*")),
        "recipients: 1 wait local, 0 wait remote, 1 were not routed yet, 0 done, 0 to be bounced",
    ]
    assert {path: path.lstat().st_mtime_ns for path in home.home.rglob("*")} == before


# Files of configuration


def test_files_are_copied(home, qmail):
    source = qmail()
    source.control("me", "other.example\n")
    source.control("locals", HOST + "\n")
    source.control("smtproutes", ":relay.example\n")
    source.control("validrcptto", "x@y.example\n")
    source.control("concurrencylocal", "many\n")
    (source.path / "control/cache").mkdir()
    (source.path / "users/assign").write_text(".\n")
    (source.path / "alias/.qmail-postmaster").write_text("&alice\n")
    os.chmod(source.path / "alias/.qmail-postmaster", 0o640)
    (source.path / "alias/.qmail-list").symlink_to("list/editor")
    (source.path / "alias/list").mkdir()
    (source.path / "alias/list/editor").write_text("|ezmlm-reject\n")
    os.utime(source.path / "users/assign", (NOW - DAY, NOW - DAY))
    code, output, _ = run_import(home, source)
    assert code == 0
    assert sorted(output.splitlines()[:-3]) == [
        "alias/.qmail-list: copied",
        "alias/.qmail-postmaster: copied",
        "alias/list: skipped: stays where it is",
        "control/cache: skipped: stays where it is",
        "control/concurrencylocal: copied",
        "control/concurrencylocal: holds no number: the default counts, as with qmail",
        "control/me: skipped: differs: ours stays (--overwrite takes qmail's)",
        "control/smtproutes: copied",
        "control/validrcptto: copied; Martlet does not read it",
        "users/assign: copied",
    ]
    assert output.splitlines()[-3] == "files: 6 copied, 1 the same, 1 differ and stay, 2 left where they are"
    ours = home.home
    assert (ours / "alias/.qmail-postmaster").stat().st_mode & 0o7777 == 0o640
    assert os.readlink(ours / "alias/.qmail-list") == "list/editor"
    assert int((ours / "users/assign").stat().st_mtime) == NOW - DAY
    assert (ours / "control/me").read_text() == HOST + "\n"
    code, output, _ = run_import(home, source, "--overwrite")
    assert code == 0 and "control/me: copied over ours, which is different\n" in output
    assert (ours / "control/me").read_text() == "other.example\n"


@pytest.mark.parametrize("name, text, complaint", [
    ("virtualdomains", "a.example:b\r\n", "control/virtualdomains line 1: holds a carriage return"),
    ("smtproutes", "a.example:relay:no\n", "the route of \"a.example\" is not RELAY or RELAY:PORT"),
])
def test_a_control_file_that_does_not_parse_is_named(home, qmail, name, text, complaint):
    source = qmail()
    source.control("me", HOST)
    source.control(name, text)
    for options in (["--dry-run"], []):
        code, output, errors = run_import(home, source, *options)
        assert code == 111 and complaint in output + errors


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_what_root_imports_belongs_to_the_queue(home, qmail):
    """Files of qmail's that only root can read; the queue's own account must be able to go on with what was made."""
    source = qmail()
    for number in range(3):
        source.routed("", body(f"{number}", "x" * 2_000_000), local=[f"Talice@{HOST}"])
    (source.path / "alias/.qmail-x").write_text("&alice\n")
    os.chown(source.path / "alias/.qmail-x", 7001, 7021)
    source.before = source.snapshot()
    done = home.command("martlet", "import", "qmail", source.path, user=0, group=0)
    assert done.returncode == 0, done.stderr
    made = [path for path in (home.home / "queue").rglob("*")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {account()}
    assert len([path for path in made if path.parent.name == "content"]) == 3
    alias = (home.home / "alias/.qmail-x").stat()
    assert (alias.st_uid, alias.st_gid) == (7001, 7021)
    home.user("alice")
    home.start()
    home.wait_for_messages("alice", 3)
    assert pathlib.Path(home.home / "queue/import/done").read_text().count("\n") == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("planted", ["journal", "content", "import", "lock"])
def test_a_link_planted_in_the_queue_leads_root_nowhere(home, qmail, tmp_path, planted):
    source = qmail()
    source.routed("", body("x" * 2_000_000), local=[f"Talice@{HOST}"])
    tmp_path.chmod(0o755)
    target = tmp_path / "roots"
    target.mkdir(mode=0o755)
    (home.home / "queue" / planted).symlink_to(target)
    freeze(source)
    done = home.command("martlet", "import", "qmail", source.path, user=0, group=0)
    assert done.returncode == 111 and b"access denied" in done.stderr, done
    assert list(target.iterdir()) == []
