#include "smtpd/listener/session_counters.h"

namespace postern::listener {

void SessionCounters::count_refusal(ipc::RouteVerdict verdict) {
    switch (verdict) {
    case ipc::RouteVerdict::accepted:
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
    counters["smtp.refused.sessions"] = refused_sessions;
    counters["smtp.refused.relaying"] = refused_relaying;
    counters["smtp.refused.policy"] = refused_policy;
    counters["smtp.refused.mailbox"] = refused_mailbox;
    counters["smtp.refused.temporary"] = refused_temporary;
    counters["smtp.refused.size"] = refused_size;
    counters["smtp.refused.content"] = refused_content;
    counters["smtp.refused.loop"] = refused_loop;
    counters["smtp.refused.queue"] = refused_queue;
}

} // namespace postern::listener
