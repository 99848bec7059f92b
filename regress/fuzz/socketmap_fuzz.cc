// Answers of a socketmap server, which may say anything, in any pieces.
#include "regress/fuzz/expect.h"
#include "smtpd/tables/socketmap_protocol.h"

using namespace postern;
using fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes = fuzz::text_of(data, size);
    const auto whole = tables::decode_netstring(bytes);
    for (size_t i = 0; i < bytes.size() && i < 64; ++i) {
        const auto part = tables::decode_netstring(bytes.substr(0, i));
        if (whole.ok())
            expect(part.ok() && !*part,
                   "what is going to be whole is not refused, nor whole before");
    }
    if (whole.ok() && *whole) {
        expect(tables::encode_netstring(**whole) == bytes, "there is one way to write it");
        const auto reply = tables::parse_socketmap_reply(**whole);
        expect(!reply.ok() || reply->value.size() < (**whole).size(), "a value is a part of it");
        if (!reply.ok())
            for (const char c : reply.error().message)
                expect(c >= 0x20 && c < 0x7f, "what the operator reads is printable");
    }
    return 0;
}
