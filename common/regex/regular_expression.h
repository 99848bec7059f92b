// A regular expression of a table: RE2's, whose time is linear in the text and whose memory is
// bounded. It knows neither back-references nor look-around. Those of a table are held against a
// text one after another, and share what memory there is for them.
#pragma once

#include <memory>
#include <string_view>

#include "common/base/result.h"

namespace re2 {
class RE2;
}

namespace postern {

class RegularExpression {
  public:
    static constexpr size_t most_of_table = 2000;
    static constexpr int64_t table_memory = 128 << 20; // bytes
    static constexpr int64_t memory_limit = 1 << 20;   // of one expression

    // One of `count` in a table, at most most_of_table. The error says what is wrong with `text`, or
    // that this build has no regular expressions.
    static Result<RegularExpression> compile(std::string_view text, size_t count = 1);

    // Whether it has a match anywhere in `text`, whose case does not count.
    bool matches(std::string_view text) const;

  private:
    explicit RegularExpression(std::shared_ptr<const re2::RE2> compiled)
        : compiled_(std::move(compiled)) {}
    std::shared_ptr<const re2::RE2> compiled_;
};

} // namespace postern
