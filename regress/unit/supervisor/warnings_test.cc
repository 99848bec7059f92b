#include "smtpd/supervisor/warnings.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

namespace postern {
namespace {

TEST(Warnings, AServiceOfPamWithoutAFile) {
    std::string directory = std::filesystem::temp_directory_path() / "pam.d.XXXXXX";
    mkdtemp(directory.data());
    Configuration configuration;
    configuration.listens.emplace_back().auth = {AuthMode::required, "pam:mail", "", false};
    const auto mentions_pam = [&] {
        for (const std::string& warning : warnings_of(configuration, "mx.example", {directory}))
            if (warning == "there is no " + directory + "/mail: PAM goes by its service \"other\"")
                return true;
        return false;
    };
    EXPECT_TRUE(mentions_pam());
    std::ofstream(directory + "/mail") << "auth required pam_deny.so\n";
    EXPECT_FALSE(mentions_pam());
    std::filesystem::remove_all(directory);
}

} // namespace
} // namespace postern
