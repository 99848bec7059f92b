#include "common/base/result.h"

#include <cstring>

namespace postern {

Error system_error(std::string_view what, int code) {
    Error error;
    error.message = std::string(what) + ": " + std::strerror(code);
    error.code = code;
    return error;
}

} // namespace postern
