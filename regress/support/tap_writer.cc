// See tap_writer.h.
#include "regress/support/tap_writer.h"

namespace postern::test {

void TapWriter::group_begins(size_t tests) {
    number_ = 0;
    out_ << "1.." << tests << std::endl;
}

void TapWriter::test_ends(const TestReport& test) {
    ++number_;
    switch (test.outcome) {
    case Outcome::passed:
        out_ << "ok " << number_ << " - " << test.name << '\n';
        break;
    case Outcome::failed:
        out_ << "not ok " << number_ << " - " << test.name << '\n';
        for (const auto& line : lines_of(failure_text(test)))
            out_ << "# " << line << '\n';
        break;
    case Outcome::skipped:
        out_ << "not ok " << number_ << " # SKIP " << test.name << '\n';
        break;
    }
    out_.flush();
}

void TapWriter::group_ends(const GroupReport& group) {
    out_ << (group.count(Outcome::failed) == 0 ? "# ok - " : "# not ok - ") << group.name
         << std::endl;
}

} // namespace postern::test
