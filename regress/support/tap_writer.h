// The Test Anything Protocol, as CMocka 1.1.5 writes it: a skipped test is "not ok N # SKIP name".
#pragma once

#include <ostream>

#include "regress/support/test_report.h"

namespace postern::test {

class TapWriter : public ReportWriter {
  public:
    explicit TapWriter(std::ostream& out) : out_(out) {}

    void group_begins(size_t tests) override;
    void test_begins(const std::string&) override {}
    void test_ends(const TestReport& test) override;
    void group_ends(const GroupReport& group) override;

  private:
    std::ostream& out_;
    size_t number_ = 0;
};

} // namespace postern::test
