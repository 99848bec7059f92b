// Whom a session asks: the queue, lookup, the DNS, whoever encrypts. As interfaces, so that whole
// sessions run in simulated time against answers that a test makes up. Every call has a limit and
// ends with an answer or without one; nothing here throws or blocks.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/result.h"
#include "common/ipc/authentication.h"
#include "common/ipc/resolution.h"
#include "common/ipc/routing.h"
#include "common/ipc/submission.h"
#include "common/loop/executor.h"
#include "common/loop/task.h"
#include "common/tls/facts.h"

namespace postern::listener {

// A file of the queue that is being filled. Destroying it without submitting it gives it back.
class ContentFile {
  public:
    virtual ~ContentFile() = default;
    virtual int fd() const = 0; // write-only, empty to begin with
};

// Hands messages to the queue.
class Submission {
  public:
    struct OpenedFile {
        OpenedFile() {} // no aggregate: see Requests
        std::unique_ptr<ContentFile> file;
        std::optional<ipc::Refused> refused; // neither this nor a file: no answer
    };
    using Answer = std::variant<ipc::Durable, ipc::Refused>;

    virtual ~Submission() = default;
    // The clients of one network (common/base/client_network.h) share what there is for it, so that
    // others find some; `client` may be of no version: then there is no such limit.
    virtual Task<OpenedFile> open_content_file(IpAddress client, Duration limit) = 0;
    // `file` is null for a message whose content is inside `message`. Nothing: no answer came in
    // time, or the queue has died; the message may have been kept all the same.
    virtual Task<std::optional<Answer>>
    submit(ipc::Submit message, std::unique_ptr<ContentFile> file, Duration limit) = 0;
    // Nothing: no answer came in time, or the queue has died.
    virtual Task<std::optional<ipc::Woken>> wake(ipc::Wake question, Duration limit) = 0;
};

// Says what a recipient is.
class Routing {
  public:
    virtual ~Routing() = default;
    // Without an answer: RouteVerdict::temporary.
    virtual Task<ipc::RouteAnswer> route(ipc::RouteQuery query, Duration limit) = 0;
};

// Knows passwords, and who may send as whom.
class Accounts {
  public:
    virtual ~Accounts() = default;
    // Without an answer: Authentication::temporary.
    virtual Task<ipc::AuthenticateAnswer> authenticate(ipc::Authenticate question,
                                                       Duration limit) = 0;
    // The steps of an exchange. Without an answer: SaslVerdict::temporary.
    virtual Task<ipc::SaslAnswer> start(ipc::SaslStart start, Duration limit) = 0;
    virtual Task<ipc::SaslAnswer> respond(ipc::SaslResponse response, Duration limit) = 0;
    virtual void cancel(uint64_t exchange) = 0;
    // What a Dovecot has announced last. Nothing: it never has.
    virtual std::optional<std::vector<SaslMechanism>>
    announced(const std::string& credentials) const = 0;
    // Without an answer: SenderVerdict::temporary.
    virtual Task<ipc::SenderVerdict> check_sender(ipc::SenderQuery query, Duration limit) = 0;
};

// Asks the DNS.
class Resolver {
  public:
    virtual ~Resolver() = default;
    // Without an answer: ResolveStatus::temporary.
    virtual Task<ipc::ResolveAnswer> resolve(ipc::ResolveQuery query, Duration limit) = 0;
};

// Turns the connection of one session into an encrypted one.
class Encryption {
  public:
    virtual ~Encryption() = default;
    // It can be begun now: whoever signs for it is there.
    virtual bool available() const = 0;
    // Sends `go_ahead` and shakes hands. Nothing that came in before counts, and after an error the
    // connection is of no use.
    virtual Task<Result<TlsFacts>> begin(std::string go_ahead, Duration limit) = 0;
};

} // namespace postern::listener
