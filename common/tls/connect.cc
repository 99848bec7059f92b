#include "common/tls/connect.h"

#include "common/tls/shake_hands.h"

namespace postern {

Task<Result<TlsFacts>> connect_tls(SocketStream& stream, SslSession ssl, Duration limit,
                                   Signer* signer) {
    const TimePoint end = stream.executor().now() + limit;
    stream.hold_input(true);
    if (!stream.input().empty())
        co_return Error{"the server spoke before the handshake"};
    SSL_set_connect_state(ssl.get());
    co_return co_await shake_hands(stream, std::move(ssl), signer, end);
}

} // namespace postern
