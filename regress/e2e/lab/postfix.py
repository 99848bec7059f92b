"""Postfix as it comes unpacked from its package, run with a configuration of a test or a benchmark.

Nothing of it is installed. Its configuration, queue and log are in a directory of the caller's, and
its users exist in a mount namespace of its own only, which root is needed for.
"""
import contextlib
import os
import signal
import subprocess
import time

from . import isolation

PATHS = """compatibility_level = 3.6
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
alias_maps =
"""
# service, type, most processes, program
SERVICES = """{address}:{port} inet 150 smtpd
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
lmtp unix - lmtp
virtual unix - virtual
error unix - error
retry unix - error
anvil unix 1 anvil
scache unix 1 scache
tlsmgr unix 1 tlsmgr
postlog unix-dgram 1 postlogd"""
PRIVILEGED = {"virtual"}  # it writes as the owner of a mailbox
PUBLIC = {"pickup", "cleanup", "qmgr", "flush", "postlog"}
ROOT_DIRECTORIES = {"pid": 0o755}
DIRECTORIES = {"active": 0o700, "bounce": 0o700, "corrupt": 0o700, "defer": 0o700,
               "deferred": 0o700, "flush": 0o700, "hold": 0o700, "incoming": 0o700,
               "private": 0o700, "saved": 0o700, "trace": 0o700, "public": 0o710,
               "maildrop": 0o730}
OWNER, GROUP = 30025, 30026  # its users' numbers, used below the run's directory alone
STOP_LIMIT, CONTROL_LIMIT = 20, 60  # seconds


class Failed(Exception):
    """It did not start, or did not end."""


class Postfix:
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

    def __init__(self, build, directory, address, port, settings):
        """`directory` is there and empty; `settings`: lines for main.cf besides those of its
        paths. It will listen on `address`."""
        self.directory, self.address, self.port, self.process = directory, address, port, None
        self.root = os.path.join(os.path.realpath(build), "peers/usr")
        self.queue = os.path.join(directory, "spool")
        libraries = f"{self.root}/lib/postfix:{self.root}/lib/x86_64-linux-gnu"
        self.environment = dict(os.environ, LD_LIBRARY_PATH=libraries)
        self.make_directories()
        self.main = PATHS.format(queue=self.queue, directory=directory, root=self.root,
                                 libraries=libraries) + settings
        self.write("main.cf", self.main)
        self.write("master.cf", "\n".join(
            self.service(*line.split())
            for line in SERVICES.format(address=address, port=port).splitlines()) + "\n")
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
        unprivileged = "n" if name in PRIVILEGED else "y"
        wakeup = "300" if name == "qmgr" else "-"
        return f"{name} {kind} {private} {unprivileged} n {wakeup} {most} {program}"

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

    def start(self, popen=subprocess.Popen):
        """`popen` is that of the host where it is to run."""
        mounts = "".join(f"mount --bind {self.directory}/{name} /etc/{name} && "
                         for name in ("passwd", "group"))
        with open(f"{self.directory}/master.log", "w") as log:
            self.process = popen(
                ["unshare", "--mount", "sh", "-c",
                 f'{mounts} exec "{self.root}/lib/postfix/sbin/master" -d -c "{self.directory}"'],
                stdout=log, stderr=log, env=self.environment, start_new_session=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            raise Failed("Postfix does not end") from None
        finally:
            self.kill()

    def kill(self):
        """Ends what is left; what it had started has come to us when its parent ended."""
        if self.process is None:
            return
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):  # it may end meanwhile
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
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
            raise Failed(f"{program} ended with {result.returncode}: {result.stderr.strip()}")
