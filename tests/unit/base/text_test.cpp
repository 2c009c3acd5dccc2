// SPDX-License-Identifier: MIT
// Small text helpers at their borders.
#include "base/text/text.hpp"

#include <array>
#include <catch2/catch.hpp>

using namespace blockhost;

TEST_CASE("trim takes blanks off both ends only") {
    CHECK(text::trim(" \t\r\n a b \n") == "a b");
    CHECK(text::trim("") == "");
    CHECK(text::trim(" \n ") == "");
}

TEST_CASE("split keeps empty parts") {
    CHECK(text::split("a,,b,", ',') == std::vector<std::string>{"a", "", "b", ""});
    CHECK(text::split("", ',') == std::vector<std::string>{""});
}

TEST_CASE("lower changes ASCII letters only") {
    CHECK(text::lower("AbZ[É") == "abz[É");
}

TEST_CASE("a number is the whole text or no number") {
    CHECK(text::parse_int("0") == 0);
    CHECK(text::parse_int("-17") == -17);
    CHECK(text::parse_int("9223372036854775807") == INT64_MAX);
    CHECK(text::parse_int("-9223372036854775808") == INT64_MIN);
    for (std::string_view bad : {"", "-", "+1", " 1", "1 ", "1\n", "0x10", "1.0", "1e3",
                                 "9223372036854775808", "--1", "-9223372036854775809", "١"}) {
        CAPTURE(bad);
        CHECK_FALSE(text::parse_int(bad));
    }
    CHECK_FALSE(text::parse_int(std::string_view("1\0", 2)));
}

TEST_CASE("hex is lower case with two digits a byte") {
    CHECK(text::to_hex(std::array<unsigned char, 4>{0x00, 0x0f, 0xa0, 0xff}) == "000fa0ff");
}

TEST_CASE("printable keeps text and shows what a terminal would obey") {
    CHECK(text::printable("a b~ é €😀") == "a b~ é €😀");
    CHECK(text::printable("\x1b[31m\n\x7f") == "\\x1b[31m\\x0a\\x7f");
    CHECK(text::printable(std::string_view("a\0b", 3)) == "a\\x00b");
    CHECK(text::printable("\xc2\x9b") == "\\xc2\\x9b");          // C1's CSI
    CHECK(text::printable("\xe2\x80\xae") == "\\xe2\\x80\\xae"); // right-to-left override
}

TEST_CASE("printable escapes every byte that is not UTF-8") {
    CHECK(text::printable("\xff") == "\\xff");
    CHECK(text::printable("\xc3") == "\\xc3");                   // cut short
    CHECK(text::printable("\xc0\xaf") == "\\xc0\\xaf");          // overlong
    CHECK(text::printable("\xed\xa0\x80") == "\\xed\\xa0\\x80"); // a surrogate
    CHECK(text::printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");
    CHECK(text::printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");
    CHECK(text::printable("\x80") == "\\x80");
    CHECK(text::printable("\xe2\x82x") == "\\xe2\\x82x");
}

TEST_CASE("printable cuts between characters, never within") {
    CHECK(text::printable("abcdef", 6) == "abcdef");
    CHECK(text::printable("abcdefg", 6) == "abcdef…");
    CHECK(text::printable("abcdé", 5) == "abcd…");
    CHECK(text::printable("abc\n", 6) == "abc…");
}

TEST_CASE("nearest finds slips of the finger and nothing far") {
    constexpr std::array<std::string_view, 6> verbs{"create", "destroy", "start", "stop", "status", "list"};
    CHECK(text::nearest("craete", verbs) == "create");
    CHECK(text::nearest("lsit", verbs) == "list");
    CHECK(text::nearest("destory", verbs) == "destroy");
    CHECK(text::nearest("statsu", verbs) == "status");
    CHECK_FALSE(text::nearest("banana", verbs));
    CHECK_FALSE(text::nearest("", verbs));
}

TEST_CASE("sizes are told in binary units with at most one decimal") {
    constexpr std::uint64_t mib = 1u << 20, gib = 1u << 30;
    CHECK(text::human_bytes(0) == "0 B");
    CHECK(text::human_bytes(1023) == "1023 B");
    CHECK(text::human_bytes(1024) == "1 KiB");
    CHECK(text::human_bytes(512 * mib) == "512 MiB");
    CHECK(text::human_bytes(gib) == "1 GiB");
    CHECK(text::human_bytes(gib + gib / 2) == "1.5 GiB");
    CHECK(text::human_bytes(gib - 1) == "1 GiB");
    CHECK(text::human_bytes(UINT64_MAX) == "16 EiB");
}

TEST_CASE("the last lines that say something are kept, in order and made printable") {
    CHECK(text::last_lines("one\n\n  two \r\nthree\x1b\n", 2) ==
          std::vector<std::string>{"two", "three\\x1b"});
    CHECK(text::last_lines("one", 5) == std::vector<std::string>{"one"});
    CHECK(text::last_lines("\n \n", 5).empty());
    CHECK(text::last_lines("longer", 1, 3) == std::vector<std::string>{"lon…"});
}

TEST_CASE("parts are joined by what stands between them") {
    CHECK(text::join({}, ", ").empty());
    CHECK(text::join({"a"}, ", ") == "a");
    CHECK(text::join({"a", "", "b"}, ", ") == "a, , b");
}
