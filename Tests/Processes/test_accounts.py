"""Accounts of our own: from `martlet domain|user|alias` to mail in a mailbox, and what keeps mailboxes apart."""

import json
import os
import smtplib
import stat
import subprocess
import time

import pytest

from martlet import HOST, as_account, wait_until
from test_privileged import ACCOUNTS, GROUPS, PrivilegedMartlet, can_have_a_namespace

DOMAIN = "example.org"
MESSAGE = "Subject: hello\n\nbody\n"


def martlet(home, *arguments, stdin=b"", ok=True, **options):
    """Runs `martlet`; what it said, decoded."""
    run = home.command("martlet", *arguments, stdin=stdin, **options)
    assert (run.returncode == 0) == ok, (run.returncode, run.stdout, run.stderr)
    return (run.stdout if ok else run.stderr).decode()


def mailbox(home, address):
    user, domain = address.split("@")
    return home.home / "mailboxes" / domain / user


def mails(home, address, folder="Maildir"):
    return [file.read_bytes() for file in sorted((mailbox(home, address) / folder / "new").iterdir())]


def wait_for_mails(home, address, count, **options):
    wait_until(lambda: len(mails(home, address, **options)) >= count, lambda: f"{address} has too few:\n{home.log()}")
    return mails(home, address, **options)


def dot_qmail(home, address, text, name=".qmail"):
    path = mailbox(home, address) / name
    path.write_text(text)
    info = os.stat(mailbox(home, address))
    os.chown(path, info.st_uid, info.st_gid)
    path.chmod(0o600)
    return path


@pytest.fixture
def accounts(home):
    """A running Martlet with a domain of accounts and two mailboxes in it."""
    home.user("alice")
    martlet(home, "domain", "add", DOMAIN)
    for user in ("joe", "ann"):
        martlet(home, "user", "add", f"{user}@{DOMAIN}", stdin=b"secret of " + user.encode() + b"\n")
    return home.start()


def verdict(server, recipient):
    with server.smtp() as client:
        client.ehlo()
        client.mail("s@sender.example")
        code, text = client.rcpt(recipient)
        return code, text.decode()


def becomes(server, recipient, code):
    """smtpd remembers for a second that a recipient is there."""
    wait_until(lambda: verdict(server, recipient)[0] == code, lambda: f"{recipient} is not {code}:\n{server.log()}")


def failure(server, after=0):
    """The text of the next delivery that fails for good."""
    return server.wait_for_log(r"failure: (.*)$", after=after)[1]


def deferral(server, after=0):
    return server.wait_for_log(r"deferral: (.*)$", after=after)[1]


# The commands


def test_what_is_added_is_listed(home):
    assert martlet(home, "domain", "list") == martlet(home, "user", "list") == martlet(home, "alias", "list") == ""
    assert martlet(home, "domain", "add", "Example.ORG") == "added: example.org\n"
    martlet(home, "user", "add", "Joe@EXAMPLE.org", "--quota", "2M", "--forward", "x@far.example", stdin=b"secret\n")
    martlet(home, "alias", "add", "info@example.org", "joe@example.org", "Ann@Far.example")
    martlet(home, "domain", "catch-all", "example.org", "joe@example.org")
    assert martlet(home, "domain", "list") == "example.org\t1\t1\tjoe@example.org\n"
    assert martlet(home, "user", "list", "example.org") == "joe@example.org\t2097152\t0\tkeep\tx@far.example\tpassword\t0\n"
    assert martlet(home, "alias", "list") == "info@example.org\tjoe@example.org,Ann@Far.example\n"
    assert json.loads(martlet(home, "user", "list", "--json")) == {
        "address": "joe@example.org", "quotaBytes": 2097152, "quotaMessages": 0, "keepsMail": True, "forwards": ["x@far.example"], "hasPassword": True,
        "applicationPasswords": 0}
    assert json.loads(martlet(home, "domain", "list", "--json")) == {
        "domain": "example.org", "mailboxes": 1, "aliases": 1, "catchAll": ["joe@example.org"]}
    assert json.loads(martlet(home, "alias", "list", "--json"))["targets"] == ["joe@example.org", "Ann@Far.example"]
    assert martlet(home, "user", "list", "other.example") == ""


def test_a_domain_of_another_script_is_kept_as_dns_knows_it(home):
    martlet(home, "domain", "add", "Bücher.example")
    assert martlet(home, "domain", "list") == "xn--bcher-kva.example\t0\t0\t\n"


def test_no_secret_is_readable_and_no_file_is_open_to_others(home):
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", f"joe@{DOMAIN}", stdin=b"a very secret word\n")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (home.home / "auth").iterdir()}
    assert modes["accounts.sqlite"] == 0o600 and modes["accounts.cdb"] == 0o640
    assert stat.S_IMODE(mailbox(home, f"joe@{DOMAIN}").stat().st_mode) == 0o700
    hashed = (home.home / "auth/accounts.cdb").read_bytes()
    assert b"$y$" in hashed and b"scram-sha-256 " in hashed and b"secret word" not in hashed
    assert b"$y$" not in (home.home / "users/accounts.cdb").read_bytes()
    # Of a password that is gone nothing stays, not even in what SQLite has set free.
    old = hashed[hashed.index(b"$y$"):].split()[0]
    martlet(home, "user", "passwd", f"joe@{DOMAIN}", stdin=b"another\n")
    for path in (home.home / "auth").iterdir():
        assert old not in path.read_bytes(), path


