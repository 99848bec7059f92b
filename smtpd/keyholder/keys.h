// The private keys. They come in as PEM and never go out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/ipc/signing.h"
#include "common/tls/openssl.h"

namespace postern::keyholder {

// What somebody is in the handshakes that are signed for.
enum class Side : uint8_t { server, client };

class Keys {
  public:
    // `for_relays`: it signs as a client, too.
    Result<void> add(std::string_view pem, bool for_relays = false);
    bool has(const std::string& key_id) const { return keys_.contains(key_id); }
    size_t size() const { return keys_.size(); }

    // An error where there is no such key, or it does not sign for this side, this way, or this
    // content.
    Result<std::string> sign(const ipc::SignQuery& query, Side side = Side::server) const;

  private:
    struct Entry {
        EvpKey key;
        bool for_relays = false;
    };
    std::map<std::string, Entry> keys_; // by key id
};

} // namespace postern::keyholder
