// SPDX-License-Identifier: MIT
// Patterns of others: what they mean, and that none of them keeps us.

#include "base/text/pattern.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

namespace {

std::string times(int count, const std::string& text) {
    std::string all;
    for (; count > 0; --count) all += text;
    return all;
}

} // namespace

TEST_CASE("a pattern matches from the start on, and need not reach the end") {
    CHECK(match_at_start("0xabc", "0x") == Matching::yes);
    CHECK(match_at_start("z0xabc", "0x") == Matching::no);
    CHECK(match_at_start("abcdef", "x|abc") == Matching::yes);
    CHECK(match_at_start("abcd", "abc$") == Matching::no);
    CHECK(match_at_start("", "") == Matching::yes);
    CHECK(match_at_start("", "a") == Matching::no);
}

TEST_CASE("Perl's syntax, as far as Python shares it") {
    CHECK(match_at_start("bc1q", "(?P<net>bc|tb)1(?!x)[a-z]$") == Matching::yes);
    CHECK(match_at_start("bc1x", "(?P<net>bc|tb)1(?!x)[a-z]$") == Matching::no);
    CHECK(match_at_start("A7", "(?i)a\\d") == Matching::yes);
    CHECK(match_at_start("aab", "(?:a|aa)+?b\\b") == Matching::yes);
    CHECK(match_at_start("ab", "a(?<=a)b") == Matching::yes);
}

TEST_CASE("what is no pattern is told from what does not match") {
    for (const char* broken : {"(", "[a-", "a{2,1}", "*", "(?P<x", "(*UTF)a"}) {
        CAPTURE(broken);
        CHECK(match_at_start("a", broken) == Matching::no_pattern);
    }
}

TEST_CASE("patterns that cost others years, or their stack, cost nothing") {
    const std::string letters(199, 'a');
    CHECK(match_at_start(letters, "(a|aa)*b") == Matching::no);
    CHECK(match_at_start(letters, "((a*)*)*b") == Matching::no);
    CHECK(match_at_start(letters + "b", "(a|aa)*b") == Matching::yes);
    CHECK(match_at_start(letters, "(a|b)" + times(40, "+") + "{87}" + times(16, "+") + "{86}") !=
          Matching::no);
    CHECK(match_at_start(letters, "(a{1000}){1000}") == Matching::no);
    CHECK(match_at_start(letters, times(30, "(?=") + "(a|aa)*b" + times(30, ")")) == Matching::no);
    for (const std::string& pattern :
         {times(60'000, "("), times(400, "(") + times(400, ")"), std::string(1001, 'a'),
          std::string("(a)\\1"), std::string("a{99999999999999999999}"),
          std::string("a{1,99999999999999999999}"), std::string("(?R)?a")}) {
        CAPTURE(pattern.substr(0, 40));
        CHECK(match_at_start(letters, pattern) == Matching::too_complex);
    }
}
