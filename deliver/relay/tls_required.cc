// See tls_required.h.
#include "deliver/relay/tls_required.h"

#include <algorithm>

#include "common/mail/header.h"
#include "common/smtp/text.h"

namespace postern::relay {

namespace {

constexpr uint64_t longest_header = 256 * 1024; // that is looked at

} // namespace

bool waives_tls(ContentSource& content, uint64_t length) {
    content.rewind();
    std::string header;
    while (header.size() < std::min(length, longest_header)) {
        const Result<std::string_view> piece = content.read();
        if (!piece || piece->empty())
            break;
        header += *piece;
    }
    content.rewind();
    header.resize(std::min<uint64_t>(header.size(), length));
    const std::optional<HeaderField> field = find_field(header, "TLS-Required");
    return field && equal_ignoring_case(unfold(field->value), "no");
}

} // namespace postern::relay
