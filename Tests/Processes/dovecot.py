"""A private Dovecot with POP3 on free ports of the loopback, for one user's Maildir, under one account; nothing of the machine's own is touched."""

import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

from martlet import LIMIT, account, as_account, free_port, wait_until

CONFIG = """
protocols = pop3
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/log
listen = 127.0.0.1
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_location = maildir:{maildir}
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{place}/cert.pem
ssl_key = <{place}/key.pem
passdb {{
  driver = passwd-file
  args = {place}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={place}/home
}}
first_valid_uid = 1
mail_max_userip_connections = 100
service anvil {{
  chroot =
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {port}
  }}
  inet_listener pop3s {{
    port = {tls_port}
    ssl = yes
  }}
}}
service stats {{
  chroot =
}}
"""


class Dovecot:
    """A context manager."""

    def __init__(self, maildir, password, login="alice"):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="dovecot-"))
        self.place.chmod(0o755)
        (self.place / "home").mkdir()
        (self.place / "users").write_text(f"{login}:{{PLAIN}}{password}\n")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9", "-subj", "/CN=localhost", "-keyout",
             self.place / "key.pem", "-out", self.place / "cert.pem"], check=True, capture_output=True, timeout=LIMIT)
        self.ports = {"pop3": free_port(), "pop3s": free_port()}
        uid, gid = account()
        names = {"user": subprocess.run(["id", "-nu", str(uid)], capture_output=True, text=True, check=True, timeout=LIMIT).stdout.strip(),
                 "group": subprocess.run(["getent", "group", str(gid)], capture_output=True, text=True, check=True, timeout=LIMIT).stdout.split(":")[0]}
        (self.place / "dovecot.conf").write_text(CONFIG.format(
            place=self.place, maildir=maildir, uid=uid, gid=gid, port=self.ports["pop3"], tls_port=self.ports["pop3s"], **names))
        if os.geteuid() == 0:
            for path in (self.place, *self.place.iterdir()):
                os.chown(path, uid, gid)

    def __enter__(self):
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.place / "dovecot.conf"], stdin=subprocess.DEVNULL, **as_account())
        wait_until(lambda: self._answers(), self.log)
        return self

    def _answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports["pop3"]), timeout=1) as probe:
            return probe.recv(100).startswith(b"+OK")
        return False

    def log(self):
        path = self.place / "log"
        return path.read_text() if path.exists() else ""

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(LIMIT)
        shutil.rmtree(self.place, ignore_errors=True)
