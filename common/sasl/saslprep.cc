#include "common/sasl/saslprep.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stringprep.h>

namespace postern {

namespace {

// Printable ASCII is its own prepared form.
bool needs_nothing(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

struct WipeAndFree {
    void operator()(char* text) const {
        explicit_bzero(text, std::strlen(text));
        std::free(text);
    }
};

} // namespace

std::optional<Secret> saslprep(std::string_view text, Prepared use) {
    if (text.empty() || text.find('\0') != text.npos)
        return std::nullopt;
    if (needs_nothing(text))
        return Secret(text);
    const Secret whole(text); // for its NUL
    const auto flags = use == Prepared::for_storage ? STRINGPREP_NO_UNASSIGNED
                                                    : static_cast<Stringprep_profile_flags>(0);
    char* result = nullptr;
    if (stringprep_profile(whole.c_str(), &result, "SASLprep", flags) != STRINGPREP_OK)
        return std::nullopt;
    const std::unique_ptr<char, WipeAndFree> prepared(result);
    if (*result == '\0')
        return std::nullopt;
    return Secret(result);
}

} // namespace postern
