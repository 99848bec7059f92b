#include "deliver/local/helper/mbox_text.h"

#include <ctime>

namespace postern {

namespace {

constexpr std::string_view from = "From ";

} // namespace

std::string mbox_from_line(std::string_view reverse_path, int64_t seconds) {
    const auto time = static_cast<time_t>(seconds);
    struct tm utc;
    char date[32]; // "Thu Nov 26 06:05:55 2026\n", of years of four digits
    if (!gmtime_r(&time, &utc) || utc.tm_year > 8099 || !asctime_r(&utc, date))
        return mbox_from_line(reverse_path, 0);
    std::string line = "From ";
    for (char c : reverse_path)
        line += static_cast<unsigned char>(c) <= ' ' || c == 0x7f ? '-' : c;
    if (reverse_path.empty())
        line += "MAILER-DAEMON";
    return line + " " + date;
}

void MboxQuoting::convert(std::string_view piece, std::string& out) {
    while (!piece.empty()) {
        if (in_line_) {
            const size_t end = piece.find('\n');
            const size_t size = end == piece.npos ? piece.size() : end + 1;
            out += piece.substr(0, size);
            piece.remove_prefix(size);
            in_line_ = end == piece.npos;
            continue;
        }
        const char c = piece.front();
        if (c == '>' && held_ == 0) {
            out += c;
            piece.remove_prefix(1);
        } else if (c != from[held_]) {
            finish(out);
            in_line_ = true; // from this octet on, which may end it
        } else {
            piece.remove_prefix(1);
            if (++held_ < from.size())
                continue;
            out += '>'; // behind the others is as good as before them
            finish(out);
            in_line_ = true;
        }
    }
}

void MboxQuoting::finish(std::string& out) {
    out += from.substr(0, held_);
    held_ = 0;
    in_line_ = false;
}

std::string_view mbox_separator(std::string_view tail) {
    if (tail.empty() || tail == "\n\n")
        return "";
    return tail.back() == '\n' ? "\n" : "\n\n";
}

} // namespace postern
