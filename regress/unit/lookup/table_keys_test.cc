#include "smtpd/lookup/table_keys.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using Keys = std::vector<std::string>;

TEST(TableKeysTest, OfDomains) {
    const std::pair<std::string, Keys> rows[] = {
        {"", {}},
        {"localhost", {"localhost"}},
        {"example.org", {"example.org", "*.org"}},
        {"mail.example.org", {"mail.example.org", "*.example.org", "*.org"}},
        {"[192.0.2.1]", {"[192.0.2.1]"}},
        // However many labels there are: the parents nearest to the root.
        {"a.b.c.d.e.f.example.org",
         {"a.b.c.d.e.f.example.org", "*.e.f.example.org", "*.f.example.org", "*.example.org",
          "*.org"}},
    };
    for (const auto& [domain, keys] : rows)
        EXPECT_EQ(domain_keys(domain), keys) << domain;
    EXPECT_EQ(domain_keys(std::string(254, '.')).size(), most_domain_keys);
}

TEST(TableKeysTest, OfMailboxes) {
    const std::tuple<std::string, std::string, Keys> rows[] = {
        {"", "", {"<>"}},
        {"bob", "x.example", {"bob@x.example", "bob", "@x.example"}},
        {"Bob+Tag",
         "x.example",
         {"bob+tag@x.example", "bob@x.example", "bob+tag", "bob", "@x.example"}},
        // Of a local part in quotes nothing is taken for an address of another domain.
        {"alice@b.example", "x.example", {"\"alice@b.example\"@x.example", "@x.example"}},
        {"alice@b.example+tag",
         "x.example",
         {"\"alice@b.example+tag\"@x.example", "\"alice@b.example\"@x.example", "@x.example"}},
        {"bob+tag@b.example",
         "x.example",
         {"\"bob+tag@b.example\"@x.example", "bob@x.example", "bob", "@x.example"}},
        {"@b.example", "x.example", {"\"@b.example\"@x.example", "@x.example"}},
        {"<>", "x.example", {"<>@x.example", "@x.example"}},
        {"<>+tag", "x.example", {"<>+tag@x.example", "<>@x.example", "<>+tag", "@x.example"}},
        {"+tag", "x.example", {"+tag@x.example", "+tag", "@x.example"}},
    };
    for (const auto& [local_part, domain, keys] : rows)
        EXPECT_EQ(mailbox_keys(local_part, domain), keys) << local_part;
}

} // namespace
} // namespace postern
