#include "smtpd/listener/session_counters.h"

namespace postern::listener {

void SessionCounters::count_refusal(ipc::RouteVerdict verdict) {
    switch (verdict) {
    case ipc::RouteVerdict::accepted:
    case ipc::RouteVerdict::expanded:
        break;
    case ipc::RouteVerdict::refused:
        ++refused_policy;
        break;
    case ipc::RouteVerdict::no_rule:
        ++refused_relaying;
        break;
    case ipc::RouteVerdict::no_mailbox:
        ++refused_mailbox;
        break;
    case ipc::RouteVerdict::temporary:
        ++refused_temporary;
        break;
    }
}

void SessionCounters::count_excess(const Excess& excess) {
    if (excess.at_once)
        ++limited_sessions;
    else
        ++limited_rates[static_cast<size_t>(excess.measure)];
}

void SessionCounters::publish(Counters& counters) const {
    counters["smtp.sessions"] = sessions;
    counters["smtp.sessions.total"] = sessions_total;
    counters["smtp.messages"] = messages;
    counters["smtp.recipients"] = recipients;
    counters["smtp.bytes"] = bytes;
    counters["smtp.errors"] = errors;
    counters["smtp.timeouts"] = timeouts;
    counters["smtp.early_talkers"] = early_talkers;
    counters["smtp.tls.sessions"] = tls_sessions;
    counters["smtp.tls.resumed"] = tls_resumed;
    counters["smtp.tls.failures"] = tls_failures;
    counters["smtp.auth.successes"] = auth_successes;
    counters["smtp.auth.failures"] = auth_failures;
    counters["smtp.auth.temporary"] = auth_temporary;
    counters["smtp.auth.senders_refused"] = auth_senders_refused;
    counters["smtp.refused.sessions"] = refused_sessions;
    counters["smtp.refused.relaying"] = refused_relaying;
    counters["smtp.refused.policy"] = refused_policy;
    counters["smtp.refused.mailbox"] = refused_mailbox;
    counters["smtp.refused.temporary"] = refused_temporary;
    counters["smtp.refused.size"] = refused_size;
    counters["smtp.refused.content"] = refused_content;
    counters["smtp.refused.loop"] = refused_loop;
    counters["smtp.refused.queue"] = refused_queue;
    counters["smtp.refused.memory"] = refused_memory;
    counters["smtp.refused.proxy"] = refused_proxy;
    counters["smtp.memory"] = memory;
    counters["smtp.shed"] = shed;
    counters["smtp.limited.sessions"] = limited_sessions;
    counters["smtp.limited.session_commands"] = limited_commands;
    counters["smtp.limited.session_mails"] = limited_mails;
    counters["smtp.limited.session_bytes"] = limited_bytes;
    static constexpr const char* rates[measures] = {
        "smtp.limited.session_rate", "smtp.limited.command_rate", "smtp.limited.error_rate",
        "smtp.limited.mail_rate",    "smtp.limited.rcpt_rate",    "smtp.limited.byte_rate"};
    for (size_t i = 0; i < measures; ++i)
        counters[rates[i]] = limited_rates[i];
}

} // namespace postern::listener
