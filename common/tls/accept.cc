#include "common/tls/accept.h"

#include "common/tls/shake_hands.h"

namespace postern {

Task<Result<TlsFacts>> accept_tls(SocketStream& stream, SslSession ssl, Signer& signer,
                                  std::string go_ahead, Duration limit) {
    const TimePoint end = stream.executor().now() + limit;
    stream.hold_input(true);
    stream.write(go_ahead);
    const StreamStatus told = co_await stream.drain(limit);
    if (told != StreamStatus::ok)
        co_return Error{to_string(told)};
    SSL_set_accept_state(ssl.get());
    co_return co_await shake_hands(stream, std::move(ssl), &signer, end);
}

} // namespace postern