def test_the_password_itself_is_kept_only_where_the_site_says_so(home):
    home.control("authsecrets", "1")
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", f"joe@{DOMAIN}", stdin=b"tanstaaf\n")
    assert b"\nsecret dGFuc3RhYWY=\n" in (home.home / "auth/accounts.cdb").read_bytes()
    home.control("authsecrets", None)
    martlet(home, "user", "passwd", f"joe@{DOMAIN}", stdin=b"tanstaaf\n")
    assert b"secret " not in (home.home / "auth/accounts.cdb").read_bytes()


def test_passwords_come_from_a_file_too_and_never_from_an_argument(home, tmp_path):
    file = home.home / "password"
    file.write_text("of the file\nand more\n")
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", f"joe@{DOMAIN}", "--password-file", file)
    assert home.command("martlet", "user", "add", f"ann@{DOMAIN}", "--password", "x").returncode == 64
    for bad in (b"", b"\n", b"a\0b\n", b"x" * 600):
        assert "choose another" in martlet(home, "user", "add", f"ann@{DOMAIN}", stdin=bad, ok=False)
    martlet(home, "user", "add", f"ann@{DOMAIN}", "--no-password")
    assert b"ann@" not in (home.home / "auth/accounts.cdb").read_bytes()


def test_application_passwords(home):
    address = f"joe@{DOMAIN}"
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", address, "--no-password")
    shown = martlet(home, "user", "app", "add", address, "my phone").strip()
    assert len(shown) == 23 and shown.encode() not in (home.home / "auth/accounts.sqlite").read_bytes()
    assert "already" in martlet(home, "user", "app", "add", address, "my phone", ok=False)
    martlet(home, "user", "app", "add", address, "tablet")
    assert [line.split("\t")[0] for line in martlet(home, "user", "app", "list", address).splitlines()] == ["my phone", "tablet"]
    assert (home.home / "auth/accounts.cdb").read_bytes().count(b"\npassword $y$") == 2
    assert martlet(home, "user", "app", "remove", address, "my phone") == "removed: my phone\n"
    assert "no application password" in martlet(home, "user", "app", "remove", address, "my phone", ok=False)
    for number in range(14):
        martlet(home, "user", "app", "add", address, f"n{number}")
    assert "which is the most" in martlet(home, "user", "app", "add", address, "one more", ok=False)


@pytest.mark.parametrize("address", [
    "../x@example.org", "..@example.org", ".x@example.org", "x/y@example.org", "x@../y", "x@", "@example.org", "x", "", "x" * 65 + "@example.org",
    "x" * 300 + "@example.org", "x y@example.org", "x\ty@example.org", "x\ny@example.org", "x@exa mple.org", "x@-example.org", "x@example..org",
    "x@" + "a" * 64 + ".org", "x@" + "a." * 130 + "org", '"x"@example.org', "x|y@example.org", "$(id)@example.org", "jö@example.org",
])
def test_no_name_that_leads_elsewhere_is_an_address(home, address):
    martlet(home, "domain", "add", DOMAIN)
    before = sorted(path for path in home.home.rglob("*"))
    run = home.command("martlet", "user", "add", "--no-password", "--", address)
    assert run.returncode == 64, run
    assert sorted(path for path in home.home.rglob("*")) == before


def test_a_name_is_never_part_of_a_statement(home):
    martlet(home, "domain", "add", DOMAIN)
    targets = ["';DROP-TABLE-domain;--@x.example", "%00'||(SELECT-1)@x.example", '"q"@x.example']
    for name in ("o'brien", "'--", "a'or'1'='1"):
        martlet(home, "user", "add", f"{name}@{DOMAIN}", "--no-password", *[word for target in targets for word in ("--forward", target)])
        martlet(home, "user", "app", "add", f"{name}@{DOMAIN}", "'); DELETE FROM password; --")
    assert martlet(home, "domain", "list") == f"{DOMAIN}\t3\t0\t\n"
    listed = [line.split("\t") for line in martlet(home, "user", "list").splitlines()]
    assert [(line[0], line[4], line[6]) for line in listed] == [
        (f"{name}@{DOMAIN}", ",".join(targets), "1") for name in sorted(("o'brien", "'--", "a'or'1'='1"))]


def test_hostile_targets_are_no_addresses(home):
    martlet(home, "domain", "add", DOMAIN)
    for target in ("", "x", "x@", "@y", "x@y\n|id", "x @y", "x" * 1002 + "@y", "x@y\t"):
        assert home.command("martlet", "alias", "add", f"info@{DOMAIN}", "--", target).returncode == 64, target
    martlet(home, "alias", "add", f"info@{DOMAIN}", "|id@y.example")
    assert "30000 bytes" in martlet(home, "alias", "add", f"all@{DOMAIN}", *[f"{'u' * 60}{n}@far.example" for n in range(500)], ok=False)


