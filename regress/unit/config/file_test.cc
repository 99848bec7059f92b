// Configurations in real files.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <stdlib.h>
#include <sys/stat.h>

#include "common/config/parse.h"
#include "regress/unit/config/describe.h"

namespace postern::test {
namespace {

class ConfigurationFile : public testing::Test {
  protected:
    ConfigurationFile() {
        std::string pattern = testing::TempDir() + "/postern-config-XXXXXX";
        directory_ = ::mkdtemp(pattern.data());
    }
    ~ConfigurationFile() override { std::filesystem::remove_all(directory_); }

    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path(name), std::ios::binary) << text;
        return path(name);
    }
    static std::string error_of(const std::string& path) {
        const ParsedConfiguration parsed = parse_configuration_file(path);
        EXPECT_EQ(parsed.errors.size(), 1u);
        return parsed.errors.empty() ? "" : parsed.errors[0].to_string();
    }

    std::string directory_;
};

TEST_F(ConfigurationFile, IsReadWithItsIncludesAndTables) {
    write("domains", "example.org\nexample.net\n");
    write("more.conf", "table d file:" + path("domains") + "\n");
    const std::string main =
        write("smtpd.conf", "include \"more.conf\"\nmatch from any for domain <d> reject\n");
    const ParsedConfiguration parsed = parse_configuration_file(main);
    ASSERT_TRUE(parsed.configuration) << parsed.errors[0].to_string();
    EXPECT_EQ(describe(*parsed.configuration),
              "table d list [example.org] [example.net]\n2: from any, for domain <d>, reject\n");
}

TEST_F(ConfigurationFile, ErrorsNameTheFileThatTheyAreIn) {
    write("more.conf", "\nspool x\n");
    EXPECT_EQ(error_of(write("smtpd.conf", "include \"more.conf\"\nmatch reject")),
              path("more.conf") + ":2:7: found \"x\", expected an absolute path");
    EXPECT_EQ(error_of(write("smtpd.conf", "include \"none\"\nmatch reject")),
              path("smtpd.conf") + ":1:9: cannot include: " + path("none") +
                  ": No such file or directory");
    EXPECT_EQ(error_of(write("smtpd.conf", "include \"smtpd.conf\"\nmatch reject")),
              path("smtpd.conf") + ":1:9: cannot include: \"" + path("smtpd.conf") +
                  "\" includes itself");
}

TEST_F(ConfigurationFile, MustBeARegularFile) {
    EXPECT_EQ(error_of(path("none")), path("none") + ": No such file or directory");
    EXPECT_EQ(error_of(directory_), directory_ + ": not a regular file");
    ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
    EXPECT_EQ(error_of(path("fifo")), path("fifo") + ": not a regular file"); // and does not wait
    EXPECT_EQ(error_of("/dev/zero"), "/dev/zero: not a regular file");
}

TEST_F(ConfigurationFile, IsOfBoundedSize) {
    const std::string large = write("large", "");
    std::filesystem::resize_file(large, configuration_file_limit + 1);
    EXPECT_EQ(error_of(large), large + ": larger than 33554432 bytes");
    std::filesystem::resize_file(large, configuration_file_limit);
    EXPECT_TRUE(read_configuration_file(large).ok());
}

} // namespace
} // namespace postern::test
