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
#include "common/smtp/sasl.h"
#include "common/tls/client.h"
#include "deliver/relay/encryption.h"

namespace postern::relay {

class Network {
  public:
    virtual ~Network() = default;
    virtual Executor& executor() = 0;

    using Connected = Result<std::unique_ptr<Stream>>;
    // From `source` where given. Error::code is the errno, ETIMEDOUT after `limit`.
    virtual Task<Connected> connect(Endpoint peer, std::optional<IpAddress> source,
                                    Duration limit) = 0;
    virtual Task<Connected> connect_unix(std::string path) = 0; // within connect_limit
    static constexpr std::chrono::seconds connect_limit{30};

    // Where a stream that connect() gave comes from. Version 0: it is not known.
    virtual IpAddress own_address(Stream& stream) = 0;

    // For a stream that connect() will give. An error: nobody can meet the demand, because there
    // are no such authorities or ciphers here.
    virtual Result<std::unique_ptr<Encryption>> prepare(const TlsDemand& demand) = 0;

    // As whom we speak. Error::code is EAGAIN if nobody can tell now, or 0: there is no such
    // credential. Ends within a minute.
    virtual Task<Result<SaslCredentials>> credentials(std::string table, std::string label) = 0;

    // `temporary` when the resolver does not answer, or is not there. Ends within a minute.
    virtual Task<ipc::ResolveAnswer> resolve(ipc::RecordType type, std::string name) = 0;

    // What the domain asks of those who send to it. Not `known` when policy does not answer, or is
    // not there. Ends within a minute.
    virtual Task<ipc::PolicyAnswer> find_policy(std::string domain) = 0;
    // How a connection went, for its domain to be told.
    virtual void report(ipc::SessionResult result) = 0;
};

} // namespace postern::relay
