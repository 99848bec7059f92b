"""Postfix as a measure: the unpacked package run with the same task, on the same loopback and disk.

Nothing of it is installed. Its configuration, queue and log are in the run's directory, and its
users exist in a mount namespace of its own only, which root is needed for. It is configured as one
who wants throughput would: no limits per client, no DNS, connections to the sink reused, room for
as many processes as there are clients.
"""
import os
import signal
import socket
import subprocess
import time

from lab import isolation

from load import Failure

MAIN = """compatibility_level = 3.6
queue_directory = {queue}
data_directory = {directory}/data
command_directory = {root}/sbin
daemon_directory = {root}/lib/postfix/sbin
shlib_directory = {root}/lib/postfix
meta_directory = {directory}
maillog_file = {directory}/maillog
maillog_file_prefixes = {directory}
import_environment = MAIL_CONFIG MAIL_LOGTAG TZ LD_LIBRARY_PATH={libraries}
mail_owner = postfix
setgid_group = postdrop
myhostname = gateway.bench.example
mydestination =
alias_maps =
local_recipient_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink_port}
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
smtp_connection_cache_destinations = [127.0.0.1]:{sink_port}
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
default_process_limit = 150
initial_destination_concurrency = 20
default_destination_concurrency_limit = 20
in_flow_delay = 0
message_size_limit = 36700160
"""
# service, type, most processes, program
SERVICES = """127.0.0.1:{port} inet 150 smtpd
pickup unix 1 pickup
cleanup unix 0 cleanup
qmgr unix 1 qmgr
rewrite unix - trivial-rewrite
bounce unix 0 bounce
defer unix 0 bounce
trace unix 0 bounce
flush unix 0 flush
proxymap unix - proxymap
smtp unix - smtp
relay unix - smtp
error unix - error
retry unix - error
anvil unix 1 anvil
scache unix 1 scache
postlog unix-dgram 1 postlogd"""
PUBLIC = {"pickup", "cleanup", "qmgr", "flush", "postlog"}
ROOT_DIRECTORIES = {"pid": 0o755}
DIRECTORIES = {"active": 0o700, "bounce": 0o700, "corrupt": 0o700, "defer": 0o700,
               "deferred": 0o700, "flush": 0o700, "hold": 0o700, "incoming": 0o700,
               "private": 0o700, "saved": 0o700, "trace": 0o700, "public": 0o710,
               "maildrop": 0o730}
OWNER, GROUP = 30025, 30026  # its users' numbers, used below the run's directory alone
START_LIMIT, STOP_LIMIT, CONTROL_LIMIT = 20, 20, 60  # seconds


class Postfix:
    name = "postfix"

    @staticmethod
    def obstacle(build, mode):
        """Why it cannot be run here, or None."""
        if mode != "root":
            return "it needs root and namespaces"
        if not os.path.exists(os.path.join(build, "peers/usr/lib/postfix/sbin/master")):
            return "its package could not be downloaded"
        if len(build.split()) != 1:
            return "its configuration does not allow for blanks in the path of the build directory"
        return None

    def __init__(self, build, directory, mode, port, sink_port):
        self.directory, self.port, self.process = directory, port, None
        self.root = os.path.join(os.path.realpath(build), "peers/usr")
        self.queue, self.log_path = os.path.join(directory, "spool"), f"{directory}/maillog"
        libraries = f"{self.root}/lib/postfix:{self.root}/lib/x86_64-linux-gnu"
        self.environment = dict(os.environ, LD_LIBRARY_PATH=libraries)
        self.make_directories()
        self.main = MAIN.format(queue=self.queue, directory=directory, root=self.root,
                                sink_port=sink_port, libraries=libraries)
        self.write("main.cf", self.main)
        self.write("master.cf", "\n".join(
            self.service(*line.split()) for line in SERVICES.format(port=port).splitlines()) + "\n")
        for name in "passwd", "group":
            with open(f"/etc/{name}") as file:
                lines = [line for line in file if line.split(":")[0] not in ("postfix", "postdrop")]
            self.write(name, "".join(lines) + (
                f"postfix:x:{OWNER}:{OWNER}::/:/usr/sbin/nologin\n" if name == "passwd" else
                f"postfix:x:{OWNER}:\npostdrop:x:{GROUP}:\n"))

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write(text)
        old = time.time() - 60  # a file that was written just now is waited for
        os.utime(path, (old, old))

    @staticmethod
    def service(name, kind, most, program):
        private = "n" if kind == "inet" or name in PUBLIC else "y"
        wakeup = "300" if name == "qmgr" else "-"
        return f"{name} {kind} {private} - n {wakeup} {most} {program}"

    def make_directories(self):
        os.mkdir(self.queue)
        os.mkdir(f"{self.directory}/data", 0o700)
        os.chown(f"{self.directory}/data", OWNER, OWNER)
        for name, mode in {**ROOT_DIRECTORIES, **DIRECTORIES}.items():
            path = os.path.join(self.queue, name)
            os.mkdir(path)
            os.chmod(path, mode)
            if name in DIRECTORIES:
                os.chown(path, OWNER, GROUP if name in ("public", "maildrop") else 0)

    def start(self):
        mounts = "".join(f"mount --bind {self.directory}/{name} /etc/{name} && "
                         for name in ("passwd", "group"))
        with open(f"{self.directory}/master.log", "w") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c",
                 f'{mounts} exec "{self.root}/lib/postfix/sbin/master" -d -c "{self.directory}"'],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                start_new_session=True)
        deadline = time.monotonic() + START_LIMIT
        while not self.greets():
            if self.process.poll() is not None:
                raise Failure(f"Postfix's master ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                raise Failure(f"Postfix does not greet, {START_LIMIT} s after its start")
            time.sleep(0.05)

    def greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.settimeout(5)
                return connection.recv(3) == b"220"
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            raise Failure("Postfix does not end") from None
        finally:
            self.kill()

    def kill(self):
        """Ends what is left; what it had started has come to us when its parent ended."""
        if self.process is None:
            return
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def pids(self):
        if self.process is None or self.process.poll() is not None:
            return []
        return [self.process.pid, *isolation.descendants_of(self.process.pid)]

    def control(self, program, *words):
        command = ["nsenter", "--mount", f"--target={self.process.pid}",  # where its users exist
                   f"{self.root}/sbin/{program}", "-c", self.directory, *words]
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True,
                                timeout=CONTROL_LIMIT)
        if result.returncode != 0:
            raise Failure(f"{program} ended with {result.returncode}: {result.stderr.strip()}")

    def queued(self):
        return sum(len(files) for name in ("incoming", "active", "deferred", "hold")
                   for _, _, files in os.walk(os.path.join(self.queue, name)))

    def syncs(self):
        return None

    def hold(self):
        """From now on what is accepted is put aside."""
        self.write("main.cf", self.main + "smtpd_recipient_restrictions = static:HOLD\n")
        self.process.send_signal(signal.SIGHUP)
        time.sleep(1)  # its processes end by and by
        if not self.greets():
            raise Failure("Postfix does not greet after it was told to read its configuration")

    def release(self):
        self.control("postsuper", "-H", "ALL")
        self.control("postqueue", "-f")
