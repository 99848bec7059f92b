// Which of the queue's recipients an operator means. Pure.
#pragma once

#include <string_view>

#include "common/ipc/administration.h"

namespace postern {

// `*` stands for any characters, none too; case does not count. Linear in both for one `*`, and
// never worse than the product of their lengths.
bool matches_pattern(std::string_view text, std::string_view pattern);

// The same for a reverse-path: "<>" is the null one. An empty pattern is true of any.
bool matches_sender(std::string_view reverse_path, std::string_view pattern);

bool matches(const ipc::QueueFilter& filter, const ipc::EnvelopeEntry& entry);

// Nothing is excluded.
bool means_all(const ipc::QueueFilter& filter);

} // namespace postern
