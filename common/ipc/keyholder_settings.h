// The slice of the configuration that the keyholder needs: which keys there are. The keys are
// Configure::files, in PEM, each a memory file that nobody else reads.
#pragma once

#include <string>
#include <tuple>
#include <vector>

namespace postern::ipc {

struct KeyholderSettings {
    std::vector<std::string> names;      // of the pki, parallel to Configure::files
    std::vector<std::string> for_relays; // of these, that relays show to servers
    static constexpr auto fields(auto& m) { return std::tie(m.names, m.for_relays); }
};

} // namespace postern::ipc
