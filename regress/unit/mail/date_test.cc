// date-time of RFC 5322 3.3, against known instants.
#include "common/mail/date.h"

#include <ctime>
#include <gtest/gtest.h>

namespace postern {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using TimePoint = std::chrono::system_clock::time_point;

struct Row {
    std::time_t when;
    int offset; // minutes
    const char* text;
};

const Row rows[] = {
    {0, 0, "Thu, 01 Jan 1970 00:00:00 +0000"},
    {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"},
    {1795455330, 0, "Mon, 23 Nov 2026 17:35:30 +0000"},
    {1795455330, 60, "Mon, 23 Nov 2026 18:35:30 +0100"},
    {1795455330, -480, "Mon, 23 Nov 2026 09:35:30 -0800"},
    {1795455330, 330, "Mon, 23 Nov 2026 23:05:30 +0530"},
    {1795455330, 765, "Tue, 24 Nov 2026 06:20:30 +1245"},
    {1795455330, -30, "Mon, 23 Nov 2026 17:05:30 -0030"},
    {951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"},
    {951868799, 0, "Tue, 29 Feb 2000 23:59:59 +0000"},
    {951868800, 0, "Wed, 01 Mar 2000 00:00:00 +0000"},
    {4107542399, 0, "Sun, 28 Feb 2100 23:59:59 +0000"},
    {4107542400, 0, "Mon, 01 Mar 2100 00:00:00 +0000"},
    {1704067199, 0, "Sun, 31 Dec 2023 23:59:59 +0000"},
    {1704067199, 1, "Mon, 01 Jan 2024 00:00:59 +0001"},
    {2147483648, 0, "Tue, 19 Jan 2038 03:14:08 +0000"},
    {-2208988800, 0, "Mon, 01 Jan 1900 00:00:00 +0000"},
    // outside what can be written
    {-2208988801, 0, "Mon, 01 Jan 1900 00:00:00 +0000"},
    {1795455330, 100000, "Tue, 24 Nov 2026 17:34:30 +2359"},
    {1795455330, -100000, "Sun, 22 Nov 2026 17:36:30 -2359"},
};

TEST(Date, KnownInstants) {
    for (const Row& row : rows)
        EXPECT_EQ(format_date(TimePoint(seconds(row.when)), minutes(row.offset)), row.text);
}

TEST(Date, FractionsAreCutOff) {
    EXPECT_EQ(format_date(TimePoint(seconds(59)) + std::chrono::milliseconds(999)),
              "Thu, 01 Jan 1970 00:00:59 +0000");
    EXPECT_EQ(format_date(TimePoint(seconds(0)) - std::chrono::milliseconds(1)),
              "Wed, 31 Dec 1969 23:59:59 +0000");
}

TEST(Date, TheEndsOfTheClock) {
    for (const TimePoint when : {TimePoint::min(), TimePoint::max()})
        for (const minutes offset : {minutes::min(), minutes::max(), minutes(0)})
            EXPECT_EQ(format_date(when, offset).size(), 31u);
}

// Against the C library, over two centuries in uneven steps.
TEST(Date, AgreesWithTheCLibrary) {
    for (std::time_t when = -2000000000; when < 4300000000; when += 9876543) {
        std::tm broken;
        ASSERT_NE(gmtime_r(&when, &broken), nullptr);
        char text[64];
        std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &broken);
        ASSERT_EQ(format_date(TimePoint(seconds(when))), text);
    }
}

TEST(Date, Appends) {
    std::string out = "Date: ";
    append_date(out, TimePoint());
    EXPECT_EQ(out, "Date: Thu, 01 Jan 1970 00:00:00 +0000");
}

} // namespace
} // namespace postern
