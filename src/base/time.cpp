// SPDX-License-Identifier: MIT
// Timestamps in Python's isoformat, deadlines, and the kernel's random generator.
#include "base/time.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <cerrno>
#include <cstdio>
#include <sys/random.h>
#include <vector>

namespace blockhost {

namespace {

namespace chrono = std::chrono;

/// Takes pieces off the front of a text. A taker whose piece is not there returns nothing and takes nothing.
class Cursor {
  public:
    explicit Cursor(std::string_view text) : rest_(text) {}
    bool done() const { return rest_.empty(); }

    bool take(char c) {
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }

    std::optional<int> digits(std::size_t count) {
        if (rest_.size() < count) return std::nullopt;
        int value = 0;
        for (char c : rest_.substr(0, count)) {
            if (c < '0' || c > '9') return std::nullopt;
            value = value * 10 + (c - '0');
        }
        rest_.remove_prefix(count);
        return value;
    }

  private:
    std::string_view rest_;
};

std::optional<chrono::sys_days> take_date(Cursor& in) {
    auto year = in.digits(4);
    if (!year || *year == 0 || !in.take('-')) return std::nullopt;
    auto month = in.digits(2);
    if (!month || !in.take('-')) return std::nullopt;
    auto day = in.digits(2);
    if (!day) return std::nullopt;
    chrono::year_month_day date{chrono::year(*year), chrono::month(static_cast<unsigned>(*month)),
                                chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) return std::nullopt;
    return chrono::sys_days(date);
}

/// The digits behind the seconds' dot: 1 to 9, of which six count.
std::optional<chrono::microseconds> take_fraction(Cursor& in) {
    std::int64_t micros = 0;
    int count = 0;
    for (auto d = in.digits(1); d; d = in.digits(1))
        if (++count <= 6) micros = micros * 10 + *d;
    if (count < 1 || count > 9) return std::nullopt;
    for (int i = count; i < 6; ++i) micros *= 10;
    return chrono::microseconds(micros);
}

std::optional<chrono::microseconds> take_time_of_day(Cursor& in) {
    auto hour = in.digits(2);
    if (!hour || *hour > 23 || !in.take(':')) return std::nullopt;
    auto minute = in.digits(2);
    if (!minute || *minute > 59 || !in.take(':')) return std::nullopt;
    auto second = in.digits(2);
    if (!second || *second > 59) return std::nullopt;
    chrono::microseconds time = chrono::hours(*hour) + chrono::minutes(*minute) + chrono::seconds(*second);
    if (!in.take('.')) return time;
    auto fraction = take_fraction(in);
    if (!fraction) return std::nullopt;
    return time + *fraction;
}

/// The rest of the text: empty, `Z` or ±HH:MM.
std::optional<chrono::minutes> take_offset(Cursor& in) {
    chrono::minutes offset{0};
    if (in.done()) return offset;
    if (in.take('Z')) return in.done() ? std::optional(offset) : std::nullopt;
    bool west = in.take('-');
    if (!west && !in.take('+')) return std::nullopt;
    auto hours = in.digits(2);
    if (!hours || *hours > 23 || !in.take(':')) return std::nullopt;
    auto minutes = in.digits(2);
    if (!minutes || *minutes > 59 || !in.done()) return std::nullopt;
    offset = chrono::hours(*hours) + chrono::minutes(*minutes);
    return west ? -offset : offset;
}

} // namespace

Instant now() {
    return chrono::time_point_cast<chrono::microseconds>(chrono::system_clock::now());
}

std::string format_instant(Instant t) {
    auto day = chrono::floor<chrono::days>(t);
    chrono::year_month_day date(day);
    chrono::hh_mm_ss<chrono::microseconds> time(t - day);
    char text[64];
    int length =
        std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                      static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                      static_cast<int>(time.seconds().count()));
    std::string out(text, static_cast<std::size_t>(length));
    if (auto micros = time.subseconds().count(); micros != 0) {
        std::snprintf(text, sizeof text, ".%06d", static_cast<int>(micros));
        out += text;
    }
    return out + "+00:00";
}

std::optional<Instant> parse_instant(std::string_view text) {
    Cursor in(text);
    auto day = take_date(in);
    if (!day) return std::nullopt;
    if (in.done()) return Instant(*day);
    if (!in.take('T') && !in.take(' ')) return std::nullopt;
    auto time = take_time_of_day(in);
    if (!time) return std::nullopt;
    auto offset = take_offset(in);
    if (!offset) return std::nullopt;
    return Instant(*day) + *time - *offset;
}

std::chrono::milliseconds Deadline::left() const {
    auto span = std::chrono::ceil<std::chrono::milliseconds>(at_ - clock::now());
    return std::max(span, std::chrono::milliseconds(0));
}

std::string random_hex(std::size_t digits) {
    std::vector<unsigned char> bytes((digits + 1) / 2);
    random_bytes(bytes.data(), bytes.size());
    return text::to_hex(bytes).substr(0, digits);
}

void random_bytes(void* out, std::size_t n) {
    auto* at = static_cast<unsigned char*>(out);
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw errno_error("cannot read", "the kernel's random generator", errno);
        at += got;
        n -= static_cast<std::size_t>(got);
    }
}

} // namespace blockhost
