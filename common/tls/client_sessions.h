// TLS sessions that servers have offered to resume, in memory, within bounds.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "common/tls/openssl.h"

namespace postern {

using TlsSession = std::unique_ptr<SSL_SESSION, OpensslDeleter<SSL_SESSION_free>>;

// One session for each key: what was agreed with whom on which terms. The key holds all that a
// resumed session does not verify again.
class ClientSessions {
  public:
    static constexpr size_t limit = 500; // sessions, with the certificates of their servers
    static constexpr size_t longest_ticket = 4096; // bytes; longer ones are not kept
    static constexpr long longest = 60 * 60;       // seconds; then the server proves itself anew

    // From now on the sessions of a context's connections that follow() was called for are kept.
    static void keep_those_of(SSL_CTX* context);
    // Resumes a session of this key, and keeps those that the server offers.
    static void follow(const std::shared_ptr<ClientSessions>& sessions, SSL* ssl, std::string key);

    size_t size() const { return by_use_.size(); }

  private:
    struct Entry {
        std::string key;
        TlsSession session;
        long since; // seconds since the epoch: when the server has proved itself
    };
    struct Follower;

    static int index();
    static int offered(SSL* ssl, SSL_SESSION* session);
    void keep(const std::string& key, TlsSession session, long since);
    void drop(const std::string& key);
    // Null: there is none. A ticket of TLS 1.3 is used once (RFC 8446 C.4), others go on. `since`
    // becomes that of the session.
    TlsSession find(const std::string& key, long& since);

    std::list<Entry> by_use_; // the last was kept last
    std::map<std::string, std::list<Entry>::iterator> by_key_;
};

} // namespace postern
