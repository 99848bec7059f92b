// CMocka's default format, "STDOUT": progress on one stream, details and summary on another
// (standard output and standard error in real life).
#pragma once

#include <ostream>

#include "regress/support/test_report.h"

namespace postern::test {

class StdoutWriter : public ReportWriter {
  public:
    StdoutWriter(std::ostream& progress, std::ostream& details)
        : progress_(progress), details_(details) {}

    void group_begins(size_t tests) override;
    void test_begins(const std::string& name) override;
    void test_ends(const TestReport& test) override;
    void group_ends(const GroupReport& group) override;

  private:
    std::ostream& progress_;
    std::ostream& details_;
};

} // namespace postern::test
