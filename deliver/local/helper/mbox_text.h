// What a message looks like in an mbox (RFC 4155). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

// "From SENDER Thu Nov 26 06:05:55 2026\n", in UTC. Blanks in the sender become '-'; nobody (the
// null path) is MAILER-DAEMON.
std::string mbox_from_line(std::string_view reverse_path, int64_t seconds);

// Puts '>' before each line that is "From " behind any number of '>' (the mboxrd form: a reader can
// take it away again), across pieces. Lines end with LF.
class MboxQuoting {
  public:
    void convert(std::string_view piece, std::string& out);
    // The end of the text: what was held back.
    void finish(std::string& out);

  private:
    size_t held_ = 0;      // octets of "From " that were seen at the beginning of a line
    bool in_line_ = false; // behind what decides
};

// What has to stand between the end of an mbox and the next message, so that that begins on a line
// of its own behind an empty one: `tail` are the last two octets of the file, fewer if it has
// fewer. A crash in the middle of a delivery may have left anything there.
std::string_view mbox_separator(std::string_view tail);

} // namespace postern
