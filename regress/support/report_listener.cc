// See report_listener.h.
#include "regress/support/report_listener.h"

#include <iostream>

namespace postern::test {

void ReportListener::OnTestIterationStart(const testing::UnitTest& unit_test, int) {
    group_.tests.clear();
    writer_->group_begins(static_cast<size_t>(unit_test.test_to_run_count()));
}

void ReportListener::OnTestStart(const testing::TestInfo& info) {
    current_ = TestReport();
    current_.name = std::string(info.test_suite_name()) + "." + info.name();
    in_test_ = true;
    writer_->test_begins(current_.name);
}

void ReportListener::OnTestPartResult(const testing::TestPartResult& part) {
    if (!part.failed())
        return;
    Failure failure;
    failure.message = part.message();
    if (part.file_name() != nullptr)
        failure.file = part.file_name();
    failure.line = part.line_number();
    if (in_test_)
        current_.failures.push_back(std::move(failure));
    else // in the set-up of a suite or of the program: it belongs to no test
        std::cerr << failure.message << '\n' << failure_place(failure) << std::endl;
}

void ReportListener::OnTestEnd(const testing::TestInfo& info) {
    const auto& result = *info.result();
    if (result.Failed())
        current_.outcome = Outcome::failed;
    else if (result.Skipped())
        current_.outcome = Outcome::skipped;
    current_.seconds = static_cast<double>(result.elapsed_time()) / 1000;
    in_test_ = false;
    group_.tests.push_back(current_);
    writer_->test_ends(current_);
}

void ReportListener::OnTestIterationEnd(const testing::UnitTest& unit_test, int) {
    group_.seconds = static_cast<double>(unit_test.elapsed_time()) / 1000;
    writer_->group_ends(group_);
}

} // namespace postern::test
