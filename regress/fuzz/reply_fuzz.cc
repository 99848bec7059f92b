// Replies of a next hop, which may say anything.
#include "common/smtp/limits.h"
#include "common/smtp/reply.h"
#include "regress/fuzz/expect.h"

using namespace postern;
using fuzz::expect;

namespace {

std::string all_replies(std::string_view input, size_t step) {
    ReplyParser parser;
    std::string seen;
    while (!input.empty()) {
        std::string_view piece = input.substr(0, step);
        const size_t before = piece.size();
        const ReplyParser::State state = parser.feed(piece);
        expect(state != ReplyParser::State::need_more || piece.empty(), "all is taken, or it ends");
        input.remove_prefix(before - piece.size());
        if (state == ReplyParser::State::error) {
            std::string_view more = "250 OK\r\n";
            expect(parser.feed(more) == ReplyParser::State::error, "an error stays one");
            return seen + "error " + std::string(parser.error());
        }
        if (state != ReplyParser::State::complete)
            continue;
        const Reply reply = parser.take();
        expect(reply.code >= 200 && reply.code <= 599, "a code is one");
        expect(reply.text.size() <= limits::received_reply, "a reply has a bound");
        for (char c : reply.text)
            expect((c >= 0x20 && c < 0x7f) || c == '\n', "its text is printable");
        const std::string line = to_line(reply);
        expect(line.size() <= 1000 && line.find('\n') == std::string::npos, "a line is a line");
        seen += line + "\n";
        std::string_view again = line;
        const std::string wire = to_wire(reply);
        ReplyParser second;
        again = wire;
        expect(second.feed(again) == ReplyParser::State::complete && again.empty(),
               "what we write is one reply");
        expect(second.take().code == reply.code, "of the same code");
    }
    return seen;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input = fuzz::text_of(data, size);
    expect(all_replies(input, input.size()) == all_replies(input, 1), "pieces do not matter");
    return 0;
}
