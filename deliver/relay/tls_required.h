// The header field "TLS-Required: No" (RFC 8689 3): its author would rather have the message go in
// plain than not at all, whatever the recipient's domain says of TLS.
#pragma once

#include "deliver/relay/content.h"

namespace postern::relay {

// `length`: of the header section. What cannot be read has no such field. The content is to be
// rewound.
bool waives_tls(ContentSource& content, uint64_t length);

} // namespace postern::relay
