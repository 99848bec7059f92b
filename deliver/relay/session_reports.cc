#include "deliver/relay/session_reports.h"

#include "deliver/relay/sts.h"

namespace postern::relay {

namespace {

constexpr size_t reason_limit = 197; // octets

} // namespace

// Whether its domain has not been told of what keeps us from connecting.
bool SessionReports::is_news_of(const Exchanger& exchanger) const {
    return !terms_.told || terms_.told->insert(exchanger.host).second;
}

void SessionReports::send(ipc::SessionResult result, ipc::TlsResult how,
                          const std::string& reason) {
    if (terms_.unreported)
        return;
    result.result = how;
    result.reason = sanitize(reason, reason_limit);
    network_.report(std::move(result));
}

void SessionReports::add_dane_failure(const Exchanger& exchanger, ipc::TlsResult how,
                                      const std::string& reason) {
    if (!goes_by_sts(terms_.route) || !is_news_of(exchanger))
        return;
    ipc::SessionResult result =
        session_result(terms_.route.domain, exchanger, TlsPolicy(), ipc::StsPolicy());
    result.type = ipc::PolicyType::tlsa;
    send(std::move(result), how, reason);
}

void SessionReports::add_unnamed(const Exchanger& exchanger, const std::string& reason) {
    if (terms_.sts.mode != ipc::StsMode::enforce || is_news_of(exchanger))
        send(session_result(terms_.route.domain, exchanger, TlsPolicy(), terms_.sts),
             ipc::TlsResult::validation_failure, reason);
    close();
}

void SessionReports::add_session(const Exchanger& exchanger, const TlsPolicy& policy,
                                 const ClientSession& session, const IpAddress& sending) {
    if (closed_ || !goes_by_sts(terms_.route))
        return;
    ipc::SessionResult result = session_result(terms_.route.domain, exchanger, policy, terms_.sts);
    result.sending = sending;
    if (session.tls())
        return send(std::move(result), ipc::TlsResult::success, {});
    const std::string reason = session.failed() ? session.failure().text : std::string();
    if (session.tls_failed())
        return send(std::move(result),
                    session.certificate_error() ? result_of_certificate(session.certificate_error())
                                                : ipc::TlsResult::validation_failure,
                    reason);
    const bool wanted_none = policy.level == TlsLevel::never;
    if (!wanted_none && (session.policy_unmet() || !session.failed()))
        send(std::move(result), ipc::TlsResult::starttls_not_supported, reason);
}

} // namespace postern::relay