@pytest.mark.parametrize("arguments, said", [
    (("domain", "add", HOST), "is delivered by control/locals or control/virtualdomains: take it out"),
    (("domain", "add", "virtual.example"), "is delivered by control/locals or control/virtualdomains: take it out"),
    (("domain", "add", "below.suffix.example"), "is delivered by control/locals or control/virtualdomains: take it out"),
    (("domain", "add", DOMAIN), "is there already"),
    (("domain", "remove", "far.example"), "is no domain of accounts: add it first"),
    (("domain", "remove", DOMAIN), "has 2 addresses: remove them first"),
    (("user", "add", "x@far.example", "--no-password"), "is no domain of accounts: add it first"),
    (("user", "add", f"joe@{DOMAIN}", "--no-password"), "is there already: change it"),
    (("user", "add", f"info@{DOMAIN}", "--no-password"), "is there already: change it"),
    (("user", "add", f"x@{DOMAIN}", "--no-password", "--no-copy"), "would be lost: give it an address"),
    (("user", "forward", f"joe@{DOMAIN}", "--no-copy"), "would be lost: give it an address"),
    (("user", "remove", f"x@{DOMAIN}"), "there is no mailbox"), (("user", "remove", f"info@{DOMAIN}"), "there is no mailbox"),
    (("user", "passwd", f"x@{DOMAIN}", "--no-password"), "there is no mailbox"), (("user", "quota", f"x@{DOMAIN}", "1M"), "there is no mailbox"),
    (("user", "app", "list", f"x@{DOMAIN}"), "there is no mailbox"), (("alias", "add", f"joe@{DOMAIN}", "x@y"), "is there already"),
    (("alias", "remove", f"joe@{DOMAIN}"), "there is no alias"),
])
def test_what_is_refused_changes_nothing(home, arguments, said):
    home.control("virtualdomains", "virtual.example:alice\n.suffix.example:alice")
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", f"joe@{DOMAIN}", "--no-password")
    martlet(home, "alias", "add", f"info@{DOMAIN}", f"joe@{DOMAIN}")
    files = [home.home / name for name in ("users/accounts.cdb", "auth/accounts.cdb")]
    before = [file.read_bytes() for file in files]
    run = home.command("martlet", *arguments)
    assert run.returncode == 1 and said in run.stderr.decode()
    assert [file.read_bytes() for file in files] == before


def test_two_administrators_at_once(home):
    martlet(home, "domain", "add", DOMAIN)
    environment = {"PATH": os.environ["PATH"], "QMAILHOME": str(home.home)}
    running = [
        subprocess.Popen([home.programs / "martlet", "user", "add", f"u{n}@{DOMAIN}", "--no-password"], env=environment, stdout=subprocess.DEVNULL,
                         **as_account()) for n in range(20)]
    assert [process.wait(60) for process in running] == [0] * 20
    assert len(martlet(home, "user", "list").splitlines()) == 20
    routing = (home.home / "users/accounts.cdb").read_bytes()
    assert all(f"u{n}@{DOMAIN}".encode() in routing for n in range(20))


def test_many_are_loaded_at_once_with_hashes_of_another_system(home):
    martlet(home, "domain", "add", DOMAIN)
    lines = "".join(f"u{n}@{DOMAIN} $6$salt${'x' * 86}\n" for n in range(200)).encode()
    assert martlet(home, "user", "load", stdin=lines) == "added: 200 mailboxes\n"
    assert (home.home / "auth/accounts.cdb").read_bytes().count(b"password $6$salt$") == 200
    assert "already" in martlet(home, "user", "load", stdin=f"new@{DOMAIN}\nu7@{DOMAIN}\n".encode(), ok=False)
    assert "line 2 " in martlet(home, "user", "load", stdin=f"new@{DOMAIN}\n../x@{DOMAIN} hash\n".encode(), ok=False)
    assert len(martlet(home, "user", "list").splitlines()) == 200


def killed_at(home, call, number, *arguments):
    """Runs a command that is killed when it makes a system call for the `number`-th time."""
    injection = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={number}"]
    return subprocess.run(
        [*injection, home.programs / "martlet", *arguments], env={"PATH": os.environ["PATH"], "QMAILHOME": str(home.home)}, capture_output=True, timeout=60,
        **as_account()).returncode


