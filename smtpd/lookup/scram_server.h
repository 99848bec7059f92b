// SCRAM for the users of a table.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "common/sasl/scram_exchange.h"
#include "smtpd/lookup/exchanges.h"

namespace postern {

class ScramServer final : public SaslServer {
  public:
    // Finds the account of a user, as ScramExchange::Find does, now or later; not after the server
    // is destroyed. Without one it cannot be told now.
    using Found = std::function<void(std::optional<ScramExchange::Account>)>;
    using Find = std::function<void(std::string user, Found found)>;

    // Null: `start` is no question for SCRAM, or there is no randomness.
    static std::unique_ptr<ScramServer> make(const ipc::SaslStart& start, Find find);

    void respond(Secret message, Done done) override;

  private:
    // What the exchange asks for, and is told.
    struct Link {
        std::optional<std::string> user; // nothing: it has not asked
        ScramExchange::Account account;
    };
    ScramServer(ScramExchange exchange, std::shared_ptr<Link> link, Find find)
        : exchange_(std::move(exchange)), link_(std::move(link)), find_(std::move(find)) {}
    void go_on(const Secret& message, const Done& done);

    ScramExchange exchange_;
    std::shared_ptr<Link> link_;
    Find find_;
    bool is_first_ = true;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace postern
