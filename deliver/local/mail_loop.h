// A message that is delivered to where it has been delivered before goes round in a circle:
// somebody forwards what lies in that mailbox back to it. Each final delivery leaves a Delivered-To
// field with the recipient's address, by which the next one knows.
#pragma once

#include <string>
#include <string_view>

#include "common/base/file_descriptor.h"
#include "common/base/result.h"

namespace postern {

// Whether a Delivered-To field of this header section (folded or not, with CRLF or LF) has just
// this address, in any case. What follows the first empty line does not count.
bool was_delivered_to(std::string_view header, std::string_view address);

// The header section of the content that begins at the descriptor's present offset, which stays
// where it is. At most this many bytes of it: a circle that a longer one hides ends by the number
// of its Received fields.
inline constexpr size_t header_limit = 256 * 1024;
Result<std::string> read_header(const FileDescriptor& content);

} // namespace postern
