// A real authoritative name server (nsd) on a loopback port, with a signed zone `test.`, an
// unsigned one below it, and a reverse zone. It ends with the object, and with the test program.
#pragma once

#include <string>
#include <sys/types.h>

#include "common/base/ip_address.h"

namespace postern::test {

class NameServer {
  public:
    NameServer() = default;
    ~NameServer();
    NameServer(const NameServer&) = delete;

    // Empty if it serves; else why not: "no nsd on this machine", …
    std::string start();
    Endpoint endpoint() const { return endpoint_; }
    std::string trust_anchor() const { return trust_anchor_; } // of test., as text

  private:
    bool run(const std::string& command) const;
    void write(const std::string& name, const std::string& text) const;
    std::string read(const std::string& name) const;
    std::string sign_zone();
    void launch(const std::string& nsd);
    bool is_up() const;

    std::string directory_;
    std::string trust_anchor_;
    Endpoint endpoint_;
    pid_t pid_ = -1;
};

} // namespace postern::test
