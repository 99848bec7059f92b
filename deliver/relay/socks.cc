// See socks.h.
#include "deliver/relay/socks.h"

#include <cerrno>

#include "common/base/network_order.h"

namespace postern::relay {

namespace {

constexpr char version = 5;
constexpr char password_version = 1;
constexpr char no_method = 0; // of authentication
constexpr char password_method = 2;
constexpr size_t longest_field = 255; // octets of a user's name or password

// By the reply's code (RFC 1928 6).
Error refusal(unsigned char code) {
    static const Error errors[] = {
        {"succeeded", 0},
        {"the proxy has failed", EPERM}, // as some say of every target that fails
        {"the proxy's rules forbid it", EPERM},
        {"network unreachable, says the proxy", ENETUNREACH},
        {"host unreachable, says the proxy", EHOSTUNREACH},
        {"connection refused, says the proxy", ECONNREFUSED},
        {"no answer, says the proxy", ETIMEDOUT},
        {"the proxy does not know CONNECT", 0},
        {"the proxy does not know this kind of address", EPERM},
    };
    return code < std::size(errors) ? errors[code]
                                    : Error{"the proxy refuses with " + std::to_string(code), 0};
}

// Exactly so many. One that goes without its answer has failed itself: of what it connects to it
// would have said so (RFC 1928 6).
Task<Result<std::string>> read(Stream& proxy, size_t octets, TimePoint end) {
    while (proxy.input().size() < octets) {
        const Duration left = end - proxy.executor().now();
        StreamStatus status = StreamStatus::timed_out;
        if (left > Duration(0))
            status = co_await proxy.read_more(left);
        if (status != StreamStatus::ok)
            co_return Error{std::string(to_string(status)) + " while waiting for the proxy",
                            status == StreamStatus::timed_out ? ETIMEDOUT : 0};
    }
    std::string result(proxy.input().substr(0, octets));
    proxy.consume(octets);
    co_return result;
}

Task<Result<void>> log_in(Stream& proxy, const SaslCredentials& credentials, TimePoint end) {
    const std::string& user = credentials.user;
    const std::string_view password = credentials.password.view();
    if (user.empty() || user.size() > longest_field || password.size() > longest_field)
        co_return Error{"the password is too long for a proxy", 0};
    proxy.write(std::string{password_version, static_cast<char>(user.size())} + user +
                static_cast<char>(password.size()));
    proxy.write_secret(password);
    Result<std::string> answer = co_await read(proxy, 2, end);
    if (!answer)
        co_return answer.error();
    if ((*answer)[1] != 0)
        co_return Error{"the proxy refuses the password", 0};
    co_return Result<void>();
}

} // namespace

std::string socks_request(const Endpoint& target) {
    constexpr char connect = 1;
    const bool six = target.address.version == 6;
    std::string request{version, connect, 0, static_cast<char>(six ? 4 : 1)};
    append_address(request, target.address);
    append_number(request, target.port, 2);
    return request;
}

Task<Result<void>> open_socks(Stream& proxy, const std::optional<SaslCredentials>& credentials,
                              Duration limit) {
    const TimePoint end = proxy.executor().now() + limit;
    const char method = credentials ? password_method : no_method;
    proxy.write(std::string{version, 1, method});
    Result<std::string> chosen = co_await read(proxy, 2, end);
    if (!chosen)
        co_return chosen.error();
    if ((*chosen)[0] != version || (*chosen)[1] != method)
        co_return Error{(*chosen)[0] != version ? "the proxy does not speak SOCKS5"
                        : credentials           ? "the proxy takes no password"
                                                : "the proxy wants a password",
                        0};
    if (!credentials)
        co_return Result<void>();
    co_return co_await log_in(proxy, *credentials, end);
}

Task<Result<void>> connect_by_socks(Stream& proxy, Endpoint target, Duration limit) {
    const TimePoint end = proxy.executor().now() + limit;
    proxy.write(socks_request(target));
    Result<std::string> head = co_await read(proxy, 4, end);
    if (!head)
        co_return head.error();
    if ((*head)[0] != version)
        co_return Error{"the proxy's answer makes no sense", 0};
    if ((*head)[1] != 0)
        co_return refusal(static_cast<unsigned char>((*head)[1]));
    // From where it has connected: an address or a name, and a port. Nobody needs it.
    size_t rest = (*head)[3] == 1 ? 4 + 2 : 16 + 2;
    if ((*head)[3] == 3) {
        Result<std::string> length = co_await read(proxy, 1, end);
        if (!length)
            co_return length.error();
        rest = static_cast<unsigned char>(length->front()) + size_t{2};
    } else if ((*head)[3] != 1 && (*head)[3] != 4) {
        co_return Error{"the proxy's answer makes no sense", 0};
    }
    Result<std::string> place = co_await read(proxy, rest, end);
    co_return place ? Result<void>() : Result<void>(place.error());
}

} // namespace postern::relay
