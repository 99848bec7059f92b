"""Postfix as a measure: run with the same task, on the same loopback and disk (lab/postfix.py has
what is needed to run it). It is configured as one who wants throughput would: no limits per client,
no DNS, connections to the sink reused, room for as many processes as there are clients.
"""
import os
import signal
import socket
import subprocess
import time

from lab import postfix

from load import Failure

MAIN = """myhostname = gateway.bench.example
mydestination =
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
START_LIMIT = 20  # seconds


class Postfix(postfix.Postfix):
    name = "postfix"

    def __init__(self, build, directory, mode, port, sink_port):
        super().__init__(build, directory, "127.0.0.1", port, MAIN.format(sink_port=sink_port))
        self.log_path = f"{directory}/maillog"

    def start(self):
        super().start(lambda command, **options: subprocess.Popen(
            command, stdin=subprocess.DEVNULL, **options))
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
