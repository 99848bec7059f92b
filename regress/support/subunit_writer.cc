// See subunit_writer.h.
#include "regress/support/subunit_writer.h"

namespace postern::test {

void SubunitWriter::test_begins(const std::string& name) { out_ << "test: " << name << std::endl; }

void SubunitWriter::test_ends(const TestReport& test) {
    switch (test.outcome) {
    case Outcome::passed:
        out_ << "success: " << test.name << '\n';
        break;
    case Outcome::failed:
        out_ << "failure: " << test.name << " [\n" << failure_text(test) << "\n]\n";
        break;
    case Outcome::skipped:
        out_ << "skip: " << test.name << '\n';
        break;
    }
    out_.flush();
}

} // namespace postern::test
