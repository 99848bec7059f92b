// Looks at the header section of a content as it passes by in pieces: where it ends, how many
// Received: fields it has, and whether there are Date: and Message-ID:. Keeps a few octets of the
// present line, whatever the line's length.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern::listener {

class HeaderWatch {
  public:
    void pass(std::string_view piece);

    // The empty line behind the header section was seen.
    bool ended() const { return ended_; }
    // Octets up to and with the empty line; without one, all that has passed.
    uint64_t length() const { return length_; }
    // RFC 5321 6.3: counting them is how loops are found.
    uint32_t received_fields() const { return received_fields_; }
    bool has_date() const { return has_date_; }
    bool has_message_id() const { return has_message_id_; }

  private:
    void end_line();

    // "Message-ID" and the colon, with some of the white space that obs-syntax lets stand between
    // them (RFC 5322 4.5.3).
    char line_[16];
    uint8_t kept_ = 0;       // octets in line_
    bool line_empty_ = true; // nothing but a CR so far
    bool ended_ = false;
    bool has_date_ = false;
    bool has_message_id_ = false;
    uint32_t received_fields_ = 0;
    uint64_t length_ = 0;
};

} // namespace postern::listener
