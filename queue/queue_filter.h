// Which of the queue's recipients an operator means. Pure.
#pragma once

#include <string_view>

#include "common/ipc/administration.h"

namespace postern {

// A pattern (common/mail/pattern.h) for a reverse-path: "<>" is the null one, and an empty one is
// true of any.
bool matches_sender(std::string_view reverse_path, std::string_view pattern);

bool matches(const ipc::QueueFilter& filter, const ipc::EnvelopeEntry& entry);

// Nothing is excluded.
bool means_all(const ipc::QueueFilter& filter);

} // namespace postern