@pytest.mark.parametrize("number", range(1, 4))
def test_a_command_that_is_killed_while_it_publishes_is_mended_by_the_next(home, number):
    """Of its renames the first is the mailbox's folder; then come both databases, when the change is committed."""
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", f"joe@{DOMAIN}", "--no-password")
    assert killed_at(home, "rename", number, "user", "add", f"ann@{DOMAIN}", "--password-file", "/etc/hostname") != 0
    databases = [home.home / name for name in ("users/accounts.cdb", "auth/accounts.cdb")]
    is_stored = number > 1
    assert (b"ann@" in databases[0].read_bytes()) == (number > 2)
    # The next command, which only looks, publishes what was committed.
    listed = martlet(home, "user", "list")
    assert ("ann@" in listed) == is_stored
    for database in databases:
        assert (b"ann@" in database.read_bytes()) == is_stored
    if not is_stored:
        martlet(home, "user", "add", f"ann@{DOMAIN}", "--no-password")


@pytest.mark.parametrize("number", range(1, 12))
def test_a_command_that_is_killed_at_any_sync_leaves_all_or_nothing(home, number):
    martlet(home, "domain", "add", DOMAIN)
    killed_at(home, "fsync,fdatasync", number, "user", "add", f"ann@{DOMAIN}", "--no-password")
    is_there = "ann@" in martlet(home, "user", "list")
    assert (b"ann@" in (home.home / "users/accounts.cdb").read_bytes()) == is_there
    run = home.command("martlet", "user", "add", f"ann@{DOMAIN}", "--no-password")
    assert run.returncode == (1 if is_there else 0), run.stderr


def test_a_lost_or_damaged_database_is_made_anew(home):
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", f"joe@{DOMAIN}", "--no-password")
    routing = home.home / "users/accounts.cdb"
    good = routing.read_bytes()
    for damage in (routing.unlink, lambda: routing.write_bytes(b"damaged"), lambda: routing.write_bytes(b"")):
        damage()
        martlet(home, "user", "rebuild")
        assert routing.read_bytes() == good


# Mail


def test_rcpt_is_answered_for_accounts(accounts):
    martlet(accounts, "alias", "add", f"info@{DOMAIN}", f"joe@{DOMAIN}")
    for address in ("joe", "JOE", "joe+tag", "info", "info+tag", "joe-ext"):
        assert verdict(accounts, f"{address}@{DOMAIN}")[0] == 250, address
    assert verdict(accounts, f"joe@{DOMAIN.upper()}")[0] == 250
    # A user of the system is none here.
    for address in ("nobody-here", "alice", "root", "postmaster", "info-ext", "joe."):
        assert verdict(accounts, f"{address}@{DOMAIN}")[0] == 550, address
    assert verdict(accounts, "x@far.example")[0] == 553
    assert verdict(accounts, f"joe@{HOST}")[0] == 550


def test_mail_reaches_its_mailbox_only(accounts):
    accounts.send("s@sender.example", [f"Joe@{DOMAIN}"], MESSAGE)
    [mail] = wait_for_mails(accounts, f"joe@{DOMAIN}", 1)
    assert mail.startswith(f"Return-Path: <s@sender.example>\nDelivered-To: Joe@{DOMAIN}\n".encode())
    assert mails(accounts, f"ann@{DOMAIN}") == [] and accounts.messages("alice") == []


def test_users_of_the_system_go_on(accounts):
    accounts.send("s@sender.example", ["alice"], MESSAGE)
    accounts.wait_for_messages("alice", 1)


def test_what_is_changed_counts_at_once(accounts):
    martlet(accounts, "domain", "add", "new.example")
    assert verdict(accounts, "eva@new.example")[0] == 550
    martlet(accounts, "user", "add", "eva@new.example", "--no-password")
    accounts.send("s@sender.example", ["eva@new.example"], MESSAGE)
    wait_for_mails(accounts, "eva@new.example", 1)
    martlet(accounts, "user", "remove", "eva@new.example")
    becomes(accounts, "eva@new.example", 550)
    martlet(accounts, "domain", "remove", "new.example")
    assert verdict(accounts, "eva@new.example")[0] == 553


def test_an_internationalised_domain(accounts):
    martlet(accounts, "domain", "add", "bücher.example")
    martlet(accounts, "user", "add", "joe@bücher.example", "--no-password")
    accounts.send("s@sender.example", ["joe@xn--bcher-kva.example"], MESSAGE)
    wait_for_mails(accounts, "joe@xn--bcher-kva.example", 1)
    assert accounts.inject("s@sender.example", "joe@BÜCHER.example".replace("Ü", "ü"), MESSAGE) == 0
    wait_for_mails(accounts, "joe@xn--bcher-kva.example", 2)


def test_forwards_and_aliases(accounts):
    martlet(accounts, "user", "forward", f"joe@{DOMAIN}", f"ann@{DOMAIN}", f"alice@{HOST}")
    martlet(accounts, "alias", "add", f"info@{DOMAIN}", f"joe@{DOMAIN}")
    accounts.send("s@sender.example", [f"info@{DOMAIN}"], MESSAGE)
    [kept] = wait_for_mails(accounts, f"joe@{DOMAIN}", 1)
    assert kept.count(b"\nDelivered-To: ") == 2 and f"Delivered-To: info@{DOMAIN}".encode() in kept
    wait_for_mails(accounts, f"ann@{DOMAIN}", 1)
    accounts.wait_for_messages("alice", 1)
    martlet(accounts, "user", "forward", f"joe@{DOMAIN}", f"ann@{DOMAIN}", "--no-copy")
    accounts.send("s@sender.example", [f"joe@{DOMAIN}"], MESSAGE)
    wait_for_mails(accounts, f"ann@{DOMAIN}", 2)
    assert len(mails(accounts, f"joe@{DOMAIN}")) == 1


