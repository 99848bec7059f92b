// For clients that are trusted to mean a line end by it: a bare CR or LF becomes CRLF, between the
// decoder of DATA or BDAT and whoever keeps the content. Where the data ends has been decided
// before, by CRLF.CRLF alone; a line that only becomes one here, such as a dot between two LFs, is
// part of the content like any other. Pure, incremental, and holds nothing back.
#pragma once

#include <string_view>

#include "common/smtp/data_decoder.h"

namespace postern {

class LineEndNormaliser {
  public:
    // Gives `input` to `sink(std::string_view)` in large pieces, each line end in it as CRLF. The
    // pieces point into `input` or at constants.
    template <class Sink> void normalise(std::string_view input, Sink&& sink) {
        std::string_view piece;
        while (next(input, piece))
            sink(piece);
    }

  private:
    bool next(std::string_view& input, std::string_view& piece);

    bool after_cr_ = false; // its CRLF was given on: a LF that follows belongs to it
    bool owes_line_end_ = false;
};

// Content behind it, and what is to be known of the result: what was found out about the original
// (where its lines begin, how long they are) does not hold any more.
class NormalisedContent {
  public:
    explicit NormalisedContent(const ContentFacts::Options& options) : facts_(options) {}

    template <class Sink> void pass(std::string_view input, Sink&& sink) {
        line_ends_.normalise(input, [&](std::string_view piece) { facts_.decode(piece, sink); });
    }
    // As that of ChunkDecoder.
    template <class Sink> void finish(Sink&& sink) { facts_.finish(sink); }
    const ContentFacts& facts() const { return facts_; }

  private:
    LineEndNormaliser line_ends_;
    ChunkDecoder facts_;
};

} // namespace postern
