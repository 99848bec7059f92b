// The main function of all GoogleTest programs. The exit status is the number of failed tests (at
// most 255), so that a harness made for CMocka understands it; for its output see cmocka_output.h.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "regress/support/cmocka_output.h"
#include "regress/support/report_listener.h"

namespace {

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

void choose_output(const char* program) {
    auto format = postern::test::format_of(environment("CMOCKA_MESSAGE_OUTPUT"));
    if (!format)
        return;
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new postern::test::ReportListener(
        std::filesystem::path(program).filename(),
        postern::test::make_writer(*format, environment("CMOCKA_XML_FILE"))));
}

} // namespace

int main(int argc, char** argv) {
    testing::InitGoogleMock(&argc, argv);
    choose_output(argv[0]);
    bool all_well = RUN_ALL_TESTS() == 0;
    int failed = testing::UnitTest::GetInstance()->failed_test_count();
    return all_well ? 0 : std::clamp(failed, 1, 255);
}