def test_a_loop_of_aliases_ends(accounts):
    martlet(accounts, "alias", "add", f"a@{DOMAIN}", f"b@{DOMAIN}")
    martlet(accounts, "alias", "add", f"b@{DOMAIN}", f"a@{DOMAIN}")
    accounts.send(f"joe@{DOMAIN}", [f"a@{DOMAIN}"], MESSAGE)
    [bounce] = wait_for_mails(accounts, f"joe@{DOMAIN}", 1)
    assert b"This message is looping" in bounce


def test_catch_all(accounts):
    assert verdict(accounts, f"any@{DOMAIN}")[0] == 550
    martlet(accounts, "domain", "catch-all", DOMAIN, f"joe@{DOMAIN}")
    accounts.send("s@sender.example", [f"any@{DOMAIN}"], MESSAGE)
    [mail] = wait_for_mails(accounts, f"joe@{DOMAIN}", 1)
    assert f"Delivered-To: any@{DOMAIN}".encode() in mail
    martlet(accounts, "domain", "catch-all", DOMAIN)
    becomes(accounts, f"any@{DOMAIN}", 550)


def test_extensions(accounts):
    address = f"joe@{DOMAIN}"
    said = len(accounts.log())
    assert accounts.inject("", f"joe-list@{DOMAIN}", MESSAGE) == 0
    assert "no_mailbox_here_by_that_name" in failure(accounts, said)
    dot_qmail(accounts, address, "./Maildir/\n", ".qmail-list")
    accounts.send("s@sender.example", [f"joe-list@{DOMAIN}", f"joe+tag@{DOMAIN}"], MESSAGE)
    found = b"".join(wait_for_mails(accounts, address, 2))
    assert f"Delivered-To: joe-list@{DOMAIN}".encode() in found and f"Delivered-To: joe+tag@{DOMAIN}".encode() in found
    accounts.control("rcptprobe", "1")
    assert verdict(accounts, f"joe-list@{DOMAIN}")[0] == 250
    assert verdict(accounts, f"joe-other@{DOMAIN}")[0] == 550


def test_control_files_go_before_accounts(accounts):
    accounts.control("virtualdomains", f"joe@{DOMAIN}:alice-sub")
    (accounts.home / "home/alice/.qmail-default").write_text("./Maildir/\n")
    (accounts.home / "home/alice/.qmail-default").chmod(0o600)
    accounts._give(accounts.home / "home/alice/.qmail-default")
    accounts.send_signal(1)
    said = len(accounts.log())
    time.sleep(0.3)
    accounts.send("s@sender.example", [f"joe@{DOMAIN}", f"ann@{DOMAIN}"], MESSAGE)
    accounts.wait_for_messages("alice", 1)
    wait_for_mails(accounts, f"ann@{DOMAIN}", 1)
    assert mails(accounts, f"joe@{DOMAIN}") == [], accounts.log()[said:]


def test_mail_of_a_domain_that_is_gone_does_not_fall_to_system_users(accounts):
    """It is in the queue already, as mail for this host; `alice` here is somebody else."""
    accounts.control("concurrencylocal", "0")
    accounts.stop()
    martlet(accounts, "user", "add", f"alice@{DOMAIN}", "--no-password")
    accounts.start()
    accounts.send("", [f"alice@{DOMAIN}"], MESSAGE)
    accounts.stop()
    martlet(accounts, "domain", "remove", DOMAIN, "--with-users")
    accounts.control("concurrencylocal", None)
    said = len(accounts.log())
    accounts.start()
    assert "no_mailbox_here_by_that_name" in failure(accounts, said)
    assert accounts.messages("alice") == []


def test_a_removed_mailbox_keeps_its_mail_for_nobody_else(accounts):
    address = f"joe@{DOMAIN}"
    accounts.send("s@sender.example", [address], MESSAGE)
    wait_for_mails(accounts, address, 1)
    martlet(accounts, "user", "remove", address)
    assert len(mails(accounts, address)) == 1
    assert "--adopt" in martlet(accounts, "user", "add", address, "--no-password", ok=False)
    martlet(accounts, "user", "add", address, "--no-password", "--adopt")
    assert len(mails(accounts, address)) == 1
    martlet(accounts, "user", "remove", address, "--with-mail")
    assert not mailbox(accounts, address).exists()
    martlet(accounts, "user", "add", address, "--no-password")
    assert mails(accounts, address) == []


def test_an_empty_folder_with_instructions_is_not_taken_for_a_new_one(home):
    address = f"joe@{DOMAIN}"
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", address, "--no-password")
    dot_qmail(home, address, "&spy@far.example\n")
    martlet(home, "user", "remove", address)
    assert "--adopt" in martlet(home, "user", "add", address, "--no-password", ok=False)


