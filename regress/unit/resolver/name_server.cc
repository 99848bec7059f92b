#include "regress/unit/resolver/name_server.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <netinet/in.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/file_descriptor.h"

namespace postern::test {

namespace {

constexpr const char* signed_zone = R"($ORIGIN test.
$TTL 60
@             SOA  ns hostmaster 1 3600 600 86400 60
@             NS   ns
ns            A    127.0.0.1
d             MX   10 Mx1
d             MX   20 mx2
d             TXT  "v=spf1 " "-all"
mx1           A    192.0.2.1
mx1           AAAA 2001:db8::1
mx2           A    192.0.2.2
alias         CNAME mx1
dangling      CNAME nowhere
nomail        MX   0 .
forged        A    192.0.2.66
_25._tcp.mx1  TLSA 3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
plain         NS   ns
)";
constexpr const char* plain_zone = R"($ORIGIN plain.test.
$TTL 60
@    SOA  ns.test. hostmaster.test. 1 3600 600 86400 60
@    NS   ns.test.
@    MX   5 host
host A    192.0.2.9
)";
constexpr const char* reverse_zone = R"($ORIGIN 10.in-addr.arpa.
$TTL 60
@     SOA  ns.test. hostmaster.test. 1 3600 600 86400 60
@     NS   ns.test.
1.0.0 PTR  mx1.test.
)";

std::string peers() {
    const char* directory = std::getenv("POSTERN_PEERS");
    return directory ? directory : "";
}

std::string find_nsd() {
    for (std::string path : {std::string("/usr/sbin/nsd"), peers() + "/usr/sbin/nsd"})
        if (access(path.c_str(), X_OK) == 0)
            return path;
    return "";
}

// A port that was free a moment ago, for TCP and UDP.
uint16_t free_port() {
    for (int attempt = 0; attempt < 20; ++attempt) {
        FileDescriptor udp(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        FileDescriptor tcp(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* raw = reinterpret_cast<sockaddr*>(&address);
        if (bind(udp.get(), raw, size) == 0 && getsockname(udp.get(), raw, &size) == 0 &&
            bind(tcp.get(), raw, size) == 0)
            return ntohs(address.sin_port);
    }
    return 0;
}

std::string configuration(const std::string& directory, uint16_t port) {
    std::ostringstream out;
    out << "server:\n  ip-address: 127.0.0.1@" << port << "\n"
        << "  username: \"\"\n  chroot: \"\"\n  server-count: 1\n  database: \"\"\n"
        << "  zonesdir: \"" << directory << "\"\n";
    for (const char* file : {"pidfile", "xfrdfile", "zonelistfile", "logfile"})
        out << "  " << file << ": \"" << directory << "/" << file << "\"\n";
    out << "  xfrdir: \"" << directory << "\"\n"
        << "  rrl-ratelimit: 0\n" // it takes our resolver for an attacker
        << "remote-control:\n  control-enable: no\n";
    for (auto [zone, file] :
         {std::pair("test", "test.zone.signed"), std::pair("plain.test", "plain.zone"),
          std::pair("10.in-addr.arpa", "reverse.zone")})
        out << "zone:\n  name: \"" << zone << "\"\n  zonefile: \"" << file << "\"\n";
    return out.str();
}

} // namespace

NameServer::~NameServer() {
    if (pid_ > 0) {
        kill(pid_, SIGTERM);
        waitpid(pid_, nullptr, 0);
    }
    if (!directory_.empty()) {
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
}

bool NameServer::run(const std::string& command) const {
    return std::system(("cd " + directory_ + " && " + command).c_str()) == 0;
}

void NameServer::write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
}

std::string NameServer::read(const std::string& name) const {
    std::ostringstream out;
    out << std::ifstream(directory_ + "/" + name).rdbuf();
    return out.str();
}

// Signs, and then forges one address, so that its signature does not fit.
std::string NameServer::sign_zone() {
    write("test.zone", signed_zone);
    if (!run("ldns-keygen -a ECDSAP256SHA256 -r /dev/urandom test. >zsk 2>/dev/null && "
             "ldns-keygen -k -a ECDSAP256SHA256 -r /dev/urandom test. >ksk 2>/dev/null && "
             "ldns-signzone test.zone $(cat zsk) $(cat ksk) >/dev/null && cp $(cat ksk).ds ds"))
        return "no ldns-keygen and ldns-signzone on this machine";
    std::string text = read("test.zone.signed");
    const std::string honest = "192.0.2.66";
    const size_t at = text.find(honest);
    if (at == std::string::npos)
        return "the signed zone lacks a record";
    text.replace(at, honest.size(), "192.0.2.67");
    write("test.zone.signed", text);
    trust_anchor_ = read("ds");
    return "";
}

void NameServer::launch(const std::string& nsd) {
    const std::string file = directory_ + "/nsd.conf";
    pid_ = fork();
    if (pid_ != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (const char* library : {"/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"})
        if (nsd.starts_with(peers() + "/usr") && !peers().empty() &&
            std::filesystem::exists(peers() + library))
            setenv("LD_LIBRARY_PATH", (peers() + library).c_str(), 1);
    execl(nsd.c_str(), "nsd", "-d", "-c", file.c_str(), nullptr);
    _exit(127);
}

bool NameServer::is_up() const {
    FileDescriptor probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage address{};
    const unsigned size = endpoint_.to_sockaddr(address);
    return connect(probe.get(), reinterpret_cast<sockaddr*>(&address), size) == 0;
}

std::string NameServer::start() {
    const std::string nsd = find_nsd();
    if (nsd.empty())
        return "no nsd on this machine";
    char name[] = "/tmp/postern-nsd-XXXXXX";
    if (!mkdtemp(name))
        return "no temporary directory";
    directory_ = name;
    write("plain.zone", plain_zone);
    write("reverse.zone", reverse_zone);
    if (std::string error = sign_zone(); !error.empty())
        return error;
    endpoint_ = {*IpAddress::parse("127.0.0.1"), free_port()};
    write("nsd.conf", configuration(directory_, endpoint_.port));
    launch(nsd);
    for (int i = 0; i < 500; ++i) {
        if (is_up())
            return "";
        if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
            pid_ = -1;
            break;
        }
        usleep(10'000);
    }
    return "nsd does not start: " + read("logfile");
}

} // namespace postern::test
