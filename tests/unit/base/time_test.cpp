// SPDX-License-Identifier: MIT
// Timestamps as the VM database's readers and writers spell them; deadlines; random text.
#include "base/time.hpp"

#include "base/patience.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

/// The canonical spelling of what `text` means, or "refused".
std::string reread(std::string_view text) {
    auto t = parse_instant(text);
    return t ? format_instant(*t) : "refused";
}

} // namespace

TEST_CASE("an instant is written with six fraction digits or none") {
    Instant epoch{};
    CHECK(format_instant(epoch) == "1970-01-01T00:00:00+00:00");
    CHECK(format_instant(epoch + 1us) == "1970-01-01T00:00:00.000001+00:00");
    CHECK(format_instant(epoch + 120ms) == "1970-01-01T00:00:00.120000+00:00");
    CHECK(format_instant(epoch - 1us) == "1969-12-31T23:59:59.999999+00:00");
    CHECK(format_instant(Instant(std::chrono::sys_days(std::chrono::year(9999) / 12 / 31)) + 24h - 1us) ==
          "9999-12-31T23:59:59.999999+00:00");
}

TEST_CASE("every spelling in the field is read") {
    CHECK(reread("2024-02-29T12:34:56.123456+00:00") == "2024-02-29T12:34:56.123456+00:00");
    CHECK(reread("2024-02-29T12:34:56Z") == "2024-02-29T12:34:56+00:00");
    CHECK(reread("2024-02-29T12:34:56") == "2024-02-29T12:34:56+00:00");
    CHECK(reread("2024-02-29 12:34:56.5") == "2024-02-29T12:34:56.500000+00:00");
    CHECK(reread("2024-02-29") == "2024-02-29T00:00:00+00:00");
    CHECK(reread("2024-02-29T12:34:56.123Z") == "2024-02-29T12:34:56.123000+00:00");
    CHECK(reread("2024-02-29T12:34:56.123456789Z") == "2024-02-29T12:34:56.123456+00:00");
    CHECK(reread("2024-02-29T12:34:56.000000Z") == "2024-02-29T12:34:56+00:00");
    CHECK(reread("2024-02-29T12:34:56+02:00") == "2024-02-29T10:34:56+00:00");
    CHECK(reread("2024-02-29T12:34:56-05:30") == "2024-02-29T18:04:56+00:00");
    CHECK(reread("2024-01-01T00:00:00+23:59") == "2023-12-31T00:01:00+00:00");
    CHECK(reread("2024-02-29 12:34:56.1 ") == "refused");
}

TEST_CASE("what no writer means is refused") {
    for (std::string_view bad : {"",
                                 "2023-02-29",
                                 "2024-13-01",
                                 "2024-00-10",
                                 "2024-04-31",
                                 "0000-01-01",
                                 "24-01-01",
                                 "2024-1-01",
                                 "2024-01-01T",
                                 "2024-01-01T24:00:00",
                                 "2024-01-01T23:60:00",
                                 "2024-01-01T23:59:60",
                                 "2024-01-01T12:00",
                                 "2024-01-01T12:00:00.",
                                 "2024-01-01T12:00:00.1234567890",
                                 "2024-01-01T12:00:00+24:00",
                                 "2024-01-01T12:00:00+01:60",
                                 "2024-01-01T12:00:00+0100",
                                 "2024-01-01T12:00:00+00:00x",
                                 "2024-01-01T12:00:00ZZ",
                                 "2024-01-01T12:00:00Z\n",
                                 "2024-01-01T12:00:00z",
                                 "2024-01-01Z",
                                 "2024-01-01\n",
                                 "+2024-01-01",
                                 "2024-01-01t12:00:00",
                                 "2024-01-01T-1:00:00",
                                 "2024-01-01T12:00:00,5",
                                 "12345-01-01",
                                 "now"}) {
        CAPTURE(bad);
        CHECK(reread(bad) == "refused");
    }
}

TEST_CASE("now survives being written and read") {
    Instant t = now();
    CHECK(parse_instant(format_instant(t)) == t);
}

TEST_CASE("a deadline's rest is never negative and the sooner one wins") {
    Deadline over = Deadline::in(-5s), far = Deadline::in(1h);
    CHECK(over.passed());
    CHECK(over.left() == 0ms);
    CHECK_FALSE(far.passed());
    CHECK(far.left() > 59min);
    CHECK(far.sooner(over).passed());
    CHECK(over.sooner(far).passed());
}

TEST_CASE("nothing is waited for beyond the end of all, but for a second") {
    CHECK(within({}, 2min) == 2min);
    CHECK(within(Deadline::in(1h), 2min) == 2min);
    CHECK(within(Deadline::in(-1h), 2min) == 1s);
    CHECK(within(Deadline::in(-1h), 200ms) == 200ms);
    const auto left = within(Deadline::in(30s), 2min);
    CHECK((left > 20s && left <= 30s));
}

TEST_CASE("random text has the asked number of hex digits and does not repeat") {
    CHECK(random_hex(0).empty());
    CHECK(random_hex(7).size() == 7);
    CHECK(random_hex(64).find_first_not_of("0123456789abcdef") == std::string::npos);
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) CHECK(seen.insert(random_hex(16)).second);
}