def test_removing_mail_follows_no_link(home):
    address = f"joe@{DOMAIN}"
    martlet(home, "domain", "add", DOMAIN)
    martlet(home, "user", "add", address, "--no-password")
    treasure = home.home / "treasure"
    treasure.mkdir()
    (treasure / "file").write_text("x")
    home._give(treasure, treasure / "file")
    (mailbox(home, address) / "link").symlink_to(treasure)
    (mailbox(home, address) / "Maildir/cur/link").symlink_to(treasure)
    martlet(home, "user", "remove", address, "--with-mail")
    assert (treasure / "file").exists() and not mailbox(home, address).exists()


# Logins


@pytest.fixture
def submission(accounts):
    """As `accounts`, with a door for mail programs and logins without TLS."""
    accounts.stop()
    accounts.control("submissionlisten", "127.0.0.1:0")
    accounts.control("authinsecure", "127.0.0.0/8")
    martlet(accounts, "alias", "add", f"info@{DOMAIN}", f"joe@{DOMAIN}")
    return accounts.start()


def submits(server, login, password, sender):
    """The reply to a message that is submitted; 535 stands for a login that fails."""
    with smtplib.SMTP(*server.doors["submission"], timeout=30) as client:
        client.ehlo()
        try:
            client.login(login, password)
        except smtplib.SMTPAuthenticationError:
            return 535
        code = client.mail(sender)[0]
        return client.rcpt(f"ann@{DOMAIN}")[0] if code == 250 else code


def test_a_login_and_what_it_may_send_as(submission):
    joe, password = f"joe@{DOMAIN}", "secret of joe"
    for sender in (joe, f"JOE@{DOMAIN}", f"joe-list@{DOMAIN}", f"joe+x@{DOMAIN}", f"info@{DOMAIN}"):
        assert submits(submission, joe, password, sender) == 250, sender
    for sender in (f"ann@{DOMAIN}", f"nobody@{DOMAIN}", "x@far.example", f"alice@{HOST}"):
        assert submits(submission, joe, password, sender) >= 500, sender
    assert submits(submission, joe, "wrong", joe) == submits(submission, f"info@{DOMAIN}", password, joe) == 535


def test_a_new_password_and_an_application_password_count_at_once(submission):
    joe = f"joe@{DOMAIN}"
    shown = martlet(submission, "user", "app", "add", joe, "phone").strip()
    assert submits(submission, joe, shown, joe) == 250
    martlet(submission, "user", "passwd", joe, stdin=b"new one\n")
    assert submits(submission, joe, "new one", joe) == 250
    assert submits(submission, joe, "secret of joe", joe) == 535
    martlet(submission, "user", "app", "remove", joe, "phone")
    assert submits(submission, joe, shown, joe) == 535
    martlet(submission, "user", "remove", joe)
    assert submits(submission, joe, "new one", joe) == 535


# Quota


def test_mail_beyond_the_quota_is_returned(accounts):
    address = f"joe@{DOMAIN}"
    martlet(accounts, "user", "quota", address, "6K")
    accounts.send("s@sender.example", [address], "Subject: fits\n\n" + "x" * 70 + "\n")
    wait_for_mails(accounts, address, 1)
    [name] = os.listdir(mailbox(accounts, address) / "Maildir/new")
    size = (mailbox(accounts, address) / "Maildir/new" / name).stat().st_size
    assert name.endswith(f",S={size}")
    sizes = mailbox(accounts, address) / "Maildir/maildirsize"
    wait_until(lambda: sizes.read_text() == f"6144S\n0 0\n{size} 1\n", lambda: sizes.read_text())
    said = len(accounts.log())
    accounts.send("", [address], "Subject: large\n\n" + ("x" * 70 + "\n") * 100)
    assert "(#5.2.2)" in failure(accounts, said)
    assert len(mails(accounts, address)) == 1
    # Another program threw mail away and took nothing off: it is counted anew before anything is returned.
    sizes.write_text("6144S\n6000 10\n100 1\n")
    accounts.send("s@sender.example", [address], "Subject: fits\n\nx\n")
    wait_for_mails(accounts, address, 2)
    martlet(accounts, "user", "quota", address, "0")
    accounts.send("s@sender.example", [address], "Subject: large\n\n" + ("x" * 70 + "\n") * 100)
    wait_for_mails(accounts, address, 3)


def test_a_quota_of_messages_counts_folders_but_not_trash(accounts):
    address = f"joe@{DOMAIN}"
    martlet(accounts, "user", "quota", address, "0", "--messages", "3")
    owner = mailbox(accounts, address).stat()
    for folder in (".Lists", ".Trash"):
        for part in ("", "/cur", "/new", "/tmp"):
            path = mailbox(accounts, address) / "Maildir" / (folder + part)
            path.mkdir(mode=0o700)
            os.chown(path, owner.st_uid, owner.st_gid)
        for number in range(2):
            (mailbox(accounts, address) / "Maildir" / folder / "cur" / f"{number}:2,S").write_text("x")
    accounts.send("s@sender.example", [address], MESSAGE)
    wait_for_mails(accounts, address, 1)
    said = len(accounts.log())
    accounts.send("", [address], MESSAGE)
    assert "(#5.2.2)" in failure(accounts, said)


