// The content of a message that comes in chunks (RFC 3030), between the first BDAT and the last.
#pragma once

#include <optional>

#include "common/loop/executor.h"
#include "common/smtp/data_decoder.h"
#include "common/smtp/reply.h"
#include "smtpd/listener/content_sink.h"

namespace postern::listener {

struct ChunkedContent {
    ChunkedContent(const ContentFacts::Options& options, Submission& submission, TimePoint start)
        : decoder(options), sink(submission), start(start) {}

    ChunkDecoder decoder;
    ContentSink sink;
    TimePoint start;              // of the first chunk
    std::optional<Reply> failure; // of a chunk that was refused: those behind it are refused alike
};

} // namespace postern::listener
