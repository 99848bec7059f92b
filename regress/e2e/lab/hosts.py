"""The hosts of a test: each a network namespace with one interface on a common Ethernet bridge.

The bridge lives in the namespace of the test itself; nothing has a name on the machine, only this
process holds the namespaces. Where there are none (mode loopback), a host is an address 127.0.25.x.
"""
import contextlib
import os
import socket
import subprocess

from . import isolation

# Documentation addresses (RFC 5737, RFC 3849): they never leave this machine.
NETWORK4, NETWORK6, LOOPBACK = "192.0.2.", "2001:db8:25::", "127.0.25."
NUMBERS = {"gateway": 2, "client": 3, "mx1": 11, "mx2": 12, "mx3": 13, "dns": 53}


def ip(lines, fds=()):
    """Runs ip(8) commands in the namespace of the calling thread."""
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True,
                   pass_fds=fds, capture_output=True)


class Host:
    """One host. `inside()` is where its sockets are made and its programs started."""

    def __init__(self, name, network):
        self.name, self.network = name, network
        number = NUMBERS[name]
        self.namespace = None
        if network.isolated:
            self.address = NETWORK4 + str(number)
            self.address6 = NETWORK6 + str(number)
        else:
            self.address = LOOPBACK + str(number)
            self.address6 = "::1"

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is on this host. Programs started there stay there."""
        if self.namespace is None:
            yield
            return
        isolation.syscall("setns", self.namespace, isolation.CLONE_NEWNET)
        try:
            yield
        finally:
            isolation.syscall("setns", self.network.switch, isolation.CLONE_NEWNET)

    def popen(self, command, **options):
        if not self.network.isolated:
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with self.inside():
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)

    def run(self, command, limit=60, **options):
        """Runs a program to its end. Returns (exit status, standard output and error together)."""
        process = self.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        try:
            output = process.communicate(timeout=limit)[0]
        except subprocess.TimeoutExpired:
            process.kill()
            output = process.communicate()[0] + f"\n(still running after {limit} s)\n".encode()
        return process.returncode, output.decode(errors="replace")

    def connect(self, address, port, limit=10):
        with self.inside():
            source = None if self.network.isolated or ":" in address else (self.address, 0)
            return socket.create_connection((address, port), limit, source)

    def listen(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.inside():
            listener = socket.socket(family, socket.SOCK_STREAM)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            listener.listen(256)
            return listener


class Network:
    def __init__(self, mode):
        self.isolated = mode in ("root", "user")
        self.has_ipv6 = os.path.exists("/proc/sys/net/ipv6")
        self.hosts = {}
        if self.isolated:
            self.switch = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            ip(["link set lo up", "link add bridge type bridge", "link set bridge up"])
        for name in NUMBERS:
            self.hosts[name] = self.add(Host(name, self))

    def add(self, host):
        if not self.isolated:
            return host
        isolation.syscall("unshare", isolation.CLONE_NEWNET)
        host.namespace = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        isolation.syscall("setns", self.switch, isolation.CLONE_NEWNET)
        ip([f"link add {host.name} type veth peer name eth0 netns /proc/self/fd/{host.namespace}",
            f"link set {host.name} master bridge up"], fds=[host.namespace])
        commands = ["link set lo up", "link set eth0 up", f"addr add {host.address}/24 dev eth0"]
        if self.has_ipv6:
            commands.append(f"addr add {host.address6}/64 dev eth0 nodad")
        with host.inside():
            ip(commands)
        return host

    def plug(self, name, plugged):
        """Connects a host's cable, or pulls it: then its packets are lost without a word."""
        ip([f"link set {name} {'up' if plugged else 'down'}"])
