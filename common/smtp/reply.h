// SMTP replies (RFC 5321 4.2): what we send, and an incremental reader of what a next hop sends.
// The next hop may lie: everything read is bounded and its text is made printable on the way in.
#pragma once

#include "common/smtp/enhanced_status.h"
#include "common/smtp/text.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace postern {

struct Reply {
    Reply() = default;
    Reply(int code, EnhancedStatusCode status, std::string text)
        : code(code), status(status), text(std::move(text)) {}
    // Without an enhanced status code: the greeting, replies to HELO and EHLO (RFC 2034 3), 3yz.
    Reply(int code, std::string text) : code(code), text(std::move(text)) {}

    int code = 0;
    EnhancedStatusCode status;
    std::string text;  // lines separated by '\n', without codes
    bool utf8 = false; // the client takes UTF-8 in it (RFC 6531 3.7.4.2)

    bool is_positive() const { return code >= 200 && code < 300; }
    bool is_intermediate() const { return code >= 300 && code < 400; }
    bool is_transient_failure() const { return code >= 400 && code < 500; }
    bool is_permanent_failure() const { return code >= 500 && code < 600; }

    friend bool operator==(const Reply&, const Reply&) = default;
};

// Appends the reply as it goes over the wire, CRLF included: a line for each line of text, wrapped
// to 512 octets (4.5.3.1.5), the enhanced status code in every one (RFC 2034 4) except in 3yz
// replies, its class made that of the code. Octets that a reply cannot have become '?': so does
// UTF-8, unless the reply says that it is wanted.
void append_reply(std::string& out, const Reply& reply);
std::string to_wire(const Reply& reply);

// "550 5.1.1 No such user; see https://..." in one line of printable ASCII of at most `limit`
// octets, for logs and for Diagnostic-Code.
std::string to_line(const Reply& reply, std::size_t limit = 1000);

// Reads replies from a byte stream.
class ReplyParser {
  public:
    enum class State { need_more, complete, error };

    // Takes octets off the front of `input` up to the end of one reply. After `complete`, take()
    // the reply; what `input` still has belongs to the next one (pipelining). After `error` the
    // stream is of no use: error() says why, and every further call says the same. Errors are: a
    // line that begins with no code of 200 to 599 or goes on without space or hyphen, codes that
    // differ within a reply, and the limits received_reply* of limits.h. LF without CR ends a line
    // too; text may be missing (4.2).
    State feed(std::string_view& input);

    // The finished reply; the parser is ready for the next. The enhanced status code is taken from
    // the first line, if its class fits the code, and cut off from every line that repeats it.
    // The text is printable ASCII, each line sanitized.
    Reply take();

    std::string_view error() const { return error_; }
    // True between the first octet of a reply and its last.
    bool in_reply() const { return received_ != 0; }

  private:
    State take_line(std::string_view line);
    State fail(std::string_view why);

    std::string line_; // of a line that came in pieces
    Reply reply_;
    std::string_view error_;
    std::size_t received_ = 0;
    std::size_t lines_ = 0;
    bool complete_ = false;
};

} // namespace postern
