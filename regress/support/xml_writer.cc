// See xml_writer.h.
#include "regress/support/xml_writer.h"

#include <cstdio>

namespace postern::test {

namespace {

std::string seconds_text(double seconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", seconds);
    return text;
}

// XML 1.0 has no place for control characters, and bytes above 127 might be no UTF-8.
bool is_representable(char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\t'; }

std::string attribute(const std::string& text) {
    std::string out;
    for (char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else
            out += is_representable(c) ? c : '?';
    }
    return out;
}

std::string character_data(const std::string& text) {
    std::string out = "<![CDATA[";
    for (char c : text) {
        if (c == '>' && out.ends_with("]]"))
            out += "]]><![CDATA[";
        out += is_representable(c) ? c : '?';
    }
    return out + "]]>";
}

std::string test_case(const TestReport& test) {
    std::string out = "    <testcase name=\"" + attribute(test.name) + "\" time=\"" +
                      seconds_text(test.seconds) + "\" >\n";
    if (test.outcome == Outcome::failed)
        out += "      <failure>" + character_data(failure_text(test)) + "</failure>\n";
    if (test.outcome == Outcome::skipped)
        out += "      <skipped/>\n";
    return out + "    </testcase>\n";
}

} // namespace

std::string xml_document(const GroupReport& group) {
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<testsuites>\n";
    out += "  <testsuite name=\"" + attribute(group.name) + "\" time=\"" +
           seconds_text(group.seconds) + "\" tests=\"" + std::to_string(group.tests.size()) +
           "\" failures=\"" + std::to_string(group.count(Outcome::failed)) +
           "\" errors=\"0\" skipped=\"" + std::to_string(group.count(Outcome::skipped)) + "\" >\n";
    for (const auto& test : group.tests)
        out += test_case(test);
    return out + "  </testsuite>\n</testsuites>\n";
}

void XmlWriter::group_ends(const GroupReport& group) { deliver_(group.name, xml_document(group)); }

} // namespace postern::test
