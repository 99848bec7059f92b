// DATA decoding and encoding. Whatever the cut of the input into chunks, the result is the same; a
// slow and obvious decoder says what it must be.
#include "common/smtp/data_decoder.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace postern {
namespace {

using namespace std::string_literals; // for strings with a NUL inside

struct Outcome {
    std::string content;
    std::size_t used = 0;
    bool complete = false;
    bool bare_cr = false;
    bool bare_lf = false;
    bool nul = false;
    bool eight_bit = false;
    bool leading_dot = false;
    std::size_t longest_line = 0;
    std::uint64_t size = 0;

    bool operator==(const Outcome&) const = default;
};

void PrintTo(const Outcome& outcome, std::ostream* out) {
    *out << testing::PrintToString(outcome.content) << " used " << outcome.used
         << (outcome.complete ? " complete" : " open") << (outcome.bare_cr ? " bare-cr" : "")
         << (outcome.bare_lf ? " bare-lf" : "") << (outcome.nul ? " nul" : "")
         << (outcome.eight_bit ? " 8bit" : "") << (outcome.leading_dot ? " dot" : "") << " longest "
         << outcome.longest_line << " size " << outcome.size;
}

Outcome outcome_of(const DataDecoder& decoder, std::string content, std::size_t used) {
    return {std::move(content),      used,
            decoder.complete(),      decoder.has_bare_cr(),
            decoder.has_bare_lf(),   decoder.has_nul(),
            decoder.has_eight_bit(), decoder.has_leading_dot(),
            decoder.longest_line(),  decoder.size()};
}

Outcome decode_chunks(const std::vector<std::string_view>& chunks) {
    DataDecoder decoder;
    std::string content;
    std::size_t used = 0;
    for (std::string_view chunk : chunks) {
        const std::size_t now = decoder.decode(chunk, content);
        used += now;
        if (decoder.complete())
            break;
        EXPECT_EQ(now, chunk.size()) << "all is used before the end of data";
    }
    return outcome_of(decoder, std::move(content), used);
}

// The specification, octet by octet over the whole stream.
Outcome reference(std::string_view wire) {
    // The end of data: CRLF.CRLF, the CRLF of the DATA command counting as the first.
    const std::string stream = "\r\n" + std::string(wire);
    const std::size_t end = stream.find("\r\n.\r\n");
    Outcome out;
    out.complete = end != std::string::npos;
    out.used = out.complete ? end + 3 : wire.size();
    std::string_view body = wire.substr(0, out.complete ? end : wire.size());
    // An open stream may end in what could yet become the end of data: that much is held back.
    if (!out.complete) {
        for (std::string_view held : {"\r\n.\r", "\r\n."})
            if (stream.ends_with(held)) {
                body = wire.substr(0, wire.size() - (held.size() - 2));
                break;
            }
    }
    std::size_t line = 0;
    bool at_line_start = true;
    for (std::size_t i = 0; i < body.size(); ++i) {
        if (at_line_start && body[i] == '.') {
            at_line_start = false;
            out.leading_dot = out.leading_dot || (i + 1 < body.size() && body[i + 1] == '.');
            continue;
        }
        at_line_start = false;
        const char c = body[i];
        out.content += c;
        out.nul = out.nul || c == '\0';
        out.eight_bit = out.eight_bit || (c & 0x80) != 0;
        ++line;
        out.longest_line = std::max(out.longest_line, line);
        if (c == '\n') {
            line = 0;
            at_line_start = i > 0 && body[i - 1] == '\r';
            out.bare_lf = out.bare_lf || !at_line_start;
        }
        if (i > 0 && body[i - 1] == '\r' && c != '\n')
            out.bare_cr = true;
    }
    // A CR held with its dot is bare if something else follows: then it is in `body`.
    out.size = out.content.size();
    return out;
}

const std::string tricky[] = {
    ".\r\n",
    ".\r\nQUIT\r\n",
    "\r\n.\r\n",
    "\r\n\r\n.\r\n",
    "a\r\n.\r\n",
    "a\r\n.\r\nMAIL FROM:<>\r\n",
    "Subject: x\r\n\r\nbody\r\n.\r\nRSET\r\n",
    "..\r\n.\r\n",
    "...\r\n.\r\n",
    "..a\r\n..b\r\n.c\r\n.\r\n",
    "a\r\n..\r\n.\r\n",
    "a\r\n..\r\n..\r\n.\r\n",
    ".a\r\n.\r\n",
    "a.\r\n.\r\n",
    "a.\r\n.b\r\n.\r\n",
    "\xc3\xa9\r\n.\r\n",
    "a\0b\r\n.\r\n"s,
    "a\r\n. \r\n.\r\n",
    "a\r\n.\r\r\n.\r\n",
    "a\r\n.\r.\r\n.\r\n",
    "a\r\n.\rb\r\n.\r\n",
    "a\r\n.\n.\r\n.\r\n",
    "\r\r\n.\r\n",
    "a\r\r\n.\r\n",
    "a\r\r\r\n.\r\n.x\r\n",
    "a\n\r\n.\r\n",
    "no end at all",
    "no end\r\n",
    "no end\r\n.",
    "no end\r\n.\r",
    "no end\r\n.x",
    "\r",
    "\n",
    ".",
    "",
    // Things that some servers take for the end of data (SMTP smuggling): none of them is.
    "a\n.\nMAIL FROM:<x@y>\r\n.\r\n",
    "a\n.\r\nMAIL FROM:<x@y>\r\n.\r\n",
    "a\r.\rMAIL FROM:<x@y>\r\n.\r\n",
    "a\r.\r\nMAIL FROM:<x@y>\r\n.\r\n",
    "a\r\n.\nMAIL FROM:<x@y>\r\n.\r\n",
    "a\r\n.\rMAIL FROM:<x@y>\r\n.\r\n",
    "a\r\n\r.\r\nMAIL FROM:<x@y>\r\n.\r\n",
    "a\r\n.\r\r\nMAIL FROM:<x@y>\r\n.\r\n",
    "a\r\n\0.\r\nMAIL FROM:<x@y>\r\n.\r\n"s,
    "a\r\n.\0\r\nMAIL FROM:<x@y>\r\n.\r\n"s,
    "a\r\0\n.\r\nMAIL FROM:<x@y>\r\n.\r\n"s,
};

void expect_same_however_cut(const std::string& wire) {
    const std::string_view view = wire;
    const Outcome expected = reference(view);
    ASSERT_EQ(decode_chunks({view}), expected) << testing::PrintToString(wire);
    std::vector<std::string_view> single;
    for (std::size_t i = 0; i < wire.size(); ++i)
        single.push_back(view.substr(i, 1));
    ASSERT_EQ(decode_chunks(single), expected) << testing::PrintToString(wire) << " octet by octet";
    for (std::size_t cut = 0; cut <= wire.size(); ++cut)
        ASSERT_EQ(decode_chunks({view.substr(0, cut), view.substr(cut)}), expected)
            << testing::PrintToString(wire) << " cut at " << cut;
}

TEST(DataDecoder, TrickyInputsHoweverCut) {
    for (const std::string& wire : tricky)
        expect_same_however_cut(wire);
}

// All that can be made of these octets around a dot: every stream of up to seven octets at every
// cut.
TEST(DataDecoder, AllShortStreamsHoweverCut) {
    static constexpr char octets[] = {'\r', '\n', '.', 'a'};
    static constexpr std::size_t kinds = std::size(octets);
    for (std::size_t length = 1; length <= 7; ++length) {
        std::size_t count = 1;
        for (std::size_t i = 0; i < length; ++i)
            count *= kinds;
        for (std::size_t number = 0; number < count; ++number) {
            std::string wire;
            for (std::size_t i = 0, rest = number; i < length; ++i, rest /= kinds)
                wire += octets[rest % kinds];
            expect_same_however_cut(wire);
            if (testing::Test::HasFatalFailure())
                return;
        }
    }
}

TEST(DataDecoder, RandomStreamsInRandomChunks) {
    std::mt19937 random(5321);
    static const std::string pieces[] = {
        "\r\n", "\r\n.", "..",      ".",    "\r",
        "\n",   "text",  "\r\n..x", "\xff", "a long piece of perfectly ordinary text"};
    for (int round = 0; round < 3000; ++round) {
        std::string wire;
        for (unsigned i = random() % 40; i > 0; --i)
            wire += pieces[random() % std::size(pieces)];
        std::vector<std::string_view> chunks;
        for (std::string_view rest = wire; !rest.empty();) {
            const std::size_t length = 1 + random() % 9;
            chunks.push_back(rest.substr(0, length));
            rest.remove_prefix(chunks.back().size());
        }
        ASSERT_EQ(decode_chunks(chunks), reference(wire)) << testing::PrintToString(wire);
    }
}

// The permutations by name: end-of-data look-alikes are content, are recorded, and what follows
// them is not taken for commands.
TEST(DataDecoder, OnlyCrlfDotCrlfEndsTheData) {
    const std::string ends[] = {"\r\n", "\n", "\r", "\r\r\n", "\n\r", "\0"s};
    for (const std::string& before : ends)
        for (const std::string& after : ends) {
            const std::string wire = "x" + before + "." + after + "RSET\r\n.\r\n";
            DataDecoder decoder;
            std::string content;
            const std::size_t used = decoder.decode(wire, content);
            EXPECT_TRUE(decoder.complete());
            const bool proper = (before == "\r\n" || before == "\r\r\n") && after == "\r\n";
            EXPECT_EQ(used == wire.size(), !proper) << testing::PrintToString(wire);
            EXPECT_TRUE(proper || decoder.has_bare_cr() || decoder.has_bare_lf() ||
                        decoder.has_nul())
                << testing::PrintToString(wire);
        }
}

TEST(DataDecoder, WhatFollowsIsLeft) {
    DataDecoder decoder;
    std::string content;
    const std::string_view wire = "one\r\n.\r\nQUIT\r\n";
    EXPECT_EQ(decoder.decode(wire, content), 8u);
    EXPECT_EQ(content, "one\r\n");
    EXPECT_EQ(decoder.decode("QUIT\r\n", content), 0u) << "nothing is taken after the end";
    EXPECT_EQ(content, "one\r\n");
}

TEST(DataDecoder, LineLengths) {
    const auto decode = [](const std::string& wire) {
        DataDecoder decoder(DataDecoder::Options{.max_line = 2000});
        std::string content;
        decoder.decode(wire, content);
        return decoder;
    };
    const std::string end = "\r\n.\r\n";
    EXPECT_FALSE(decode(std::string(998, 'a') + end).line_over_standard());
    EXPECT_TRUE(decode(std::string(999, 'a') + end).line_over_standard());
    EXPECT_FALSE(decode('.' + std::string(998, 'a') + end).line_over_standard())
        << "a stuffed dot is not counted";
    EXPECT_FALSE(decode(std::string(1998, 'a') + end).line_too_long());
    EXPECT_TRUE(decode(std::string(1999, 'a') + end).line_too_long());
    EXPECT_TRUE(decode("ok\r\n" + std::string(1999, 'a') + "\r\nok" + end).line_too_long());
    EXPECT_TRUE(decode(std::string(2001, 'a')).line_too_long()) << "seen before the line ends";
    EXPECT_EQ(decode(".\r\n").longest_line(), 0u);
    EXPECT_EQ(decode("\r\n.\r\n").longest_line(), 2u);
}

TEST(DataDecoder, SizeLimitStopsTheSinkNotTheReading) {
    DataDecoder decoder(DataDecoder::Options{.max_size = 10});
    std::string content;
    const std::string chunk = "1234567\r\n"; // 9 octets
    EXPECT_EQ(decoder.decode(chunk, content), 9u);
    EXPECT_FALSE(decoder.too_big());
    for (int i = 0; i < 1000; ++i)
        EXPECT_EQ(decoder.decode(chunk, content), 9u);
    EXPECT_TRUE(decoder.too_big());
    EXPECT_EQ(content, chunk);
    EXPECT_EQ(decoder.size(), 9009u);
    EXPECT_EQ(decoder.decode(".\r\nQUIT", content), 3u);
    EXPECT_TRUE(decoder.complete());
}

TEST(DataDecoder, ExactlyTheSizeLimitIsAccepted) {
    DataDecoder decoder(DataDecoder::Options{.max_size = 9});
    std::string content;
    decoder.decode("1234567\r\n.\r\n", content);
    EXPECT_FALSE(decoder.too_big());
    EXPECT_EQ(content, "1234567\r\n");
}

TEST(DataDecoder, GivesLargePieces) {
    std::string wire;
    for (int i = 0; i < 1000; ++i)
        wire += "a line without a dot in front of it\r\n";
    wire += ".\r\n";
    DataDecoder decoder;
    int pieces = 0;
    std::string content;
    decoder.decode(wire, [&](std::string_view piece) {
        ++pieces;
        content += piece;
    });
    EXPECT_EQ(pieces, 1);
    EXPECT_EQ(content + ".\r\n", wire);
}

struct Chunked {
    std::string content;
    bool bare_cr = false;
    bool bare_lf = false;
    bool leading_dot = false;
    std::size_t longest_line = 0;
    std::uint64_t size = 0;

