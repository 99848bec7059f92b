// SCRAM for the users of a table.
#pragma once

#include "common/sasl/scram_exchange.h"
#include "smtpd/lookup/exchanges.h"

namespace postern {

class ScramServer final : public SaslServer {
  public:
    explicit ScramServer(ScramExchange exchange) : exchange_(std::move(exchange)) {}
    // Null: `start` is no question for SCRAM, or there is no randomness.
    static std::unique_ptr<ScramServer> make(const ipc::SaslStart& start, ScramExchange::Find find);

    void respond(Secret message, Done done) override;

  private:
    ScramExchange exchange_;
};

} // namespace postern
