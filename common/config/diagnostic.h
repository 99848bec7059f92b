// What is wrong with a configuration, and where.
#pragma once

#include <cstdint>
#include <string>

#include "common/smtp/text.h"

namespace postern {

struct Diagnostic {
    std::string file;
    uint32_t line = 0;   // from 1; 0: the file as a whole
    uint32_t column = 0; // from 1, in bytes
    std::string message; // printable: control characters are escaped

    // For a terminal or a log: "smtpd.conf:12:9: message", "smtpd.conf: message" for the file as a
    // whole.
    std::string to_string() const {
        std::string text = sanitize(file);
        if (line != 0)
            text += ":" + std::to_string(line) + ":" + std::to_string(column);
        return text + ": " + message;
    }

    bool operator==(const Diagnostic&) const = default;
};

} // namespace postern
