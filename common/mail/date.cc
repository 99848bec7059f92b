// Writing date-time.
#include "common/mail/date.h"

#include <algorithm>
#include <cstdlib>

namespace postern {

namespace {

void append_two_digits(std::string& out, int number) {
    out += static_cast<char>('0' + number / 10);
    out += static_cast<char>('0' + number % 10);
}

} // namespace

void append_date(std::string& out, std::chrono::system_clock::time_point when,
                 std::chrono::minutes utc_offset) {
    using namespace std::chrono;
    static constexpr char weekdays[] = "SunMonTueWedThuFriSat";
    static constexpr char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static constexpr sys_seconds first = sys_days{year{1900} / 1 / 1};
    static constexpr sys_seconds last = sys_days{year{10000} / 1 / 1} - seconds{1};

    const minutes offset = std::clamp(utc_offset, minutes{-1439}, minutes{1439});
    const sys_seconds local = std::clamp(floor<seconds>(when) + seconds{offset}, first, last);
    const sys_days day = floor<days>(local);
    const year_month_day date{day};
    const hh_mm_ss time{local - day};

    out.append(weekdays + 3 * weekday{day}.c_encoding(), 3);
    out += ", ";
    append_two_digits(out, static_cast<int>(static_cast<unsigned>(date.day())));
    out += ' ';
    out.append(months + 3 * (static_cast<unsigned>(date.month()) - 1), 3);
    out += ' ';
    append_two_digits(out, static_cast<int>(date.year()) / 100);
    append_two_digits(out, static_cast<int>(date.year()) % 100);
    out += ' ';
    append_two_digits(out, static_cast<int>(time.hours().count()));
    out += ':';
    append_two_digits(out, static_cast<int>(time.minutes().count()));
    out += ':';
    append_two_digits(out, static_cast<int>(time.seconds().count()));
    out += offset.count() < 0 ? " -" : " +";
    const int distance = static_cast<int>(std::abs(offset.count()));
    append_two_digits(out, distance / 60);
    append_two_digits(out, distance % 60);
}

std::string format_date(std::chrono::system_clock::time_point when,
                        std::chrono::minutes utc_offset) {
    std::string out;
    out.reserve(32);
    append_date(out, when, utc_offset);
    return out;
}

} // namespace postern
