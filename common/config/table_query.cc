#include "common/config/table_query.h"

#include <algorithm>
#include <set>
#include <string>

#include "common/smtp/text.h"

namespace postern::config {

namespace {

bool is_word(char c) { return is_ascii_letter(c) || is_ascii_digit(c) || c == '_'; }

// The parameters of a statement, as far as it has to be understood to find them.
class Statement {
  public:
    Statement(std::string_view text, bool is_postgresql)
        : text_(text), is_postgresql_(is_postgresql) {
        while (at_ < text_.size())
            if (!skip_quoted() && !skip_comment())
                take();
    }
    bool takes_key() const {
        if (is_postgresql_)
            return names_ == std::set<std::string>{"$1"};
        // "?" is the number behind the greatest before it.
        return unnamed_ == 0
                   ? names_.size() == 1 && (names_.contains("?1") || names_.begin()->front() != '?')
                   : unnamed_ == 1 && (names_.empty() || names_ == std::set<std::string>{"?1"});
    }

  private:
    char here(size_t offset = 0) const {
        return at_ + offset < text_.size() ? text_[at_ + offset] : '\0';
    }
    void skip_to(std::string_view end, size_t from) {
        const size_t found = text_.find(end, std::min(from, text_.size()));
        at_ = found == text_.npos ? text_.size() : found + end.size();
    }
    bool skip_quoted();
    bool skip_comment();
    void take();

    std::string_view text_;
    bool is_postgresql_;
    size_t at_ = 0;
    size_t unnamed_ = 0;
    std::set<std::string> names_; // with what they begin with
};

// A quote that is doubled begins another text at once, which comes to the same.
bool Statement::skip_quoted() {
    const char quote = here();
    const bool sqlite_only = quote == '`' || quote == '[';
    if (quote == '$' && is_postgresql_ && (at_ == 0 || !is_word(text_[at_ - 1]))) {
        size_t end = at_ + 1; // $tag$ text $tag$
        while (end < text_.size() && is_word(text_[end]))
            ++end;
        if (end == text_.size() || text_[end] != '$' || is_ascii_digit(here(1)))
            return false;
        skip_to(text_.substr(at_, end + 1 - at_), end + 1);
        return true;
    }
    if (quote != '\'' && quote != '"' && (!sqlite_only || is_postgresql_))
        return false;
    skip_to(quote == '[' ? "]" : std::string_view(&quote, 1), at_ + 1);
    return true;
}

bool Statement::skip_comment() {
    if (here() == '-' && here(1) == '-')
        skip_to("\n", at_);
    else if (here() == '/' && here(1) == '*')
        skip_to("*/", at_ + 2);
    else
        return false;
    return true;
}

void Statement::take() {
    const char first = here();
    const bool in_word = at_ > 0 && is_word(text_[at_ - 1]);
    const size_t begin = at_++;
    if (in_word ||
        std::string_view(is_postgresql_ ? "$" : "?:@$").find(first) == std::string_view::npos)
        return;
    while (is_word(here()))
        ++at_;
    if (at_ - begin > 1)
        names_.emplace(text_.substr(begin, at_ - begin));
    else if (first == '?')
        ++unnamed_;
}

// Of a filter every "%%" is a '%' (RFC 4515 has no meaning for it).
bool has_place(std::string_view text, std::string_view letters) {
    for (size_t at = text.find('%'); at != text.npos && at + 1 < text.size();
         at = text.find('%', at + 2))
        if (letters.find(text[at + 1]) != letters.npos)
            return true;
    return false;
}

} // namespace

bool takes_key(TableBackend backend, std::string_view query) {
    switch (backend) {
    case TableBackend::sqlite:
        return Statement(query, false).takes_key();
    case TableBackend::postgresql:
        return Statement(query, true).takes_key();
    case TableBackend::redis:
        return query.find("%s") != query.npos;
    case TableBackend::ldap:
        return has_place(query, "us");
    case TableBackend::db:
    case TableBackend::socketmap:
        break;
    }
    return true;
}

} // namespace postern::config
