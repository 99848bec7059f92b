// The Dovecots that credentials name ("dovecot:/path"), each with its one connection. What is under
// way with those that are dropped, or when this is destroyed, is answered "temporary".
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ipc/authentication.h"
#include "common/loop/event_loop.h"
#include "smtpd/lookup/dovecot_client.h"

namespace postern {

class Dovecots {
  public:
    // `announced` is called when one of them offers something else than before.
    Dovecots(EventLoop& loop, std::function<void()> announced)
        : loop_(loop), announced_(std::move(announced)) {}
    Dovecots(const Dovecots&) = delete;

    // Those that these credentials name, and no others. Those that are wanted still keep their
    // connection.
    void keep(const std::vector<std::string>& credentials);
    // Null: these credentials are no Dovecot's.
    std::shared_ptr<DovecotClient> find(const std::string& credentials) const;
    // What they offer, of those who have said.
    std::vector<ipc::DovecotMechanisms> mechanisms() const;

  private:
    EventLoop& loop_;
    std::function<void()> announced_;
    std::map<std::string, std::shared_ptr<DovecotClient>> clients_; // by credentials
};

} // namespace postern
