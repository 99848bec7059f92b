// GoogleTest's events, turned into what a ReportWriter takes.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "regress/support/test_report.h"

namespace postern::test {

class ReportListener : public testing::EmptyTestEventListener {
  public:
    ReportListener(std::string group, std::unique_ptr<ReportWriter> writer)
        : writer_(std::move(writer)) {
        group_.name = std::move(group);
    }

  private:
    void OnTestIterationStart(const testing::UnitTest& unit_test, int iteration) override;
    void OnTestStart(const testing::TestInfo& info) override;
    void OnTestPartResult(const testing::TestPartResult& part) override;
    void OnTestEnd(const testing::TestInfo& info) override;
    void OnTestIterationEnd(const testing::UnitTest& unit_test, int iteration) override;

    std::unique_ptr<ReportWriter> writer_;
    GroupReport group_;
    TestReport current_;
    bool in_test_ = false;
};

} // namespace postern::test
