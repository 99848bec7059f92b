"""The authoritative name server of a test: nsd with signed zones, made from a compact description.

The description (`zones` in the test's folder) is a zone file without its formalities:

    zone dest.example
    @    MX 10 mx1
    mx1  A  @MX1@
    zone plain.example unsigned
    zone wrong.example bogus

SOA and NS records are added. A signed root zone delegates to every zone; its key is the trust
anchor. `unsigned` leaves a zone without signatures, `bogus` changes its data after signing.
"""
import glob
import os
import re
import shutil
import subprocess
import time

ALGORITHM = "ECDSAP256SHA256"
DEFAULT_TTL = 5  # seconds: tests change their zones and wait for it
NSD_CONFIGURATION = """server:
{addresses}
  port: {port}
  zonesdir: "{directory}"
  pidfile: ""
  xfrdfile: "{directory}/xfrd.state"
  zonelistfile: "{directory}/zone.list"
  database: ""
  username: ""
  logfile: "{directory}/nsd.log"
  verbosity: 1
  rrl-ratelimit: 0
  hide-version: yes
remote-control:
  control-enable: no
"""


def find_nsd(build):
    path = shutil.which("nsd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    unpacked = os.path.join(build, "peers/bin/nsd")
    return path or (unpacked if os.path.exists(unpacked) else None)


def parse_zones(text):
    """Returns {name: (kind, [records])}, kind one of signed, unsigned, bogus."""
    zones, records = {}, None
    for number, line in enumerate(text.splitlines(), 1):
        line = re.match(r'(?:"[^"]*"|[^;"])*', line).group().rstrip()
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if words[0] == "zone":
            kind = words[2] if len(words) > 2 else "signed"
            if len(words) not in (2, 3) or kind not in ("signed", "unsigned", "bogus"):
                raise ValueError(f"zones:{number}: expected: zone NAME [unsigned|bogus]")
            records = []
            zones[words[1].rstrip(".") + "."] = (kind, records)
        elif records is None:
            raise ValueError(f"zones:{number}: a record before the first zone")
        else:
            records.append(line.strip())
    return zones


class NameServer:
    def __init__(self, host, port, directory, build):
        self.host, self.port, self.directory, self.build = host, port, directory, build
        self.process = None
        self.addresses = [host.address]
        self.trust_anchor = os.path.join(directory, "trust-anchor")
        os.makedirs(directory, exist_ok=True)

    def write_zones(self, text):
        """Writes and signs all zones. Called again, it changes them (then reload())."""
        for old in glob.glob(os.path.join(self.directory, "zone-*")):
            os.unlink(old)
        configuration = NSD_CONFIGURATION.format(
            addresses="\n".join(f"  ip-address: {address}@{self.port}" for address in self.addresses),
            port=self.port, directory=self.directory)
        delegations = ["ns.lab. A " + self.host.address]
        for zone, (kind, records) in parse_zones(text).items():
            delegations.append(f"{zone} NS ns.lab.")
            path = self.write_zone(zone, records)
            if kind != "unsigned":
                path = self.sign(zone, path)
                with open(path.removesuffix(".signed") + ".ds") as file:
                    delegations.append(file.read().strip())
            if kind == "bogus":
                self.spoil(path)
            configuration += f'zone:\n  name: "{zone}"\n  zonefile: "{path}"\n'
        path = self.sign(".", self.write_zone(".", delegations))
        configuration += f'zone:\n  name: "."\n  zonefile: "{path}"\n'
        with open(os.path.join(self.directory, "nsd.conf"), "w") as file:
            file.write(configuration)

    def write_zone(self, zone, records):
        path = os.path.join(self.directory, "zone-" + (zone.rstrip(".") or "root"))
        lines = [f"$ORIGIN {zone}", f"$TTL {DEFAULT_TTL}",
                 f"@ SOA ns.lab. hostmaster.lab. {int(time.time())} 3600 600 86400 {DEFAULT_TTL}",
                 "@ NS ns.lab."]
        with open(path, "w") as file:
            file.write("\n".join(lines + records) + "\n")
        return path

    def sign(self, zone, path):
        """Signs a zone with a key of its own (kept when the zone changes). Its DS record, or the
        trust anchor for the root, lies beside it."""
        keys = os.path.join(self.directory, "key-" + (zone.rstrip(".") or "root"))
        if not os.path.exists(keys + ".name"):
            name = self.tool("ldns-keygen", "-a", ALGORITHM, "-k", "-r", "/dev/urandom", zone)
            with open(keys + ".name", "w") as file:
                file.write(name.strip())
        with open(keys + ".name") as file:
            key = file.read()
        self.tool("ldns-signzone", "-n", "-o", zone, "-f", path + ".signed", path, key)
        with open(os.path.join(self.directory, key + ".ds")) as file:
            record = file.read()
        with open(path + ".ds" if zone != "." else self.trust_anchor, "w") as file:
            file.write(record)
        return path + ".signed"

    def tool(self, *command):
        return subprocess.run(command, cwd=self.directory, check=True, text=True,
                              capture_output=True).stdout

    @staticmethod
    def spoil(path):
        """Changes the data so that the signatures are wrong: priority 10 becomes 11, a digest another one, and so on."""
        with open(path) as file:
            lines = file.readlines()
        with open(path, "w") as file:
            for line in lines:
                words = line.split("\t")
                if len(words) > 4 and words[3] == "MX":
                    words[4] = words[4].replace("10 ", "11 ", 1)
                elif len(words) > 4 and words[3] == "A":
                    words[4] = "192.0.2.254\n"
                elif len(words) > 4 and words[3] == "TLSA":
                    digest = words[4].rstrip()
                    words[4] = digest[:-1] + ("1" if digest.endswith("0") else "0") + "\n"
                file.write("\t".join(words))

    def start(self):
        nsd = find_nsd(self.build)
        log = open(os.path.join(self.directory, "nsd.out"), "ab")
        self.process = self.host.popen(
            [nsd, "-d", "-c", os.path.join(self.directory, "nsd.conf")],
            stdout=log, stderr=log)
        log.close()

    def is_ready(self):
        """It answers (TCP is enough: nsd opens both before it serves)."""
        if self.process.poll() is not None:
            with open(os.path.join(self.directory, "nsd.log"), "a+") as file:
                file.seek(0)
                raise RuntimeError("nsd ended: " + file.read()[-500:])
        try:
            self.host.connect(self.host.address, self.port, 1).close()
            return True
        except OSError:
            return False

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)
            self.process = None
