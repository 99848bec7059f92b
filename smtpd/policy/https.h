// HTTPS as SMTP needs it, by libcurl: one request, to a host whose addresses are known, from whom
// nothing is believed that is not covered by its certificate. No redirects, no proxies, no cookies.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/ip_address.h"
#include "common/base/result.h"
#include "common/loop/event_loop.h"
#include "common/loop/task.h"
#include "common/tls/openssl.h"

namespace postern::policy {

struct HttpsRequest {
    std::string host; // whom the certificate has to be for
    uint16_t port = 443;
    std::string path;                 // "/…"
    std::vector<IpAddress> addresses; // of the host: nobody else is connected to
    std::string content_type;         // of `body`
    // To be posted: then the status is all that is wanted of the reply, and the connection is
    // closed behind its header. Empty: it is a GET.
    std::string body;
    size_t body_limit = 64 * 1024;             // octets of the reply; with more it is an error
    Duration limit = std::chrono::seconds(30); // for all of it
};

struct HttpsReply {
    long status = 0;          // "200"
    std::string content_type; // "text/plain; charset=utf-8", as it was said; empty: not at all
    std::string body;
};

class HttpsClient {
  public:
    // `authorities`: PEM, of those who vouch for hosts.
    HttpsClient(EventLoop& loop, std::string authorities);
    ~HttpsClient();

    // An error: there was no reply, or one that may not be believed. Error::message is libcurl's;
    // Error::code is `not_verified` if what failed is the host's certificate, else 0. The client
    // must outlive the task.
    static constexpr int not_verified = 1;
    Task<Result<HttpsReply>> send(HttpsRequest request);

    // Of requests that are begun from now on.
    void trust(std::string authorities);

  private:
    class Multi;
    class Transfer;

    std::string authorities_;
    TrustStore store_; // the same, read; null where libcurl has to do that for each connection
    std::unique_ptr<Multi> multi_;
};

} // namespace postern::policy
