"""Exim. It is configured as one who wants throughput would: no DNS, no ident, no limits per client,
connections reused, a split spool, no logs of each message.
"""
import os

import foreign
import server

CONFIGURATION = """primary_hostname = gateway.bench.example
exim_path = /usr/sbin/exim4
spool_directory = /mnt/run/spool
log_file_path = /mnt/run/%slog
pid_file_path = /mnt/run/exim.pid
disable_ipv6 = true
local_interfaces = 127.0.0.1
daemon_smtp_ports = {s.port}
tls_advertise_hosts =
chunking_advertise_hosts =
host_lookup =
rfc1413_query_timeout = 0s
helo_try_verify_hosts =
acl_smtp_rcpt = accept
acl_smtp_data = accept
message_size_limit = 50M
queue_only = {queue_only}
split_spool_directory = true
message_logs = false
smtp_accept_max = {accept_max}
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_nonmail = 1000000
smtp_connect_backlog = 4096
remote_max_parallel = 10
queue_run_max = 10
keep_environment =
log_selector = -retry_defer
begin routers
dead:
  driver = manualroute
  domains = dead.example
  transport = dead
  route_list = * {dead} byname
  self = send
probe:
  driver = manualroute
  domains = probe.example
  transport = probe
  route_list = * 127.0.0.1 byname
  self = send
out:
  driver = manualroute
  transport = out
  route_list = * 127.0.0.1 byname
  self = send
begin transports
{transports}
begin retry
* * F,2h,15m; G,16h,1h,1.5; F,4d,6h
"""
TRANSPORT = """{name}:
  driver = smtp
  port = {port}
  allow_localhost
  hosts_avoid_tls = *
  hosts_try_chunking =
  hosts_try_prdr =
  dnssec_request_domains =
  connection_max_messages = 500
"""


class Exim(foreign.Foreign):
    name, title = "exim", "Exim"
    users, inspect = ["Debian-exim"], "usr/sbin/exim4"
    most_sessions, most_queued, most_growth, most_rounds = 2000, 2000, 1000, 2

    def __init__(self, setting, group):
        super().__init__(setting, group)
        self.log_path = os.path.join(setting.directory, "mainlog")
        self.configure(queue_only=False)
        for path in (self.spool, setting.directory):
            os.chown(path, self.numbers["Debian-exim"], self.numbers["Debian-exim"])

    def configure(self, queue_only):
        setting = self.setting
        ports = {"out": setting.sink_port, "probe": setting.probe_port, "dead": setting.dead_port}
        self.write("etc/exim4/exim4.conf", CONFIGURATION.format(
            s=setting, dead=server.DEAD_ADDRESS, queue_only=str(queue_only).lower(),
            accept_max=setting.sessions + 50,
            transports="".join(TRANSPORT.format(name=name, port=port)
                               for name, port in ports.items())))

    def launch(self):
        self.launch_command("/usr/sbin/exim4", "-bdf", "-q30m")

    def queued(self):
        return server.count_files(os.path.join(self.spool, "input"), suffix="-H")

    def listing(self):
        return self.inside(["/usr/sbin/exim4", "-bp"]), self.environment

    def hold(self):
        """It reads its configuration again only when it is started."""
        self.configure(queue_only=True)
        self.stop()
        self.start()

    def release(self):
        self.configure(queue_only=False)
        self.run("/usr/sbin/exim4", "-qff")
