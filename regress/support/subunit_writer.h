// The Subunit protocol, version 1, as CMocka 1.1.5 writes it.
#pragma once

#include <ostream>

#include "regress/support/test_report.h"

namespace postern::test {

class SubunitWriter : public ReportWriter {
  public:
    explicit SubunitWriter(std::ostream& out) : out_(out) {}

    void group_begins(size_t) override {}
    void test_begins(const std::string& name) override;
    void test_ends(const TestReport& test) override;
    void group_ends(const GroupReport&) override {}

  private:
    std::ostream& out_;
};

} // namespace postern::test
