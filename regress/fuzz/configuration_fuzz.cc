// smtpd.conf: whatever it says, either there is a configuration, or there are errors with their
// places.
#include <algorithm>

#include "common/config/parse.h"
#include "regress/fuzz/expect.h"

using namespace postern;
using fuzz::expect;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string text(fuzz::text_of(data, size));
    const ParsedConfiguration parsed = parse_configuration(
        "fuzz.conf", text, [](const std::string&) { return Error{"there are no files"}; });
    expect(parsed.configuration.has_value() == parsed.errors.empty(), "it is good, or it is not");
    const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    for (const Diagnostic& error : parsed.errors) {
        expect(error.line <= lines, "an error is at a line that there is");
        const std::string message = error.to_string();
        expect(message.find('\n') == std::string::npos, "its message is a line");
        for (char c : message)
            expect(static_cast<unsigned char>(c) >= 0x20, "that a terminal can show");
    }
    if (parsed.configuration)
        for (const MatchRule& rule : parsed.configuration->rules)
            for (const Criterion& criterion : rule.criteria)
                expect(criterion.table.empty() ||
                           parsed.configuration->tables.contains(criterion.table),
                       "rules refer to what there is");
    return 0;
}
