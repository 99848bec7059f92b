// What the supervisor asks of the machine: names, addresses, users, sockets, directories. Blocking,
// at start-up and reload only.
#pragma once

#include <string>
#include <vector>

#include "common/base/file_descriptor.h"
#include "common/base/ip_address.h"
#include "common/base/result.h"
#include "common/config/configuration.h"
#include "common/ipc/listener_settings.h"
#include "common/ipc/supervision.h"
#include "smtpd/supervisor/unix_socket.h"

namespace postern {

// /etc/mailname, else the host name, with its domain if the machine knows one.
std::string machine_hostname();
std::vector<IpAddress> machine_addresses();

// The addresses that `listen on` means: itself, those of an interface, or those of a host name.
Result<std::vector<IpAddress>> listen_addresses(const std::string& on);

// Listening sockets that are open, by what they listen on, so that a reload keeps those it can.
struct BoundSocket {
    Endpoint endpoint;
    UnixSocket unix_socket;
    FileDescriptor socket;
    BoundPath name; // with a path
    bool is_at(const ipc::ListenAddress& place) const;
};
// Opens what the configuration lists, taking over what `open` has already. On failure nothing of
// `open` has been taken.
Result<std::vector<BoundSocket>> bind_listeners(const std::vector<ipc::ListenAddress>& places,
                                                std::vector<BoundSocket>& open);
Result<std::vector<ipc::ListenAddress>> addresses_of(const Configuration& configuration,
                                                     const std::string& hostname);

// The control socket, for root and whoever runs us. An old one that nobody answers is replaced; one
// that somebody answers is an error: the server runs already.
Result<FileDescriptor> bind_control_socket(const std::string& path);

// Who a process becomes. Without `root` nobody is switched. A default user that does not exist is
// replaced by nobody, with a warning; a configured one is an error.
Result<ipc::Identity> identity_of(ipc::Role role, const Configuration& configuration, bool root);

// mkdir -p: parents are made as mkdir(2) makes them, for everybody to pass through.
Result<void> make_directories(const std::string& path, mode_t mode);
// Makes the directory, 0700 and owned by `owner` where that can be, and opens it.
Result<FileDescriptor> open_directory_of(const std::string& path, const ipc::Identity& owner);
// An empty directory of root's to chroot into.
Result<std::string> empty_directory();

} // namespace postern
