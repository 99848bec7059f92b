#include "common/tls/shake_hands.h"

#include <cerrno>

#include "common/loop/completion.h"
#include "common/tls/accept.h"

namespace postern {

namespace {

// How long to wait where OpenSSL has no job left for this handshake.
constexpr Duration turn = std::chrono::milliseconds(10);

// Waits until the socket is ready for what the handshake needs. False: the limit has passed.
Task<bool> socket_ready(SocketStream& stream, TlsStep need, Duration limit) {
    Completion<bool> ready(stream.executor());
    Watch watch(stream.loop(), stream.fd(), [&](short) {
        watch.want(Watch::none);
        ready.complete(true);
    });
    watch.want(need == TlsStep::needs_output ? Watch::writable : Watch::readable);
    std::optional<bool> done = co_await ready.wait(limit);
    co_return done.has_value();
}

} // namespace

Task<Result<TlsFacts>> shake_hands(SocketStream& stream, SslSession ssl, Signer* signer,
                                   TimePoint end) {
    Executor& executor = stream.executor();
    SSL_set_fd(ssl.get(), stream.fd());
    const bool is_server = SSL_is_server(ssl.get()) == 1;
    TlsHandshake handshake(std::move(ssl));
    bool unsigned_by_us = false;
    for (;;) {
        const TlsStep step = handshake.step();
        if (step == TlsStep::done)
            break;
        if (step == TlsStep::failed && unsigned_by_us)
            co_return Error{"there is no signature of the key of our certificate", ENOKEY};
        if (step == TlsStep::failed)
            co_return handshake.error();
        if (executor.now() >= end)
            co_return Error{"the handshake took too long", ETIMEDOUT};
        if (step == TlsStep::needs_signature) {
            ipc::SignQuery query = handshake.signature_query();
            std::string signature;
            if (signer)
                signature = co_await signer->sign(std::move(query), end - executor.now());
            unsigned_by_us = signature.empty();
            handshake.provide(std::move(signature));
        } else if (step == TlsStep::needs_turn) {
            co_await executor.sleep(turn);
        } else {
            const bool ready = co_await socket_ready(stream, step, end - executor.now());
            if (!ready)
                co_return Error{std::string(is_server ? "the client" : "the server") +
                                    " kept the handshake waiting",
                                ETIMEDOUT};
        }
    }
    TlsFacts facts = handshake.facts();
    stream.add_layer(handshake.take_layer());
    stream.hold_input(false);
    co_return facts;
}

} // namespace postern