# What keeps mailboxes apart


def workers(server):
    """{pid} of delivery workers."""
    lspawn = server.pid("lspawn")
    with open(f"/proc/{lspawn}/task/{lspawn}/children") as children:
        return {int(pid) for pid in children.read().split()}


def test_each_mailbox_has_a_worker_of_its_own(accounts):
    accounts.send("s@sender.example", [f"joe@{DOMAIN}", f"ann@{DOMAIN}"], MESSAGE)
    for user in ("joe", "ann"):
        wait_for_mails(accounts, f"{user}@{DOMAIN}", 1)
    arguments = [open(f"/proc/{pid}/cmdline").read().split("\0") for pid in workers(accounts)]
    assert arguments == [["martlet-local", "confined", ""]] * 2


@pytest.mark.parametrize("line", ["../ann/Maildir/", "{home}/mailboxes/example.org/ann/Maildir/", "./link/", "./maildir-of-links/"])
def test_no_instruction_leads_into_another_mailbox(accounts, line):
    joe, ann = mailbox(accounts, f"joe@{DOMAIN}"), mailbox(accounts, f"ann@{DOMAIN}")
    (joe / "link").symlink_to(ann / "Maildir")
    (joe / "maildir-of-links").mkdir()
    os.chown(joe / "maildir-of-links", joe.stat().st_uid, joe.stat().st_gid)
    for part in ("tmp", "new", "cur"):
        (joe / "maildir-of-links" / part).symlink_to(ann / "Maildir" / part)
    text = line.format(home=accounts.home)
    dot_qmail(accounts, f"joe@{DOMAIN}", (text if text[0] in "./" and not text.startswith("..") else f"./{text}") + "\n")
    said = len(accounts.log())
    accounts.send("s@sender.example", [f"joe@{DOMAIN}"], MESSAGE)
    assert "aildir" in deferral(accounts, said)
    assert mails(accounts, f"ann@{DOMAIN}") == []


@pytest.mark.parametrize("path", ["./../ann/mbox", "{home}/mailboxes/example.org/ann/mbox", "./link", "/tmp/martlet-test-mbox", "./hard"])
def test_no_mbox_elsewhere_is_written(accounts, path):
    joe, ann = mailbox(accounts, f"joe@{DOMAIN}"), mailbox(accounts, f"ann@{DOMAIN}")
    (ann / "mbox").write_text("old\n")
    os.chown(ann / "mbox", ann.stat().st_uid, ann.stat().st_gid)
    (joe / "link").symlink_to(ann / "mbox")
    os.link(ann / "mbox", joe / "hard")
    dot_qmail(accounts, f"joe@{DOMAIN}", path.format(home=accounts.home) + "\n")
    said = len(accounts.log())
    accounts.send("s@sender.example", [f"joe@{DOMAIN}"], MESSAGE)
    assert "Unable_to_open" in deferral(accounts, said)
    assert (ann / "mbox").read_text() == "old\n" and not os.path.exists("/tmp/martlet-test-mbox")


def test_an_mbox_in_the_mailbox_is_written(accounts):
    dot_qmail(accounts, f"joe@{DOMAIN}", "./mbox\n")
    accounts.send("s@sender.example", [f"joe@{DOMAIN}"], MESSAGE)
    path = mailbox(accounts, f"joe@{DOMAIN}") / "mbox"
    wait_until(lambda: path.exists() and b"Subject: hello" in path.read_bytes(), "no mbox")


def test_instructions_that_are_a_link_to_anothers_file_are_not_read(accounts):
    """The file could be anything of another mailbox: its lines would come back in a bounce."""
    secret = dot_qmail(accounts, f"ann@{DOMAIN}", "&secret-line@far.example\n", "note")
    (mailbox(accounts, f"joe@{DOMAIN}") / ".qmail").symlink_to(secret)
    said = len(accounts.log())
    accounts.send("s@sender.example", [f"joe@{DOMAIN}"], MESSAGE)
    assert "Unable_to_open_.qmail" in deferral(accounts, said)
    assert "secret-line" not in accounts.log()


def test_programs_do_not_run(accounts):
    mark = mailbox(accounts, f"joe@{DOMAIN}") / "ran"
    dot_qmail(accounts, f"joe@{DOMAIN}", f"|touch {mark}\n./Maildir/\n")
    said = len(accounts.log())
    accounts.send("s@sender.example", [f"joe@{DOMAIN}"], MESSAGE)
    assert "this_mailbox_runs_no_programs" in deferral(accounts, said)
    assert not mark.exists() and mails(accounts, f"joe@{DOMAIN}") == []


