"""One test's laboratory: hosts, name server, sinks, gateway, and what a script has opened so far."""
import mailbox
import os
import pwd
import shutil
import subprocess
import time

from . import gateway, hosts, postfix, script, sink, web
from .dns import NameServer

ROOT_SERVER = "198.41.0.4"  # a.root-servers.net
WAIT = 20  # seconds that an expectation may take to come true
# Users whom others' programs ask for by name.
PEERS = {"Debian-exim": 2090, "opensmtpd": 2091, "opensmtpq": 2092}
USERS = {"alice": 2001, "bob": 2002}  # with a home directory each
SOURCE = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
SYSUSERS = "etc/postern.sysusers"


class Failure(Exception):
    """Postern did not do what the script says."""


class Lab:
    def __init__(self, test, directory, build, mode):
        """`test`: the folder of the test; `directory`: a fresh one for everything it writes."""
        self.test, self.directory, self.build, self.mode = test, directory, build, mode
        self.network = hosts.Network(mode)
        self.hosts = self.network.hosts
        self.dns_port = 53 if self.network.isolated else 5353
        self.dns = NameServer(self.hosts["dns"], self.dns_port,
                              os.path.join(directory, "dns"), build)
        self.gateway = gateway.Gateway(self.hosts["gateway"], build, directory, mode)
        self.sinks, self.connections, self.replies, self.loads = {}, {}, {}, []
        self.postfix = None
        self.webs = {}
        self.words = {}      # kept by {NAME} in patterns
        self.transcript = open(os.path.join(directory, "dialogue.log"), "a", buffering=1)
        self.variables = self.make_variables()
        if mode == "root":
            self.add_users()
        elif mode == "loopback" and os.getuid() == 0:
            os.mkdir(self.path("maildir"), 0o700)
            shutil.chown(self.path("maildir"), self.variables["USER"])

    def make_variables(self):
        variables = {"DIR": self.directory, "SPOOL": self.path("spool"),
                     "SOCKET": self.path("smtpd.sock"), "MAILDIR": self.path("maildir"),
                     "HOME": self.path("home"), "BIN": self.gateway.programs, "PORT": 2525,
                     "DNSPORT": self.dns_port, "ANCHOR": self.dns.trust_anchor,
                     "BUILD": self.build, "SOURCE": SOURCE,
                     "USER": self.user()}
        for name, host in self.hosts.items():
            variables[name.upper()] = host.address
            variables[name.upper() + "_6"] = host.address6
        return variables

    def user(self):
        """Whose mail the gateway may deliver: not root's."""
        if self.mode == "root":
            return "alice"
        if self.mode == "loopback" and os.getuid() == 0:
            return "mail"  # nobody is whom the gateway's processes may run as
        return pwd.getpwuid(os.getuid()).pw_name

    def path(self, name):
        return os.path.join(self.directory, name)

    def file(self, name):
        """A file of the test's folder with its @VARIABLES@ put in."""
        path = os.path.join(self.test, name)
        with open(path) as file:
            return script.substitute(file.read(), self.variables, name)

    # Things that scripts name

    def host(self, name):
        return find(self.hosts, name, "host")

    def sink(self, name):
        return find(self.sinks, name, "sink")

    def connection(self, name):
        return find(self.connections, name, "connection")

    def add_sink(self, name, host, address, port):
        new = sink.Sink(name, host, address, port, self.path(f"sink-{name}.log"))
        if name in self.sinks:  # the same one, back again
            new.messages, new.faults = self.sinks[name].messages, self.sinks[name].faults
            new.rules, new.offered = self.sinks[name].rules, self.sinks[name].offered
            new.connections = self.sinks[name].connections
            new.tls, new.implicit = self.sinks[name].tls, self.sinks[name].implicit
        self.sinks[name] = new
        return new

    def trust(self, certificates):
        """These are the authorities that the system trusts, for this test alone."""
        subprocess.run(["mount", "-t", "tmpfs", "none", "/etc/ssl/certs"], check=True)
        shutil.copy(certificates, "/etc/ssl/certs/ca-certificates.crt")

    def start_web(self, name, certificate, key):
        place = self.host(name)
        old = self.webs.get(name)
        self.webs[name] = web.Web(name, self.path(f"web-{name}.log"))
        if old:
            self.webs[name].pages, self.webs[name].takes = old.pages, old.takes
        self.webs[name].start(place.listen(place.address, 443), certificate, key)

    def start_postfix(self, host, port, settings):
        """Somebody else's server on a host of ours."""
        directory = self.path("postfix")
        fresh(directory)
        self.postfix = postfix.Postfix(self.build, directory, host.address, port, settings)
        self.postfix.start(host.popen)

        def greets():
            try:
                host.connect(host.address, port).close()
            except OSError as error:
                return str(error)
            return None
        self.until(greets, "Postfix's greeting")

    def configure(self, name):
        """Writes the gateway's configuration from a file of the test's folder."""
        with open(self.gateway.configuration + ".new", "w") as file:
            file.write(self.file(name))
        os.rename(self.gateway.configuration + ".new", self.gateway.configuration)

    def identifiers_accepted(self):
        return [identifier for load in self.loads for identifier in load.accepted]

    # Waiting

    def until(self, condition, what, limit=WAIT):
        """Waits until condition() returns None; it returns what is amiss as long as there is."""
        deadline = time.monotonic() + limit
        pause = 0.01
        while (amiss := condition()) is not None:
            if time.monotonic() > deadline:
                raise Failure(f"{what}: {amiss} (after {limit:g} s)")
            time.sleep(pause)
            pause = min(0.2, pause * 1.5)

    # The machine

    def add_users(self):
        """The product's users and two people, seen by this test alone: the files are laid over
        those of the machine in the test's own mount namespace."""
        with open("/etc/passwd") as file:
            passwd = file.read()
        with open("/etc/group") as file:
            group = file.read()
        for name, number in PEERS.items():
            passwd += f"{name}:x:{number}:{number}::/:/usr/sbin/nologin\n"
            group += f"{name}:x:{number}:\n"
        number = 2100
        for name in system_users(os.path.join(SOURCE, SYSUSERS)):
            passwd += f"{name}:x:{number}:{number}::/:/usr/sbin/nologin\n"
            group += f"{name}:x:{number}:\n"
            number += 1
        os.mkdir(self.path("maildir"), 0o700)
        os.chown(self.path("maildir"), USERS["alice"], USERS["alice"])
        for name, number in USERS.items():
            home = os.path.join(self.path("home"), name)
            os.makedirs(home)
            os.chown(home, number, number)
            passwd += f"{name}:x:{number}:{number}::{home}:/bin/sh\n"
            group += f"{name}:x:{number}:\n"
        for name, text in ("passwd", passwd), ("group", group):
            with open(self.path(name), "w") as file:
                file.write(text)
            subprocess.run(["mount", "--bind", self.path(name), f"/etc/{name}"], check=True)

    def become_root_server(self):
        """The name server is found where every resolver looks for the root zone, too."""
        for name, command in (("dns", f"addr add {ROOT_SERVER}/32 dev eth0"),
                              ("gateway", f"route add {ROOT_SERVER}/32 dev eth0")):
            with self.hosts[name].inside():
                hosts.ip([command])
        self.dns.addresses.append(ROOT_SERVER)

    def resolve_by_dns(self):
        """All programs of this test ask the name server."""
        with open(self.path("resolv.conf"), "w") as file:
            file.write(f"nameserver {self.hosts['dns'].address}\n")
        subprocess.run(["mount", "--bind", self.path("resolv.conf"), "/etc/resolv.conf"],
                       check=True)

    def small_disk(self, name, size):
        """A file system of this size on a directory of the test, made before the gateway starts."""
        os.makedirs(self.path(name), exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none",
                        self.path(name)], check=True)

    def fill_disk(self, name):
        """Takes all space that is left there."""
        with open(os.path.join(self.path(name), "ballast"), "wb", buffering=0) as file:
            for size in 1 << 20, 4096, 512:
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    pass

    def free_disk(self, name):
        os.unlink(os.path.join(self.path(name), "ballast"))

    def faults(self):
        """What the gateway did wrong that no script needs to look for."""
        return [fault for one in self.sinks.values() for fault in one.faults] + \
            self.gateway.crashes()

    def close(self):
        for one in self.connections.values():
            one.close()
        for one in self.sinks.values():
            one.stop()
        if self.postfix:
            self.postfix.kill()
        self.dns.stop()


def find(things, name, kind):
    if name not in things:
        raise script.ScriptError(f"there is no {kind} {name}; there are: {', '.join(things)}")
    return things[name]


def system_users(path):
    with open(path) as file:
        return [line.split()[1] for line in file if line.startswith("u ")]


def maildir_messages(path):
    """The content of every message in a Maildir."""
    found = []
    for part in "new", "cur":
        folder = os.path.join(path, part)
        if os.path.isdir(folder):
            for name in sorted(os.listdir(folder)):
                with open(os.path.join(folder, name), "rb") as file:
                    found.append(file.read())
    return found


def mbox_messages(path):
    """The content of every message in an mbox, as it lies there, without its "From " line."""
    if not os.path.exists(path):
        return []
    box = mailbox.mbox(path, create=False)
    try:
        return [box.get_bytes(key) for key in box.keys()]
    finally:
        box.close()


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    os.chmod(directory, 0o755)
