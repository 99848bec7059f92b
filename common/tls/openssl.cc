#include "common/tls/openssl.h"

#include <openssl/err.h>

namespace postern {

Error openssl_error(std::string_view what) {
    constexpr size_t limit = 512;
    std::string message(what);
    std::string_view separator = ": ";
    while (const unsigned long code = ERR_get_error()) {
        const char* reason = ERR_reason_error_string(code);
        char number[256];
        if (!reason)
            ERR_error_string_n(code, number, sizeof number);
        message += separator;
        message += reason ? reason : number;
        separator = "; ";
    }
    if (message.size() > limit)
        message.resize(limit);
    return Error{std::move(message)};
}

MemoryBio open_memory(std::string_view bytes) {
    return MemoryBio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

} // namespace postern
