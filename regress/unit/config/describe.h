// A configuration as text, so that a test can say in a few lines what a snippet means. Settings
// that have their default are left out.
#pragma once

#include <string>

#include "common/config/configuration.h"

namespace postern::test {

std::string describe(const Configuration& configuration);

} // namespace postern::test
