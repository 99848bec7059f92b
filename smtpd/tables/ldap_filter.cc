#include "smtpd/tables/ldap_filter.h"

namespace postern::tables {

std::string escape_filter_value(std::string_view value) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string text;
    for (const char c : value) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet >= 0x20 && octet < 0x7f &&
            std::string_view("*()\\").find(c) == std::string_view::npos) {
            text += c;
        } else {
            text += '\\';
            text += hex[octet >> 4];
            text += hex[octet & 15];
        }
    }
    return text;
}

std::string expand_filter(std::string_view filter, std::string_view key, std::string_view table) {
    std::string text;
    for (size_t i = 0; i < filter.size(); ++i) {
        if (filter[i] != '%' || i + 1 == filter.size()) {
            text += filter[i];
            continue;
        }
        const char what = filter[++i];
        text += what == '%' ? "%" : escape_filter_value(what == 'h' ? table : key);
    }
    return text;
}

} // namespace postern::tables
