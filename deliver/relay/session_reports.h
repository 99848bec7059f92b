// What an exchanger's domain is told of TLS with it, if it wants to know (RFC 8460): of the
// sessions of one opening, and of what keeps us from having one. postern-policy counts them.
#pragma once

#include <string>

#include "deliver/relay/opening.h"

namespace postern::relay {

class SessionReports {
  public:
    // Both must outlive it.
    SessionReports(Network& network, const OpeningTerms& terms)
        : network_(network), terms_(terms) {}

    // There are no valid records of the exchanger's (RFC 8460 4.3.2.1), and no connection under
    // them.
    void add_dane_failure(const Exchanger& exchanger, ipc::TlsResult how,
                          const std::string& reason);
    // The domain's MTA-STS policy does not name the exchanger. What comes of a connection that is
    // made with it all the same adds nothing.
    void add_unnamed(const Exchanger& exchanger, const std::string& reason);
    // A connection to a mail exchanger of a domain, that came as far as this. `sending`: our
    // address there, as reported_address() has it.
    void add_session(const Exchanger& exchanger, const TlsPolicy& policy,
                     const ClientSession& session, const IpAddress& sending);
    // The domain has been told of this exchanger.
    void close() { closed_ = true; }

  private:
    bool is_news_of(const Exchanger& exchanger) const;
    void send(ipc::SessionResult result, ipc::TlsResult how, const std::string& reason);

    Network& network_;
    const OpeningTerms& terms_;
    bool closed_ = false;
};

} // namespace postern::relay
