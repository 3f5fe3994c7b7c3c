"""Mail clients of Debian send through our sendmail into a running martletd, each in its own way of calling it."""

import email
import os
import shutil
import subprocess

import pytest

from martlet import HOST, LIMIT, as_account

SENDER = f"bob@{HOST}"


@pytest.fixture
def mail(home):
    """A running Martlet with the user alice, and a client's surroundings: a home that it may write."""
    home.user("alice")
    home.start()
    client = home.user("client")

    def run(*command, stdin=b"", needs=None, environment=None):
        if not shutil.which(needs or command[0]):
            pytest.skip(f"{needs or command[0]} is not installed")
        done = subprocess.run(
            [str(part) for part in command], input=stdin, capture_output=True, timeout=LIMIT, cwd=client,
            env={"PATH": os.environ["PATH"], "QMAILHOME": str(home.home), "HOME": str(client), "TMPDIR": str(client), "USER": "bob",
                 "LC_ALL": "C.UTF-8", **(environment or {})}, **as_account())
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    run.instance, run.home, run.sendmail = home, client, home.programs / "sendmail"
    return run


def arrived(mail, count=1):
    """The messages that alice has; each with the sender of its envelope first."""
    messages = [email.message_from_bytes(text) for text in mail.instance.wait_for_messages("alice", count)]
    assert len(messages) == count
    return messages


@pytest.mark.skipif(not os.stat("/tmp").st_mode & 0o002, reason="bsd-mailx needs a /tmp for everybody")
def test_bsd_mailx(mail):
    (mail.home / "mailrc").write_text(f"set sendmail={mail.sendmail}\n")
    mail("bsd-mailx", "-s", "von mailx", f"alice@{HOST}", stdin=b"first line\nlast line\n", environment={"MAILRC": str(mail.home / "mailrc")})
    message, = arrived(mail)
    assert message["Subject"] == "von mailx"
    assert message["Return-Path"] == f"<{SENDER}>"
    assert message["To"] == f"alice@{HOST}"
    assert message["From"] == SENDER
    assert message.get_payload() == "first line\nlast line\n"


def test_s_nail(mail):
    mail("s-nail", "-n", "-S", f"mta={mail.sendmail}", "-S", "sendwait", "-r", f"carol@{HOST}", "-s", "grüße", "-c", f"alice@{HOST}",
         f"alice@{HOST}", stdin="öä\n".encode())
    # Named in To and in Cc, s-nail gives one address to sendmail.
    message = arrived(mail)[0]
    assert message["Return-Path"] == f"<carol@{HOST}>"
    assert message.get_payload(decode=True) == "öä\n".encode()


def test_mutt_with_an_attachment(mail):
    (mail.home / "file.bin").write_bytes(bytes(range(256)))
    mail("mutt", "-F", "/dev/null", "-e", f'set sendmail="{mail.sendmail} -oem -oi"; set use_envelope_from=yes; set from={SENDER}; set copy=no',
         "-s", "attached", "-b", f"alice@{HOST}", "-a", "file.bin", "--", f"alice@{HOST}", stdin=b"see there\n.\n")
    for message in arrived(mail, 2):
        assert message["Return-Path"] == f"<{SENDER}>"
        assert message["Bcc"] is None
        text, attached = message.get_payload()
        assert text.get_payload() == "see there\n.\n"
        assert attached.get_payload(decode=True) == bytes(range(256))


@pytest.mark.parametrize("options, sender", [("-t -i", "bob"), (f"-t -i -f bounces-@{HOST}", "bounces-")])
def test_php(mail, options, sender):
    """PHP 8 ends lines with CRLF."""
    script = f"exit(mail('alice@{HOST}', 'from php', \"one\\r\\ntwo\\n.\\nthree\", \"Bcc: alice@{HOST}\\r\\nX-Own: yes\") ? 0 : 1);"
    mail("php", "-d", f"sendmail_path={mail.sendmail} {options}", "-r", script)
    for message in arrived(mail, 2):
        assert message["Return-Path"] == f"<{sender}@{HOST}>"
        assert (message["Subject"], message["To"], message["X-Own"], message["Bcc"]) == ("from php", f"alice@{HOST}", "yes", None)
        assert message.get_payload().splitlines() == ["one", "two", ".", "three"]


def test_php_mail_with_an_additional_parameter(mail):
    script = f"exit(mail('alice@{HOST}', 's', 'b', '', '-fwww-data@{HOST} -FWeb') ? 0 : 1);"
    mail("php", "-d", f"sendmail_path={mail.sendmail} -t -i", "-r", script)
    assert arrived(mail)[0]["Return-Path"] == f"<www-data@{HOST}>"


def has_send_email():
    if not shutil.which("git"):
        return False
    folder = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, timeout=LIMIT).stdout.strip()
    return os.path.exists(f"{folder}/git-send-email")


@pytest.mark.parametrize("how", ["--smtp-server", "--sendmail-cmd"])
def test_git_send_email(mail, how):
    if not has_send_email():
        pytest.skip("git-email is not installed")
    who = {"GIT_AUTHOR_NAME": "Bob", "GIT_AUTHOR_EMAIL": SENDER, "GIT_COMMITTER_NAME": "Bob", "GIT_COMMITTER_EMAIL": SENDER}
    mail("git", "init", "-q", "work", environment=who)
    (mail.home / "work/new.txt").write_text("content\n")
    for command in (["add", "."], ["commit", "-qm", "Add: a file"], ["format-patch", "-q", "--root", "-o", "../patches"]):
        mail("git", "-c", "safe.directory=*", "-C", "work", *command, environment=who)
    value = str(mail.sendmail) if how == "--smtp-server" else f"{mail.sendmail} -i"
    mail("git", "send-email", f"{how}={value}", "--confirm=never", "--quiet", f"--from={SENDER}", f"--to=alice@{HOST}", "--suppress-cc=all",
         *(mail.home / "patches").iterdir(), environment=who)
    message, = arrived(mail)
    assert message["Subject"] == "[PATCH] Add: a file"
    assert message["Return-Path"] == f"<{SENDER}>"
    assert "+content\n" in message.get_payload()


def test_python_and_cron_style_calls(mail):
    """cron: `sendmail -i -FCronDaemon -B8BITMIME -oem USER`; others: `-oi -t`, `-f <>`, `--`."""
    text = f"To: alice@{HOST}\nSubject: s\n\nb\n".encode()
    for arguments in (["-i", "-FCronDaemon", "-B8BITMIME", "-oem", f"alice@{HOST}"], ["-oi", "-t"], ["-t", "-f", "", "-oee"],
                      ["-v", "-m", "-f", SENDER, "--", f"alice@{HOST}"]):
        mail(mail.sendmail, *arguments, stdin=text)
    senders = [message["Return-Path"] for message in arrived(mail, 4)]
    assert sorted(senders) == sorted([f"<{SENDER}>", f"<{SENDER}>", "<>", f"<{SENDER}>"])
