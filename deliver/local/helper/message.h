// The message that a helper has to put somewhere: what each way of delivery makes of it is the
// same text.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "common/base/result.h"

namespace postern {

struct LocalMessage {
    std::string reverse_path; // without brackets; empty: the null path
    std::string recipient;
    int content = 0; // descriptor: from its present offset to its end, which stays as it is; or a
                     // pipe
};

// Turns CRLF into LF, across pieces; a CR elsewhere stays. The end of the content gets a LF if it
// has none.
class LineEnds {
  public:
    void convert(std::string_view piece, std::string& out);
    void finish(std::string& out);

  private:
    bool held_ = false; // a CR, until it is known what follows
    bool at_line_start_ = true;
};

// The text of a message: a Return-Path field (RFC 5321 4.4), a Delivered-To field, and the content,
// with LF line ends.
class MessageText {
  public:
    explicit MessageText(const LocalMessage& message);

    // The next piece of it; empty at the end. Error::code is the errno.
    Result<std::string> next();

  private:
    Result<std::string_view> read();

    int fd_;
    off_t offset_; // negative: the descriptor has none
    bool ended_ = false;
    std::string header_;
    LineEnds line_ends_;
    std::vector<char> chunk_;
};

// A value for one line: control characters become '?'.
std::string in_one_line(std::string_view value);

} // namespace postern
