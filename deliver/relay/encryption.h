// How the stream of a connection becomes encrypted.
#pragma once

#include "common/base/result.h"
#include "common/loop/task.h"
#include "common/net/stream.h"
#include "common/tls/facts.h"

namespace postern::relay {

class Encryption {
  public:
    virtual ~Encryption() = default;
    // Once, and nothing has come in that was not asked for. After an error the stream is of no use.
    virtual Task<Result<TlsFacts>> begin(Stream& stream, Duration limit) = 0;
};

} // namespace postern::relay
