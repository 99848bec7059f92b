"""Postfix (lab/postfix.py has what is needed to run it). It is configured as one who wants
throughput would: no limits per client, no DNS, connections to the sink reused, room for as many
processes as there are clients, no throttle of its input.
"""
import os
import signal
import subprocess
import time

from lab import postfix

import server
from load import Failure

MAIN = """myhostname = gateway.bench.example
mydestination =
local_recipient_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{s.sink_port}
transport_maps = inline:{{ {{ probe.example = smtp:[127.0.0.1]:{s.probe_port} }},
    {{ dead.example = smtp:[{dead}]:{s.dead_port} }} }}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
smtp_connection_cache_destinations = [127.0.0.1]:{s.sink_port}
smtp_connection_reuse_time_limit = 300s
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_client_recipient_rate_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
smtputf8_enable = no
receive_override_options = no_address_mappings
default_process_limit = 150
initial_destination_concurrency = 20
default_destination_concurrency_limit = 40
in_flow_delay = 0
minimal_backoff_time = 1000s
maximal_backoff_time = 4000s
message_size_limit = 51200000
"""
SYSLOG = "maillog_file =\n"


class Postfix(server.Daemon):
    name, title = "postfix", "Postfix"
    most_growth = 20000

    def __init__(self, setting, group):
        super().__init__(setting, group)
        main = MAIN.format(s=setting, dead=server.DEAD_ADDRESS)
        if os.path.exists("/dev/log"):  # cheaper for it than a process of its own that logs
            main += SYSLOG
        self.postfix = postfix.Postfix(setting.build, setting.directory, "127.0.0.1", setting.port,
                                       main)
        self.environment = self.postfix.environment
        self.log_path = f"{setting.directory}/maillog"
        with open(f"{setting.directory}/master.cf") as file:
            services = file.read()
        self.postfix.write("master.cf", services.replace(
            " 150 smtpd", f" {setting.sessions + 50} smtpd"))

    @staticmethod
    def obstacle(build, mode):
        return postfix.Postfix.obstacle(build, mode)

    def launch(self):
        self.postfix.start(lambda command, **options: subprocess.Popen(
            command, stdin=subprocess.DEVNULL, **options))
        self.process = self.postfix.process

    def queued(self):
        return server.count_files(*(f"{self.postfix.queue}/{name}" for name in
                                    ("maildrop", "incoming", "active", "deferred", "hold")))

    def listing(self):
        return self.inside([f"{self.postfix.root}/sbin/postqueue", "-c", self.postfix.directory,
                            "-p"]), self.environment

    def control(self, program, *words):
        return self.run(f"{self.postfix.root}/sbin/{program}", "-c", self.postfix.directory, *words)

    def hold(self):
        self.postfix.write("main.cf", self.postfix.main +
                           "smtpd_recipient_restrictions = static:HOLD, permit_mynetworks, reject\n")
        self.process.send_signal(signal.SIGHUP)
        time.sleep(1)  # its processes end by and by
        if not self.greets():
            raise Failure("Postfix does not greet after it was told to read its configuration")

    def release(self):
        self.control("postsuper", "-H", "ALL")
        self.control("postqueue", "-f")
