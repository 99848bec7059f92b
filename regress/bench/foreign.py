"""Other people's servers whose paths are compiled in. Each runs in a mount namespace of its own,
where it finds its package in /usr, its users and configuration in /etc, its files where it expects
them, and the run's directory in /mnt/run. Nothing of it is installed on the machine.
"""
import os
import subprocess

import server

# The directory and the package first: what is mounted afterwards may hide where they are.
SCRIPT = """set -e
directory=$1 package=$2; shift 2
mount -t tmpfs none /mnt
mkdir /mnt/run /mnt/package
mount --bind "$directory" /mnt/run
mount --bind "$package" /mnt/package
mount -t overlay -o lowerdir=/mnt/package/usr:/usr none /usr
mount -t overlay -o lowerdir=/mnt/run/etc:/etc none /etc
mount -t tmpfs none /run
. /mnt/run/mounts
exec "$@"
"""
FIRST_USER = 30031  # their numbers; they own files below the run's directory alone
HERE = "/mnt/run"


class Foreign(server.Daemon):
    package = "peers"   # below the build directory
    users = []          # and groups of the same names
    mounts = ""         # lines of shell for further mounts
    inspect = None      # a file of the package that must be there

    def __init__(self, setting, group):
        super().__init__(setting, group)
        self.spool = os.path.join(setting.directory, "spool")
        self.log_path = os.path.join(setting.directory, "output")
        self.environment = dict(os.environ)
        os.makedirs(os.path.join(setting.directory, "etc"))
        os.mkdir(self.spool)
        numbers = {name: FIRST_USER + at for at, name in enumerate(self.users)}
        for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin\n"),
                           ("group", "{0}:x:{1}:\n")):
            with open(f"/etc/{name}") as file:
                others = [line for line in file if line.split(":")[0] not in numbers]
            self.write(f"etc/{name}", "".join(others) + "".join(
                line.format(user, number) for user, number in numbers.items()))
        self.numbers = numbers
        self.write("mounts", self.mounts)
        self.write("etc/hosts", "127.0.0.1 localhost gateway.bench.example\n")
        self.write("etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")

    @classmethod
    def obstacle(cls, build, mode):
        return cls.obstacle_of(build, mode, os.path.join(cls.package, cls.inspect))

    def write(self, name, text):
        path = os.path.join(self.setting.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def launch_command(self, *command):
        with open(os.path.join(self.setting.directory, "output"), "a") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", SCRIPT, "sh", self.setting.directory,
                 os.path.join(os.path.realpath(self.setting.build), self.package), *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                start_new_session=True)
