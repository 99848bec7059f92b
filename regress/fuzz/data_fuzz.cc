// The content of DATA: whatever the pieces in which it comes, and back again.
#include "common/smtp/data_decoder.h"

#include "regress/fuzz/expect.h"

using namespace postern;
using fuzz::expect;

namespace {

struct Decoded {
    std::string content;
    size_t used = 0;
    DataDecoder decoder;
};

// In pieces of 1 to 8 octets, as `cut` says over and over; in one where it is empty.
Decoded decode(std::string_view input, std::string_view cut) {
    Decoded decoded;
    size_t turn = 0;
    while (!input.empty() && !decoded.decoder.complete()) {
        const size_t length = cut.empty() ? input.size() : (cut[turn++ % cut.size()] & 7) + 1u;
        const std::string_view piece = input.substr(0, length);
        const size_t used = decoded.decoder.decode(piece, decoded.content);
        expect(used == piece.size() || decoded.decoder.complete(), "only the end leaves a rest");
        decoded.used += used;
        input.remove_prefix(used);
    }
    return decoded;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input = fuzz::text_of(data, size);
    const Decoded whole = decode(input, {});
    const Decoded pieces = decode(input, input.substr(0, 16));
    expect(whole.content == pieces.content && whole.used == pieces.used, "pieces do not matter");
    expect(whole.decoder.has_bare_cr() == pieces.decoder.has_bare_cr() &&
               whole.decoder.has_bare_lf() == pieces.decoder.has_bare_lf() &&
               whole.decoder.has_nul() == pieces.decoder.has_nul() &&
               whole.decoder.longest_line() == pieces.decoder.longest_line() &&
               whole.decoder.size() == pieces.decoder.size(),
           "nor for what is said of it");
    if (whole.decoder.complete()) {
        const std::string_view end = input.substr(0, whole.used);
        expect(end == ".\r\n" || end.ends_with("\r\n.\r\n"), "the end is CRLF.CRLF alone");
        expect(whole.content.empty() || whole.content.ends_with("\r\n"), "content ends in CRLF");
    }
    // Whatever the content was, what we send has one end, and it is at its end.
    const std::string sent = dot_stuff(whole.content);
    Decoded received = decode(sent, {});
    expect(received.decoder.complete() && received.used == sent.size(), "one message is one");
    expect(!received.decoder.has_bare_cr() && !received.decoder.has_bare_lf(),
           "lines that we send end in CRLF");
    const bool clean = !whole.decoder.has_bare_cr() && !whole.decoder.has_bare_lf() &&
                       (whole.content.empty() || whole.content.ends_with("\r\n"));
    if (clean)
        expect(received.content == whole.content, "and what arrives is what was sent");
    return 0;
}
