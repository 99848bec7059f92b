// The wording that several output formats share.
#include "regress/support/test_report.h"

#include <sstream>

namespace postern::test {

std::string failure_place(const Failure& failure) {
    if (failure.file.empty())
        return "error: Failure!";
    return failure.file + ":" + std::to_string(failure.line) + ": error: Failure!";
}

std::string failure_text(const TestReport& test) {
    std::string text;
    for (const auto& failure : test.failures) {
        if (!text.empty())
            text += '\n';
        text += failure.message + '\n' + failure_place(failure);
    }
    return text;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

} // namespace postern::test
