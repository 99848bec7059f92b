// What a run of tests has to tell, free of GoogleTest: the writers of the output formats take this.
// A program is one group of tests, as CMocka calls it, named like the program.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

namespace postern::test {

enum class Outcome { passed, failed, skipped };

struct Failure {
    std::string message; // may have several lines
    std::string file;    // empty if unknown
    int line = 0;
};

struct TestReport {
    std::string name; // "Suite.Test"
    Outcome outcome = Outcome::passed;
    std::vector<Failure> failures;
    double seconds = 0;
};

struct GroupReport {
    std::string name;
    std::vector<TestReport> tests; // in the order in which they ran
    double seconds = 0;

    size_t count(Outcome outcome) const {
        return static_cast<size_t>(std::count_if(
            tests.begin(), tests.end(), [&](const auto& test) { return test.outcome == outcome; }));
    }
};

// All failures as CMocka words them: the message, then "file:line: error: Failure!".
std::string failure_text(const TestReport& test);

// "file:line: error: Failure!", the second half of that.
std::string failure_place(const Failure& failure);

// The lines of a text, without their ends. A final line end opens no further line.
std::vector<std::string> lines_of(const std::string& text);

// One output format. The calls come in the order of the declarations below, once for each test.
class ReportWriter {
  public:
    virtual ~ReportWriter() = default;
    virtual void group_begins(size_t tests) = 0;
    virtual void test_begins(const std::string& name) = 0;
    virtual void test_ends(const TestReport& test) = 0;
    virtual void group_ends(const GroupReport& group) = 0;
};

} // namespace postern::test
