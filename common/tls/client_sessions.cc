#include "common/tls/client_sessions.h"

#include <algorithm>
#include <ctime>

namespace postern {

namespace {

// Seconds; less than 0 if the clock was set back.
long age_of(long since) { return static_cast<long>(std::time(nullptr)) - since; }

} // namespace

// Belongs to a connection, which may outlive the sessions.
struct ClientSessions::Follower {
    std::weak_ptr<ClientSessions> sessions;
    std::string key;
    long since; // what it resumes has been verified then
};

int ClientSessions::index() {
    static const int number = SSL_get_ex_new_index(
        0, nullptr, nullptr, nullptr,
        [](void* ssl, void* followed, CRYPTO_EX_DATA*, int, long, void*) {
            const std::unique_ptr<Follower> follower(static_cast<Follower*>(followed));
            const auto sessions = follower ? follower->sessions.lock() : nullptr;
            // It may have been the session that the server did not like.
            if (sessions && !SSL_is_init_finished(static_cast<SSL*>(ssl)))
                sessions->drop(follower->key);
        });
    return number;
}

void ClientSessions::keep_those_of(SSL_CTX* context) {
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, offered);
}

void ClientSessions::follow(const std::shared_ptr<ClientSessions>& sessions, SSL* ssl,
                            std::string key) {
    auto follower = std::make_unique<Follower>();
    if (TlsSession session = sessions->find(key, follower->since))
        SSL_set_session(ssl, session.get());
    follower->sessions = sessions;
    follower->key = std::move(key);
    if (SSL_set_ex_data(ssl, index(), follower.get()) == 1)
        follower.release();
}

// 1: the session is ours now.
int ClientSessions::offered(SSL* ssl, SSL_SESSION* session) {
    const auto* follower = static_cast<const Follower*>(SSL_get_ex_data(ssl, index()));
    const std::shared_ptr<ClientSessions> sessions = follower ? follower->sessions.lock() : nullptr;
    if (!sessions)
        return 0;
    // A ticket that comes in a resumed session is no new proof.
    sessions->keep(follower->key, TlsSession(session),
                   SSL_session_reused(ssl) == 1 ? follower->since
                                                : static_cast<long>(std::time(nullptr)));
    return 1;
}

void ClientSessions::keep(const std::string& key, TlsSession session, long since) {
    drop(key);
    const unsigned char* ticket = nullptr;
    size_t length = 0;
    SSL_SESSION_get0_ticket(session.get(), &ticket, &length);
    if (length > longest_ticket)
        return;
    while (!by_use_.empty() && age_of(by_use_.front().since) >= longest) {
        by_key_.erase(by_use_.front().key);
        by_use_.pop_front();
    }
    if (by_use_.size() >= limit) {
        by_key_.erase(by_use_.front().key);
        by_use_.pop_front();
    }
    by_use_.push_back({key, std::move(session), since});
    by_key_[key] = std::prev(by_use_.end());
}

void ClientSessions::drop(const std::string& key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end())
        return;
    by_use_.erase(found->second);
    by_key_.erase(found);
}

TlsSession ClientSessions::find(const std::string& key, long& since) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end())
        return nullptr;
    SSL_SESSION* session = found->second->session.get();
    SSL_SESSION_up_ref(session);
    TlsSession ours(session);
    since = found->second->since;
    const long age = age_of(since);
    const bool good = age >= 0 && age < std::min(longest, SSL_SESSION_get_timeout(session)) &&
                      SSL_SESSION_is_resumable(session) == 1;
    if (!good || SSL_SESSION_get_protocol_version(session) == TLS1_3_VERSION)
        drop(key);
    return good ? std::move(ours) : nullptr;
}

} // namespace postern
