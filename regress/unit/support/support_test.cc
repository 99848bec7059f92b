// The shared test main, seen as a harness made for CMocka sees it: by running a program that has
// passing, failing and skipped tests. The expected texts have CMocka 1.1.5's form.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <sstream>

#include "regress/support/cmocka_output.h"
#include "regress/support/xml_writer.h"

namespace postern::test {
namespace {

struct ProgramRun {
    std::string out;
    std::string err;
    int status = -1;
};

std::string content_of(const std::filesystem::path& path) {
    std::ifstream in(path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

class SharedMain : public testing::Test {
  protected:
    SharedMain() {
        std::string pattern = std::filesystem::temp_directory_path() / "postern-support-XXXXXX";
        directory_ = mkdtemp(pattern.data());
    }
    ~SharedMain() override { std::filesystem::remove_all(directory_); }

    // Runs the sample with these settings in front of it, as the shell writes them.
    ProgramRun run(const std::string& environment, const std::string& arguments = "") {
        std::string command = "unset CMOCKA_MESSAGE_OUTPUT CMOCKA_XML_FILE; " + environment + " " +
                              SAMPLE_PROGRAM + " " + arguments + " >" + path("out") + " 2>" +
                              path("err");
        int status = std::system(command.c_str());
        return {without_times(content_of(path("out"))), content_of(path("err")),
                WIFEXITED(status) ? WEXITSTATUS(status) : -1};
    }

    std::string path(const std::string& name) { return directory_ / name; }

    static std::string without_times(const std::string& text) {
        return std::regex_replace(text, std::regex("time=\"[0-9]+\\.[0-9]{3}\""), "time=\"T\"");
    }

    std::filesystem::path directory_;
};

TEST_F(SharedMain, WritesTap) {
    auto run = this->run("CMOCKA_MESSAGE_OUTPUT=TAP");
    auto lines = lines_of(run.out);
    ASSERT_GE(lines.size(), 6u);
    EXPECT_EQ(lines[0], "1..4");
    EXPECT_EQ(lines[1], "ok 1 - Sample.Passes");
    EXPECT_EQ(lines[2], "not ok 2 - Sample.Fails");
    EXPECT_EQ(lines[3], "# Expected equality of these values:");
    EXPECT_NE(run.out.find("\nnot ok 3 - Sample.FailsTwice\n# Failed\n# first\n"),
              std::string::npos);
    EXPECT_NE(run.out.find("\nnot ok 4 # SKIP Sample.IsSkipped\n"), std::string::npos);
    EXPECT_EQ(lines.back(), "# not ok - support_sample");
    EXPECT_EQ(run.status, 2);
}

TEST_F(SharedMain, TakesTheFormatInAnyCase) {
    EXPECT_EQ(run("CMOCKA_MESSAGE_OUTPUT=tAp", "--gtest_filter=*Passes").out,
              "1..1\nok 1 - Sample.Passes\n# ok - support_sample\n");
}

TEST_F(SharedMain, WritesSubunit) {
    auto run = this->run("CMOCKA_MESSAGE_OUTPUT=subunit", "--gtest_filter=-*.Fails");
    EXPECT_TRUE(
        std::regex_match(run.out, std::regex("test: Sample.Passes\n"
                                             "success: Sample.Passes\n"
                                             "test: Sample.FailsTwice\n"
                                             "failure: Sample.FailsTwice \\[\n"
                                             "Failed\nfirst\n\\S*:[0-9]+: error: Failure!\n"
                                             "Failed\nsecond\n\\S*:[0-9]+: error: Failure!\n"
                                             "\\]\n"
                                             "test: Sample.IsSkipped\n"
                                             "skip: Sample.IsSkipped\n")))
        << run.out;
    EXPECT_EQ(run.status, 1);
}

TEST_F(SharedMain, WritesProgressAndDetailsApart) {
    auto run = this->run("CMOCKA_MESSAGE_OUTPUT=STDOUT");
    EXPECT_EQ(run.out, "[==========] Running 4 test(s).\n"
                       "[ RUN      ] Sample.Passes\n[       OK ] Sample.Passes\n"
                       "[ RUN      ] Sample.Fails\n[  FAILED  ] Sample.Fails\n"
                       "[ RUN      ] Sample.FailsTwice\n[  FAILED  ] Sample.FailsTwice\n"
                       "[ RUN      ] Sample.IsSkipped\n[  SKIPPED ] Sample.IsSkipped\n"
                       "[==========] 4 test(s) run.\n");
    EXPECT_NE(run.err.find("[  ERROR   ] --- Failed\nsecond\n[   LINE   ] --- "), std::string::npos)
        << run.err;
    EXPECT_TRUE(run.err.ends_with("[  PASSED  ] 1 test(s).\n"
                                  "[  SKIPPED ] 1 test(s), listed below:\n"
                                  "[  SKIPPED ] Sample.IsSkipped\n\n 1 SKIPPED TEST(S)\n"
                                  "[  FAILED  ] 2 test(s), listed below:\n"
                                  "[  FAILED  ] Sample.Fails\n[  FAILED  ] Sample.FailsTwice\n"
                                  "\n 2 FAILED TEST(S)\n"))
        << run.err;
    EXPECT_EQ(run.status, 2);
}

constexpr const char* passing_document =
    "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<testsuites>\n"
    "  <testsuite name=\"support_sample\" time=\"T\" tests=\"2\" failures=\"0\" errors=\"0\" "
    "skipped=\"1\" >\n"
    "    <testcase name=\"Sample.Passes\" time=\"T\" >\n    </testcase>\n"
    "    <testcase name=\"Sample.IsSkipped\" time=\"T\" >\n      <skipped/>\n    </testcase>\n"
    "  </testsuite>\n</testsuites>\n";

TEST_F(SharedMain, WritesXml) {
    EXPECT_EQ(run("CMOCKA_MESSAGE_OUTPUT=XML", "--gtest_filter=*Passes:*Skipped").out,
              passing_document);
}

TEST_F(SharedMain, WritesXmlToAFileNamedAfterTheGroup) {
    auto run = this->run("CMOCKA_MESSAGE_OUTPUT=XML CMOCKA_XML_FILE=" + path("%g-results.xml"),
                         "--gtest_filter=*Passes:*Skipped");
    EXPECT_EQ(run.out, "");
    EXPECT_EQ(without_times(content_of(path("support_sample-results.xml"))), passing_document);
}

TEST_F(SharedMain, LeavesAnExistingXmlFileAsItIs) {
    std::ofstream(path("there.xml")) << "precious";
    auto run = this->run("CMOCKA_MESSAGE_OUTPUT=XML CMOCKA_XML_FILE=" + path("there.xml"),
                         "--gtest_filter=*Passes:*Skipped");
    EXPECT_EQ(content_of(path("there.xml")), "precious");
    EXPECT_EQ(run.out, passing_document);
}

TEST_F(SharedMain, IsGoogleTestsOwnWithoutTheVariables) {
    for (const char* environment : {"", "CMOCKA_MESSAGE_OUTPUT=none-such"}) {
        auto run = this->run(environment);
        EXPECT_NE(run.out.find("[==========] Running 4 tests from 1 test suite."),
                  std::string::npos);
        EXPECT_EQ(run.status, 2);
    }
}

TEST(XmlDocument, IsWellFormedWhateverATestSays) {
    GroupReport group{"g\"&<>", {{"t\xff", Outcome::failed, {{"a]]>b\x01", "f.cc", 7}}, 0.5}}, 1};
    EXPECT_EQ(xml_document(group),
              "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<testsuites>\n"
              "  <testsuite name=\"g&quot;&amp;&lt;&gt;\" time=\"1.000\" tests=\"1\" "
              "failures=\"1\" errors=\"0\" skipped=\"0\" >\n"
              "    <testcase name=\"t?\" time=\"0.500\" >\n"
              "      <failure><![CDATA[a]]]]><![CDATA[>b?\nf.cc:7: error: Failure!]]></failure>\n"
              "    </testcase>\n  </testsuite>\n</testsuites>\n");
}

TEST(XmlPath, ReplacesTheGroupWhereverItIsNamed) {
    EXPECT_EQ(xml_path("/a/%g/%g.xml", "x%g"), "/a/x%g/x%g.xml");
    EXPECT_EQ(xml_path("plain.xml", "g"), "plain.xml");
}

} // namespace
} // namespace postern::test
