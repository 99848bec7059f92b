// The spool's threads beside the event loop's.
#pragma once

#include <functional>
#include <thread>

#include "common/base/result.h"

namespace postern {

// Runs `run` on `thread`, which takes no signals: these are the event loop's.
Result<void> start_thread(std::thread& thread, std::function<void()> run);

} // namespace postern
