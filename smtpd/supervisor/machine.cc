#include "smtpd/supervisor/machine.h"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <ifaddrs.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/base/log.h"
#include "common/ipc/packet_channel.h"
#include "common/net/socket.h"
#include "smtpd/supervisor/slices.h"

namespace postern {

namespace {

constexpr int listen_backlog = 1024;
constexpr int control_backlog = 64;
// A listener is given all sockets in one message, beside its settings.
constexpr size_t most_listen_addresses = ipc::descriptors_per_packet - 1;
constexpr const char* empty_path = "/run/postern/empty";

void add_unique(std::vector<IpAddress>& addresses, const sockaddr* address) {
    if (!address)
        return;
    std::optional<Endpoint> endpoint = Endpoint::from_sockaddr(*address);
    if (endpoint &&
        std::find(addresses.begin(), addresses.end(), endpoint->address) == addresses.end())
        addresses.push_back(endpoint->address);
}

// The addresses of one interface, or of all (empty name).
std::vector<IpAddress> interface_addresses(const std::string& name) {
    std::vector<IpAddress> addresses;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) < 0)
        return addresses;
    for (ifaddrs* i = list; i; i = i->ifa_next)
        if (name.empty() || name == i->ifa_name)
            add_unique(addresses, i->ifa_addr);
    freeifaddrs(list);
    return addresses;
}

std::string with_domain(const std::string& name) {
    addrinfo hints{};
    hints.ai_flags = AI_CANONNAME;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (name.find('.') != std::string::npos ||
        getaddrinfo(name.c_str(), nullptr, &hints, &found) != 0)
        return name;
    std::string canonical = found->ai_canonname ? found->ai_canonname : name;
    freeaddrinfo(found);
    return canonical.find('.') != std::string::npos ? canonical : name;
}

} // namespace

Result<void> make_directories(const std::string& path, mode_t mode) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1))
        if (mkdir(path.substr(0, slash).c_str(), 0755) < 0 && errno != EEXIST)
            return system_error("create " + path.substr(0, slash));
    if (mkdir(path.c_str(), mode) < 0 && errno != EEXIST)
        return system_error("create " + path);
    return {};
}

std::string machine_hostname() {
    std::ifstream mailname("/etc/mailname");
    std::string name;
    if (mailname >> name && !name.empty())
        return name;
    char buffer[256] = "";
    if (gethostname(buffer, sizeof buffer - 1) < 0 || !buffer[0])
        return "localhost";
    return with_domain(buffer);
}

std::vector<IpAddress> machine_addresses() { return interface_addresses(""); }

Result<std::vector<IpAddress>> listen_addresses(const std::string& on) {
    if (std::optional<IpAddress> address = IpAddress::parse(on))
        return std::vector{*address};
    std::vector<IpAddress> addresses = interface_addresses(on);
    if (!addresses.empty())
        return addresses;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (int error = getaddrinfo(on.c_str(), nullptr, &hints, &found))
        return Error{"listen on " + on +
                     ": no such interface, and as a host name: " + gai_strerror(error)};
    for (addrinfo* i = found; i; i = i->ai_next)
        add_unique(addresses, i->ai_addr);
    freeaddrinfo(found);
    return addresses;
}

Result<std::vector<ipc::ListenAddress>> addresses_of(const Configuration& configuration,
                                                     const std::string& hostname) {
    std::vector<ipc::ListenAddress> all;
    for (const Listen& listen : configuration.listens) {
        const bool is_path = !listen.unix_socket.path.empty();
        Result<std::vector<IpAddress>> addresses =
            is_path ? std::vector<IpAddress>(1) : listen_addresses(listen.on);
        if (!addresses)
            return addresses.error();
        for (const IpAddress& address : *addresses) {
            Endpoint endpoint{address, listen.port};
            bool twice = std::any_of(all.begin(), all.end(), [&](const ipc::ListenAddress& other) {
                return other.endpoint == endpoint;
            });
            if (twice && !is_path)
                return Error{"listen on " + endpoint.to_string() + " is configured twice"};
            ipc::ListenAddress entry;
            entry.endpoint = endpoint;
            entry.unix_socket = listen.unix_socket;
            entry.hostname = listen.hostname.empty() ? hostname : listen.hostname;
            entry.tag = listen.tag;
            entry.tls = listen.tls;
            entry.auth = listen.auth;
            entry.extensions = listen.extensions;
            entry.mechanisms = mechanisms_of(configuration, listen.auth);
            entry.proxy = listen.proxy;
            entry.proxies = networks_of(configuration, listen.proxy_from);
            entry.lmtp = listen.lmtp;
            entry.vrfy = listen.vrfy;
            entry.xclient_from = networks_of(configuration, listen.xclient_from);
            entry.normalise_from = networks_of(configuration, listen.normalise_from);
            entry.etrn = domains_of(configuration, listen.etrn);
            all.push_back(std::move(entry));
        }
    }
    if (all.size() > most_listen_addresses)
        return Error{"there are " + std::to_string(all.size()) +
                     " addresses and ports to listen on; " + std::to_string(most_listen_addresses) +
                     " are possible"};
    return all;
}

