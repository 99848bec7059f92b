// The content of a message that comes in chunks (RFC 3030), between the first BDAT and the last.
#pragma once

#include <optional>

#include "common/loop/executor.h"
#include "common/smtp/line_ends.h"
#include "common/smtp/reply.h"
#include "smtpd/listener/content_sink.h"

namespace postern::listener {

struct ChunkedContent {
    // `normalise`: bare CR and LF become CRLF.
    ChunkedContent(const ContentFacts::Options& options, bool normalise, Submission& submission,
                   TimePoint start)
        : decoder(normalise ? ContentFacts::Options() : options), sink(submission), start(start) {
        if (normalise)
            normalised.emplace(options);
    }

    void append(std::string_view octets) {
        decoder.decode(octets, [this](std::string_view piece) {
            if (normalised)
                normalised->pass(piece, [this](std::string_view part) { sink.append(part); });
            else
                sink.append(piece);
        });
    }
    void finish() {
        const auto append = [this](std::string_view ending) { sink.append(ending); };
        normalised ? normalised->finish(append) : decoder.finish(append);
    }
    // Of what goes to the sink.
    const ContentFacts& facts() const { return normalised ? normalised->facts() : decoder; }

    ChunkDecoder decoder; // of what comes in
    std::optional<NormalisedContent> normalised;
    ContentSink sink;
    TimePoint start;              // of the first chunk
    std::optional<Reply> failure; // of a chunk that was refused: those behind it are refused alike
};

} // namespace postern::listener
