// Between a listener and the queue: a message is handed over, and answered for; a domain's mail is
// asked for.
//
// The listener has at most `submission_credit` requests open; the queue ends a listener that has
// more.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <variant>

#include "common/base/file_descriptor.h"
#include "common/ipc/codec.h"
#include "common/ipc/envelope.h"

namespace postern::ipc {

inline constexpr uint32_t submission_credit = 1024;
// Content up to this many bytes travels inside Submit; more goes into a content file. Measured with
// 20 files of 100 KiB: a file each, synced and named, 180 a second; in the log, 3,300.
inline constexpr uint32_t inline_content_limit = 128 * 1024;

// Asks for an unnamed file to write large content to. Answered by ContentFile or Refused.
struct ContentFileRequest {
    uint32_t request = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.request); }
};

// The whole message. Answered by Durable or Refused.
struct Submit {
    uint32_t request = 0; // that of the ContentFileRequest, if there was one
    Envelope envelope;
    ContentTraits traits;
    Blob content;               // empty when it is in the content file
    uint64_t file_length = 0;   // bytes in the content file
    uint32_t file_checksum = 0; // CRC-32C of them
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.envelope, m.traits, m.content, m.file_length, m.file_checksum);
    }
};

// The content file of this request is not going to be submitted.
struct Abandon {
    uint32_t request = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.request); }
};

struct ContentFile {
    uint32_t request = 0;
    FileDescriptor file; // write-only
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.file); }
};

// On disk, synced: the client may read 250.
struct Durable {
    uint32_t request = 0;
    uint64_t message = 0; // its id
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.message); }
};

// Nothing was kept. `text` is for the client, after the codes.
struct Refused {
    uint32_t request = 0;
    uint16_t code = 451;
    std::string enhanced; // "4.3.1"
    std::string text;
    static constexpr auto fields(auto& m) {
        return std::tie(m.request, m.code, m.enhanced, m.text);
    }
};

// Mail for this domain is to be tried now (RFC 1985). Answered by Woken.
struct Wake {
    uint32_t request = 0;
    std::string domain;      // lower case
    bool subdomains = false; // of those below it as well
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.domain, m.subdomains); }
};

enum class WakeResult : uint8_t {
    started,  // `messages` of those that waited are tried now
    nothing,  // no mail waits for it
    too_soon, // it was asked for a short while ago, or too much is asked for at once
};
constexpr WakeResult last_enumerator(WakeResult) { return WakeResult::too_soon; }

struct Woken {
    uint32_t request = 0;
    WakeResult result = WakeResult::too_soon;
    uint32_t messages = 0;
    static constexpr auto fields(auto& m) { return std::tie(m.request, m.result, m.messages); }
};

using ListenerToQueue = std::variant<ContentFileRequest, Submit, Abandon, Wake>;
using QueueToListener = std::variant<ContentFile, Durable, Refused, Woken>;

} // namespace postern::ipc