bool BoundSocket::is_at(const ipc::ListenAddress& place) const {
    return place.endpoint == endpoint && place.unix_socket.path == unix_socket.path;
}

Result<std::vector<BoundSocket>> bind_listeners(const std::vector<ipc::ListenAddress>& places,
                                                std::vector<BoundSocket>& open) {
    std::vector<BoundSocket> bound;
    for (const ipc::ListenAddress& place : places) {
        BoundSocket& entry = bound.emplace_back();
        entry.endpoint = place.endpoint;
        entry.unix_socket = place.unix_socket;
        const auto have = std::find_if(open.begin(), open.end(),
                                       [&](const BoundSocket& b) { return b.is_at(place); });
        if (have != open.end() && have->unix_socket != place.unix_socket)
            return Error{"listen on " + place.where() +
                         ": the mode and the group of a socket change with a restart only"};
        if (have != open.end())
            continue;
        Result<FileDescriptor> fresh = place.is_local_socket()
                                           ? listen_on(place.unix_socket, listen_backlog)
                                           : listen_on(place.endpoint, listen_backlog);
        if (!fresh)
            return fresh.error();
        entry.socket = std::move(*fresh);
        if (place.is_local_socket())
            entry.name = BoundPath(place.unix_socket.path);
    }
    // Nothing can fail any more: take over what is open already.
    for (size_t i = 0; i < bound.size(); ++i)
        for (BoundSocket& old : open)
            if (!bound[i].socket && old.is_at(places[i]))
                bound[i] = std::move(old);
    return bound;
}

Result<FileDescriptor> bind_control_socket(const std::string& path) {
    return listen_on_path(path, SOCK_SEQPACKET, 0600, control_backlog);
}

Result<ipc::Identity> identity_of(ipc::Role role, const Configuration& configuration, bool root) {
    ipc::Identity identity;
    if (!root)
        return identity;
    std::string process = ipc::role_name(role);
    auto configured = configuration.users.by_process.find(process);
    bool is_default = configured == configuration.users.by_process.end();
    std::string name = is_default ? "postern-" + process : configured->second;
    const passwd* entry = getpwnam(name.c_str());
    if (!entry && !is_default)
        return Error{"user " + process + ": there is no user " + name};
    if (!entry) {
        log::warning("the user of a process does not exist, nobody takes its place",
                     {{"process", process}, {"user", name}});
        entry = getpwnam("nobody");
    }
    if (!entry || entry->pw_uid == 0)
        return Error{"there is no unprivileged user for " + process};
    identity.switch_user = true;
    identity.user_id = entry->pw_uid;
    identity.group_id = entry->pw_gid;
    return identity;
}

Result<FileDescriptor> open_directory_of(const std::string& path, const ipc::Identity& owner) {
    if (Result<void> made = make_directories(path, 0700); !made)
        return made.error();
    FileDescriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory)
        return system_error("open " + path);
    if (owner.switch_user && (fchown(directory.get(), owner.user_id, owner.group_id) < 0 ||
                              fchmod(directory.get(), 0700) < 0))
        return system_error("take possession of " + path);
    return directory;
}

Result<std::string> empty_directory() {
    if (Result<void> made = make_directories(empty_path, 0755); !made)
        return made.error();
    struct stat status;
    if (lstat(empty_path, &status) < 0)
        return system_error(empty_path);
    if (!S_ISDIR(status.st_mode) || status.st_uid != 0 || (status.st_mode & 022))
        return Error{std::string(empty_path) + " is not a directory that only root may write to"};
    return std::string(empty_path);
}

} // namespace postern
