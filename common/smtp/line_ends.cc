#include "common/smtp/line_ends.h"

namespace postern {

bool LineEndNormaliser::next(std::string_view& input, std::string_view& piece) {
    if (owes_line_end_) {
        owes_line_end_ = false;
        piece = "\r\n";
        return true;
    }
    if (input.empty())
        return false;
    if (after_cr_ && input.front() == '\n')
        input.remove_prefix(1);
    after_cr_ = false;
    size_t at = 0; // what is before it passes on as it is
    for (;; at += 2) {
        at = input.find_first_of("\r\n", at);
        if (at == input.npos || input.substr(at, 2) != "\r\n")
            break;
    }
    piece = input.substr(0, at);
    input.remove_prefix(piece.size());
    if (!input.empty()) {
        after_cr_ = input.front() == '\r';
        input.remove_prefix(1);
        owes_line_end_ = true;
    }
    return !piece.empty() || next(input, piece);
}

} // namespace postern