    bool operator==(const Chunked&) const = default;
};

Chunked pass_chunks(const std::vector<std::string_view>& chunks) {
    ChunkDecoder decoder;
    Chunked out;
    const auto sink = [&out](std::string_view piece) { out.content += piece; };
    for (std::string_view chunk : chunks)
        decoder.decode(chunk, sink);
    decoder.finish(sink);
    out.bare_cr = decoder.has_bare_cr();
    out.bare_lf = decoder.has_bare_lf();
    out.leading_dot = decoder.has_leading_dot();
    out.longest_line = decoder.longest_line();
    out.size = decoder.size();
    return out;
}

// Octet by octet.
Chunked chunk_reference(const std::string& octets) {
    Chunked out;
    out.size = octets.size();
    out.content = octets;
    if (!octets.empty() && !octets.ends_with("\r\n"))
        out.content += "\r\n";
    std::size_t line = 0;
    for (std::size_t i = 0; i < out.content.size(); ++i) {
        const bool after_cr = i > 0 && out.content[i - 1] == '\r';
        const bool starts_line = i == 0 || (i > 1 && out.content.substr(i - 2, 2) == "\r\n");
        out.leading_dot = out.leading_dot || (starts_line && out.content[i] == '.');
        out.bare_lf = out.bare_lf || (out.content[i] == '\n' && !after_cr);
        // The line end that is added ends no CR.
        out.bare_cr = out.bare_cr || (out.content[i] == '\r' && i < octets.size() &&
                                      (i + 1 == octets.size() || octets[i + 1] != '\n'));
        out.longest_line = std::max(out.longest_line, ++line);
        if (out.content[i] == '\n')
            line = 0;
    }
    return out;
}

TEST(ChunkDecoder, AllShortContentsHoweverCut) {
    static constexpr char octets[] = {'\r', '\n', '.', 'a'};
    for (std::size_t length = 0; length <= 7; ++length) {
        for (std::size_t number = 0; number < (std::size_t{1} << (2 * length)); ++number) {
            std::string content;
            for (std::size_t i = 0; i < length; ++i)
                content += octets[(number >> (2 * i)) & 3];
            const std::string_view view = content;
            const Chunked wanted = chunk_reference(content);
            for (std::size_t cut = 0; cut <= length; ++cut)
                ASSERT_EQ(pass_chunks({view.substr(0, cut), view.substr(cut)}), wanted)
                    << testing::PrintToString(content) << " cut at " << cut;
        }
    }
}

TEST(ChunkDecoder, KnowsWhatDataKnows) {
    ChunkDecoder decoder(ContentFacts::Options{.max_line = 10, .max_size = 20});
    std::string content;
    const auto sink = [&content](std::string_view piece) { content += piece; };
    decoder.decode("a\0b\xe9"s, sink);
    EXPECT_TRUE(decoder.has_nul());
    EXPECT_TRUE(decoder.has_eight_bit());
    EXPECT_FALSE(decoder.line_too_long());
    decoder.decode("1234567", sink);
    EXPECT_TRUE(decoder.line_too_long());
    EXPECT_FALSE(decoder.too_big());
    decoder.decode("0123456789", sink);
    EXPECT_TRUE(decoder.too_big());
    EXPECT_EQ(content.size(), 11u);
    EXPECT_EQ(decoder.size(), 21u);
}

// Well-formed lines, for an encoder that is given anything.
std::string canonical(std::string_view content) {
    std::string out;
    for (std::size_t i = 0; i < content.size(); ++i) {
        if (content[i] == '\r' || content[i] == '\n') {
            out += "\r\n";
            i += content.substr(i, 2) == "\r\n";
        } else {
            out += content[i];
        }
    }
    if (!out.empty() && !out.ends_with("\r\n"))
        out += "\r\n";
    return out;
}

std::string encode_chunks(const std::vector<std::string_view>& chunks) {
    DotStuffer stuffer;
    std::string out;
    for (std::string_view chunk : chunks)
        stuffer.encode(chunk, out);
    stuffer.finish(out);
    return out;
}

TEST(DotStuffer, Examples) {
    EXPECT_EQ(dot_stuff(""), ".\r\n");
    EXPECT_EQ(dot_stuff("\r\n"), "\r\n.\r\n");
    EXPECT_EQ(dot_stuff("a\r\n"), "a\r\n.\r\n");
    EXPECT_EQ(dot_stuff("a"), "a\r\n.\r\n");
    EXPECT_EQ(dot_stuff("."), "..\r\n.\r\n");
    EXPECT_EQ(dot_stuff(".\r\n"), "..\r\n.\r\n");
    EXPECT_EQ(dot_stuff("..\r\n.a\r\nb.\r\n"), "...\r\n..a\r\nb.\r\n.\r\n");
    EXPECT_EQ(dot_stuff("a\n.\nb\r.\rc"), "a\r\n..\r\nb\r\n..\r\nc\r\n.\r\n");
    EXPECT_EQ(dot_stuff("a\r\r\n"), "a\r\n\r\n.\r\n");
    EXPECT_EQ(dot_stuff("a\r"), "a\r\n.\r\n");
}

// Whatever goes in, what comes out is one message for a strict reader, and the same message.
TEST(DotStuffer, AllShortContentsHoweverCutReadBack) {
    static constexpr char octets[] = {'\r', '\n', '.', 'a'};
    for (std::size_t length = 0; length <= 7; ++length) {
        for (std::size_t number = 0; number < (std::size_t{1} << (2 * length)); ++number) {
            std::string content;
            for (std::size_t i = 0; i < length; ++i)
                content += octets[(number >> (2 * i)) & 3];
            const std::string_view view = content;
            const std::string wire = dot_stuff(content);
            for (std::size_t cut = 0; cut <= length; ++cut)
                ASSERT_EQ(encode_chunks({view.substr(0, cut), view.substr(cut)}), wire)
                    << testing::PrintToString(content) << " cut at " << cut;
            const Outcome back = decode_chunks({wire});
            ASSERT_TRUE(back.complete);
            ASSERT_EQ(back.used, wire.size()) << "the end of data is at the end only";
            ASSERT_FALSE(back.bare_cr || back.bare_lf) << testing::PrintToString(content);
            ASSERT_EQ(back.content, canonical(content)) << testing::PrintToString(content);
        }
    }
}

TEST(DotStuffer, IsReadyForTheNextMessage) {
    DotStuffer stuffer;
    std::string out;
    stuffer.encode("a\r", out);
    stuffer.finish(out);
    stuffer.encode(".b\r\n", out);
    stuffer.finish(out);
    EXPECT_EQ(out, "a\r\n.\r\n..b\r\n.\r\n");
}

} // namespace
} // namespace postern