def test_a_mailbox_that_forwards_by_its_own_instructions(accounts):
    """The confined worker reaches the queue's socket itself; a large message goes in parts."""
    dot_qmail(accounts, f"joe@{DOMAIN}", f"&ann@{DOMAIN}\n./Maildir/\n")
    body = ("x" * 70 + "\n") * 30_000
    accounts.send("s@sender.example", [f"joe@{DOMAIN}"], "Subject: large\n\n" + body)
    [mail] = wait_for_mails(accounts, f"ann@{DOMAIN}", 1)
    assert mail.endswith(body.encode())
    wait_for_mails(accounts, f"joe@{DOMAIN}", 1)


# As root, with accounts of the system


@pytest.mark.skipif(not can_have_a_namespace(), reason="needs root and mount namespaces")
class TestPrivileged:
    VMAIL = 7050

    class Privileged(PrivilegedMartlet):
        """With an account for mailboxes, and commands run where the accounts are known."""

        def launch(self):
            self.furnish()
            return super().launch()

        def furnish(self):
            """The account vmail, among those that the namespace shows."""
            ACCOUNTS["vmail"] = TestPrivileged.VMAIL

        def command(self, name, *arguments, stdin=b"", **options):
            etc = self.home / "etc"
            script = f"mount --bind {etc}/passwd /etc/passwd && mount --bind {etc}/group /etc/group && exec \"$@\""
            return subprocess.run(
                ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", self.programs / name, *arguments], input=stdin,
                capture_output=True, timeout=60, cwd="/", env={"PATH": os.environ["PATH"], "QMAILHOME": str(self.home)})

    @pytest.fixture
    def server(self, programs):
        instance = self.Privileged(programs)
        try:
            instance.start()
            martlet(instance, "domain", "add", DOMAIN)
            martlet(instance, "user", "add", f"joe@{DOMAIN}", stdin=b"secret\n")
            martlet(instance, "user", "add", f"ann@{DOMAIN}", "--no-password")
            yield instance
        finally:
            ACCOUNTS.pop("vmail", None)
            instance.clean()

    def test_mail_is_delivered_under_the_account_of_mailboxes(self, server):
        server.send("s@sender.example", [f"joe@{DOMAIN}"], MESSAGE)
        wait_for_mails(server, f"joe@{DOMAIN}", 1)
        for path in (mailbox(server, f"joe@{DOMAIN}"), *(mailbox(server, f"joe@{DOMAIN}") / "Maildir/new").iterdir()):
            assert path.stat().st_uid == self.VMAIL
        [pid] = workers(server)
        status = open(f"/proc/{pid}/status").read()
        assert f"\nUid:\t{self.VMAIL}\t{self.VMAIL}\t{self.VMAIL}\t{self.VMAIL}\n" in status and "NoNewPrivs:\t1" in status

    def test_folders_of_domains_are_roots(self, server):
        folder = server.home / "mailboxes" / DOMAIN

        def are_roots():
            domain = folder.stat()
            assert (domain.st_uid, domain.st_gid, stat.S_IMODE(domain.st_mode)) == (0, mailbox(server, f"joe@{DOMAIN}").stat().st_gid, 0o710)
            whole = folder.parent.stat()
            assert (whole.st_uid, stat.S_IMODE(whole.st_mode)) == (0, 0o711)

        are_roots()
        # As docs/control-files.md has it after a change of control/vmailuser.
        subprocess.run(["chown", "-R", str(self.VMAIL), folder.parent], check=True, timeout=60)
        martlet(server, "user", "rebuild")
        are_roots()

    def test_only_the_group_of_auth_reads_logins(self, server):
        info = (server.home / "auth/accounts.cdb").stat()
        assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (0, GROUPS["qmaila"], 0o640)
        info = (server.home / "auth/accounts.sqlite").stat()
        assert (info.st_uid, stat.S_IMODE(info.st_mode)) == (0, 0o600)

    def test_another_mailbox_of_the_same_uid_is_out_of_reach(self, server):
        dot_qmail(server, f"joe@{DOMAIN}", "./../ann/Maildir/\n")
        said = len(server.log())
        server.send("s@sender.example", [f"joe@{DOMAIN}"], MESSAGE)
        assert "maildir" in deferral(server, said)
        assert mails(server, f"ann@{DOMAIN}") == []

    def test_forwards_and_removal(self, server):
        martlet(server, "alias", "add", f"info@{DOMAIN}", f"joe@{DOMAIN}")
        server.send("s@sender.example", [f"info@{DOMAIN}"], MESSAGE)
        wait_for_mails(server, f"joe@{DOMAIN}", 1)
        martlet(server, "user", "remove", f"joe@{DOMAIN}", "--with-mail")
        assert not mailbox(server, f"joe@{DOMAIN}").exists()

    def test_an_account_that_deliveries_may_not_use(self, server):
        for name, said in (("root", "below control/minuid"), ("nonexistent", "there is no account nonexistent for mailboxes to belong to: useradd --system")):
            (server.home / "control/vmailuser").write_text(name + "\n")
            assert said in martlet(server, "user", "list", ok=False)
