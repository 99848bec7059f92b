#include "common/regex/regular_expression.h"

#include <algorithm>

#include "table_features.h"
#if POSTERN_WITH_REGEX
#include <re2/re2.h>
#endif

namespace postern {

#if POSTERN_WITH_REGEX

Result<RegularExpression> RegularExpression::compile(std::string_view text, size_t count) {
    re2::RE2::Options options;
    options.set_case_sensitive(false);
    options.set_log_errors(false);
    options.set_never_capture(true);
    const auto share =
        table_memory / static_cast<int64_t>(std::clamp(count, size_t(1), most_of_table));
    options.set_max_mem(std::min(share, memory_limit));
    auto compiled =
        std::make_shared<const re2::RE2>(re2::StringPiece(text.data(), text.size()), options);
    if (!compiled->ok())
        return Error{compiled->error()};
    return RegularExpression(std::move(compiled));
}

bool RegularExpression::matches(std::string_view text) const {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *compiled_);
}

#else

Result<RegularExpression> RegularExpression::compile(std::string_view, size_t) {
    return Error{"this build has no regular expressions"};
}

bool RegularExpression::matches(std::string_view) const { return false; }

#endif

} // namespace postern
