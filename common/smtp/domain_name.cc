#include "common/smtp/domain_name.h"

#include "common/smtp/limits.h"
#include "common/smtp/text.h"

namespace postern {

bool is_domain(std::string_view text, Underscore underscore) {
    if (text.empty() || text.size() > limits::domain)
        return false;
    while (true) {
        const std::size_t dot = text.find('.');
        const std::string_view label = text.substr(0, dot);
        if (label.empty() || label.size() > limits::domain_label || label.front() == '-' ||
            label.back() == '-')
            return false;
        for (char c : label)
            if (!is_ascii_letter(c) && !is_ascii_digit(c) && c != '-' &&
                !(c == '_' && underscore == Underscore::accepted))
                return false;
        if (dot == std::string_view::npos)
            return true;
        text.remove_prefix(dot + 1);
    }
}

} // namespace postern
