"""A private Postfix for tests: its own configuration, queue and port in a temporary directory; the machine's own mail is not touched. Needs root."""

import pathlib
import re
import shutil
import subprocess
import tempfile

from martlet import account, free_port, listens, wait_until


def private_settings(directory, domain):
    """What main.cf says of every private instance: all of it below `directory`, on loopback, mail of `domain` to Maildirs of the tests' account."""
    uid, gid = account()
    return f"""compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = {domain}
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {directory}/mail
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
"""


class Postfix:
    """Takes mail for `domain` into Maildirs of its own, and sends everything else to `relay` ("127.0.0.1:PORT"). `settings`: more lines of main.cf."""

    def __init__(self, domain, relay=None, settings=""):
        self.domain, self.port, self.settings = domain, free_port(), settings
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="martlet-postfix-"))
        self.directory.chmod(0o755)
        for name in ("etc", "queue", "data", "mail"):
            (self.directory / name).mkdir()
        shutil.chown(self.directory / "data", "postfix")
        shutil.chown(self.directory / "mail", *account())
        (self.directory / "etc/main.cf").write_text(self._main(relay))
        standard = re.sub(r"^smtp\s+inet\s", f"127.0.0.1:{self.port} inet ", pathlib.Path("/usr/share/postfix/master.cf.dist").read_text(), 1, re.M)
        (self.directory / "etc/master.cf").write_text(standard)
        self._postfix("start")
        wait_until(lambda: listens(self.port), "Postfix does not listen")

    def _main(self, relay):
        route = f"relayhost = [{relay.split(':')[0]}]:{relay.split(':')[1]}" if relay else "default_transport = error:no way"
        return f"""{private_settings(self.directory, self.domain)}local_recipient_maps =
local_header_rewrite_clients =
virtual_mailbox_maps = inline:{{ {{ carol@{self.domain} = carol/Maildir/ }}, {{ dave@{self.domain} = dave/Maildir/ }} }}
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = reject_unlisted_recipient, permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_forbid_bare_newline = reject
strict_smtputf8 = no
disable_dns_lookups = yes
smtp_dns_support_level = disabled
smtp_host_lookup = native
maillog_file = {self.directory}/data/log
maillog_file_prefixes = /tmp, /var
{route}
{self.settings}
"""

    def _postfix(self, command):
        done = subprocess.run(["postfix", "-c", self.directory / "etc", command], capture_output=True, text=True, timeout=60)
        assert command != "start" or done.returncode == 0, done.stderr

    def log(self):
        path = self.directory / "data/log"
        return path.read_text(errors="replace") if path.exists() else ""

    def messages(self, user):
        folder = self.directory / "mail" / user / "Maildir/new"
        return [file.read_bytes() for file in sorted(folder.iterdir())] if folder.exists() else []

    def wait_for_messages(self, user, count):
        wait_until(lambda: len(self.messages(user)) >= count, lambda: f"{user} has {len(self.messages(user))} of {count}:\n{self.log()[-4000:]}")
        return self.messages(user)

    def close(self):
        self._postfix("abort")
        shutil.rmtree(self.directory, ignore_errors=True)
