// The content of a message on its way in by DATA (RFC 5321 4.5.2) or BDAT (RFC 3030), and out by
// DATA: undoing and doing the dot transparency, and finding the end of data, which is CRLF.CRLF and
// nothing else. All are incremental, work on whole runs of octets and hold back at most a few.
#pragma once

#include "common/smtp/limits.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace postern {

// What is to be known of a content, however it came. Final when all of it has passed.
class ContentFacts {
  public:
    struct Options {
        std::size_t max_line = limits::tolerated_text_line;                 // octets with CRLF
        std::uint64_t max_size = std::numeric_limits<std::uint64_t>::max(); // decoded octets
    };

    std::uint64_t size() const { return size_; } // decoded octets, those not passed on too
    bool too_big() const { return size_ > options_.max_size; }
    bool has_bare_cr() const { return bare_cr_; } // CR not followed by LF
    bool has_bare_lf() const { return bare_lf_; } // LF not preceded by CR
    bool has_nul() const { return nul_; }
    bool has_eight_bit() const { return eight_bit_; }          // needs 8BITMIME
    bool has_leading_dot() const { return leading_dot_; }      // must be dot-stuffed when sent on
    std::size_t longest_line() const { return longest_line_; } // octets with CRLF
    bool line_too_long() const { return longest_line_ > options_.max_line; }
    bool line_over_standard() const { return longest_line_ > limits::text_line; } // 4.5.3.1.6

  protected:
    // Where the last octet used left us. `dot` and `dot_cr`: a dot at the start of a line, which is
    // held back until it is known whether it ends the data.
    enum class State : std::uint8_t { line_start, middle, cr, dot, dot_cr, complete };
    enum class Dots : std::uint8_t { stop, note }; // at the start of a line

    ContentFacts() = default;
    explicit ContentFacts(const Options& options) : options_(options) {}
    ~ContentFacts() = default;

    std::size_t scan(std::string_view input, Dots dots);
    bool pass_on(std::string_view piece);
    void end_line();

    Options options_;
    std::uint64_t size_ = 0;
    std::size_t line_ = 0; // octets of the present line
    std::size_t longest_line_ = 0;
    State state_ = State::line_start;
    bool bare_cr_ = false;
    bool bare_lf_ = false;
    bool nul_ = false;
    bool eight_bit_ = false;
    bool leading_dot_ = false;
};

// DATA.
class DataDecoder : public ContentFacts {
  public:
    DataDecoder() = default;
    explicit DataDecoder(const Options& options) : ContentFacts(options) {}

    // Decodes from the front of `input`, gives the content to `sink(std::string_view)` in large
    // pieces, and returns how many octets of `input` it has used: all, unless the end of data was
    // found; the rest is the next command. The pieces point into `input` or at constants. Whatever
    // is wrong with the content, it is read on to its end, so that the reply comes in step; beyond
    // max_size nothing more goes to `sink`.
    template <class Sink> std::size_t decode(std::string_view input, Sink&& sink) {
        const std::size_t length = input.size();
        std::string_view piece;
        while (next(input, piece))
            sink(piece);
        return length - input.size();
    }
    std::size_t decode(std::string_view input, std::string& out) {
        return decode(input, [&out](std::string_view piece) { out.append(piece); });
    }

    // The end of data was seen. The content is then empty or ends in CRLF.
    bool complete() const { return state_ == State::complete; }

  private:
    bool next(std::string_view& input, std::string_view& piece);
};

// BDAT: the octets of all chunks of a message, one after another. They are what they are: no dot
// and no line end has a meaning. Where chunks begin and end is for the caller to know.
class ChunkDecoder : public ContentFacts {
  public:
    ChunkDecoder() = default;
    explicit ChunkDecoder(const Options& options) : ContentFacts(options) {}

    // Gives the octets on to `sink(std::string_view)`, none beyond max_size.
    template <class Sink> void decode(std::string_view input, Sink&& sink) {
        if (note(input))
            sink(input);
    }
    // There is no more. Ends the last line with CRLF if nothing has ended it: a mail message is
    // made of lines (RFC 5322 2.1), and leaves us as such. RFC 6376 3.4.3 signs it so, too. These
    // two octets do not count for max_size.
    template <class Sink> void finish(Sink&& sink) {
        if (const std::string_view ending = missing_line_end(); !ending.empty())
            sink(ending);
    }

  private:
    bool note(std::string_view input);
    std::string_view missing_line_end();
};

// Writes content for DATA: doubles the dot at the start of a line. Content is expected in CRLF
// form; should it have a bare CR or LF all the same, that becomes CRLF, so that what leaves is
// well-formed whatever came in.
class DotStuffer {
  public:
    // Appends the encoded form of the next part of the content. A CR at its very end is held back.
    void encode(std::string_view content, std::string& out);
    // Ends the last line if it is not ended, and appends ".\r\n".
    void finish(std::string& out);

  private:
    bool line_start_ = true;
    bool held_cr_ = false;
};

// The whole of a content at once, with the end of data.
std::string dot_stuff(std::string_view content);

} // namespace postern
