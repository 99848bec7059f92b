// What a delivery needs of the world: connections and DNS answers. The process has sockets and the
// resolver behind it, a test whatever it likes.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/ipc/resolution.h"
#include "common/ipc/transport_policy.h"
#include "common/loop/executor.h"
#include "common/loop/task.h"
#include "common/net/stream.h"
#include "common/tls/client.h"

namespace postern::relay {

class Network {
  public:
    virtual ~Network() = default;
    virtual Executor& executor() = 0;

    using Connected = Result<std::unique_ptr<Stream>>;
    // From `source` where given. Error::code is the errno, ETIMEDOUT after connect_limit.
    virtual Task<Connected> connect(Endpoint peer, std::optional<IpAddress> source) = 0;
    virtual Task<Connected> connect_unix(std::string path) = 0;
    static constexpr std::chrono::seconds connect_limit{30};

    // Encrypts a stream that connect() gave, from the next byte on. An error: see connect_tls(), or
    // the demand is one that nobody can meet.
    virtual Task<Result<TlsFacts>> encrypt(Stream& stream, TlsDemand demand, Duration limit) = 0;

    // `temporary` when the resolver does not answer, or is not there. Ends within a minute.
    virtual Task<ipc::ResolveAnswer> resolve(ipc::RecordType type, std::string name) = 0;

    // What the domain asks of those who send to it. Not `known` when policy does not answer, or is
    // not there. Ends within a minute.
    virtual Task<ipc::PolicyAnswer> find_policy(std::string domain) = 0;
};

} // namespace postern::relay
