"""OpenSMTPD, with what limits it on loopback mended from outside (opensmtpd_shim.c): its listen
backlog of 5, small packets held back, and no fsync of what it answers for. Without that it passes a
few messages a second, and would be the only one that promises what it does not keep.
"""
import os
import shutil
import subprocess

import foreign
import server
from load import Failure

CONFIGURATION = """smtp limit max-mails 1000000
smtp max-message-size 50M
mta max-deferred 100000
mta limit max-conn-per-host 40 max-conn-per-route 40 max-conn-per-source 400 \
max-conn-per-connector 400 max-conn-per-relay 400 max-conn-per-domain 400 session-mail-max 100000
scheduler limit max-inflight 20000
listen on 127.0.0.1 port {s.port} hostname gateway.bench.example
action "out" relay host smtp+notls://127.0.0.1:{s.sink_port}
action "probe" relay host smtp+notls://127.0.0.1:{s.probe_port}
action "dead" relay host smtp+notls://{dead}:{s.dead_port}
match from any for domain "dead.example" action "dead"
match from any for domain "probe.example" action "probe"
match from any for any action "out"
"""
MOUNTS = """mount -t tmpfs -o mode=755 none /var/lib
mkdir -p /var/lib/opensmtpd/empty
mount -t tmpfs -o mode=755 none /var/spool
mkdir -m 711 /var/spool/smtpd
mount --bind /mnt/run/spool /var/spool/smtpd
"""
CONTROL = "/mnt/run/smtpctl"
SHIM = "opensmtpd_shim.c"


class OpenSMTPD(foreign.Foreign):
    name, title, lasting = "opensmtpd", "OpenSMTPD (mended)", True
    most_queued, most_growth, most_rounds = 20000, 10000, 3
    package, inspect = "peers/opensmtpd", "usr/sbin/smtpd"
    users, mounts = ["opensmtpd", "opensmtpq"], MOUNTS

    def __init__(self, setting, group):
        super().__init__(setting, group)
        os.chmod(self.spool, 0o711)
        self.write("smtpd.conf", CONFIGURATION.format(s=setting, dead=server.DEAD_ADDRESS))
        # Its control program works only as one of a group of its own, which no package has set up.
        program = os.path.join(setting.directory, "smtpctl")
        shutil.copy(os.path.join(setting.build, self.package, "usr/sbin/smtpctl"), program)
        os.chown(program, 0, self.numbers["opensmtpq"])
        os.chmod(program, 0o2755)
        shim = os.path.join(setting.directory, "shim.so")
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), SHIM)
        result = subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", shim, source],
                                capture_output=True, text=True)
        if result.returncode != 0:
            raise Failure(f"{SHIM} cannot be compiled: {result.stderr.strip()}")

    def launch(self):
        self.launch_command("env", "LD_PRELOAD=/mnt/run/shim.so", "/usr/sbin/smtpd", "-F", "-f",
                            "/mnt/run/smtpd.conf")

    def queued(self):
        return sum(1 for bucket in os.scandir(os.path.join(self.spool, "queue"))
                   if bucket.is_dir() for _ in os.scandir(bucket.path))

    def listing(self):
        return self.inside([CONTROL, "show", "queue"]), self.environment

    def hold(self):
        self.run(CONTROL, "pause", "mta")

    def release(self):
        self.run(CONTROL, "resume", "mta")
