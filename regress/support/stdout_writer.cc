// See stdout_writer.h. The words and the blanks are those of CMocka 1.1.5.
#include "regress/support/stdout_writer.h"

namespace postern::test {

namespace {
void list(std::ostream& out, const GroupReport& group, Outcome outcome, const char* mark) {
    out << mark << group.count(outcome) << " test(s), listed below:\n";
    for (const auto& test : group.tests)
        if (test.outcome == outcome)
            out << mark << test.name << '\n';
}
} // namespace

void StdoutWriter::group_begins(size_t tests) {
    progress_ << "[==========] Running " << tests << " test(s)." << std::endl;
}

void StdoutWriter::test_begins(const std::string& name) {
    progress_ << "[ RUN      ] " << name << std::endl;
}

void StdoutWriter::test_ends(const TestReport& test) {
    for (const auto& failure : test.failures)
        details_ << "[  ERROR   ] --- " << failure.message << "\n[   LINE   ] --- "
                 << failure_place(failure) << std::endl;
    switch (test.outcome) {
    case Outcome::passed:
        progress_ << "[       OK ] ";
        break;
    case Outcome::failed:
        progress_ << "[  FAILED  ] ";
        break;
    case Outcome::skipped:
        progress_ << "[  SKIPPED ] ";
        break;
    }
    progress_ << test.name << std::endl;
}

void StdoutWriter::group_ends(const GroupReport& group) {
    progress_ << "[==========] " << group.tests.size() << " test(s) run." << std::endl;
    details_ << "[  PASSED  ] " << group.count(Outcome::passed) << " test(s).\n";
    if (size_t skipped = group.count(Outcome::skipped); skipped > 0) {
        list(details_, group, Outcome::skipped, "[  SKIPPED ] ");
        details_ << "\n " << skipped << " SKIPPED TEST(S)\n";
    }
    if (size_t failed = group.count(Outcome::failed); failed > 0) {
        list(details_, group, Outcome::failed, "[  FAILED  ] ");
        details_ << "\n " << failed << " FAILED TEST(S)\n";
    }
    details_.flush();
}

} // namespace postern::test
