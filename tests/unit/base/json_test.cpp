// SPDX-License-Identifier: MIT
// JSON as Python writes it, compared with Python itself, and complaints that name the place.
#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <limits>

using namespace blockhost;

namespace {

/// What Python's json.dumps makes of the same document.
std::string by_python(const std::string& document) {
    ProcessSpec spec{
        .program = "/usr/bin/python3",
        .arguments = {"-c",
                      "import json,sys; sys.stdout.write(json.dumps(json.loads(sys.stdin.buffer.read())))"},
        .environment = {},
        .input = document};
    auto result = run(spec);
    REQUIRE(result.ok());
    return result.out;
}

std::string complaint(std::string_view text) {
    try {
        json::parse(text, "a.json");
    } catch (const Error& e) {
        CHECK(e.code() == Code::config);
        return e.message();
    }
    return "";
}

} // namespace

TEST_CASE("the create result line is spelt as its consumers parse it") {
    boost::json::object result{{"status", "ok"}, {"ipv6", ""}, {"nft_token_id", nullptr}};
    CHECK(json::python_line(result) == R"({"status": "ok", "ipv6": "", "nft_token_id": null})");
}

TEST_CASE("documents are written byte for byte as Python writes them") {
    for (const char* document :
         {R"({})", R"([])", R"([[], {}, [{}], {"a": {"b": []}}])", R"([true, false, null])",
          R"([0, -1, 9223372036854775807, -9223372036854775808, 18446744073709551615])",
          R"(["", "a/b", "\"\\\b\f\n\r\t", "\u0000\u001f\u007f\u0080", "é€😀\uFFFF", "\ud83d\ude00"])",
          R"({"clé": "ü", "z": 1, "a": 2})",
          R"([0.0, -0.0, 1.0, 1.5, 0.1, 100.0, 123456.789, 0.0001, 0.00001, 1e15, 1e16, 1e17, 1.5e300, 5e-324,
              123456789012345678.0, 0.30000000000000004, 1e22, 1e23, -2.5e-7, 9007199254740993.0, 1e100])"}) {
        CAPTURE(document);
        CHECK(json::python_line(boost::json::parse(document)) == by_python(document));
    }
}

TEST_CASE("numbers that JSON lacks are written as Python writes them") {
    double infinity = std::numeric_limits<double>::infinity();
    boost::json::array numbers{infinity, -infinity, std::numeric_limits<double>::quiet_NaN()};
    CHECK(json::python_line(numbers) == "[Infinity, -Infinity, NaN]");
}

TEST_CASE("a broken byte in a string becomes the replacement character") {
    CHECK(json::python_line(boost::json::value("a\xff"
                                               "b")) == "\"a\\ufffdb\"");
    CHECK(json::python_line(boost::json::value("\xe2\x82")) == "\"\\ufffd\\ufffd\"");
    // An overlong form, a surrogate and what lies beyond Unicode are no characters.
    CHECK(json::escaped("\xc0\x80") == "\\ufffd\\ufffd");
    CHECK(json::escaped("\xed\xa0\x80") == "\\ufffd\\ufffd\\ufffd");
    CHECK(json::escaped("\xf4\x90\x80\x80") == "\\ufffd\\ufffd\\ufffd\\ufffd");
}

TEST_CASE("a malformed text is refused with line and column") {
    CHECK(complaint("{\n  \"a\": x\n}").find("a.json: line 2, column 8: ") == 0);
    CHECK(complaint("{\"a\": 1,}").find("a.json: line 1, column 9: ") == 0);
    CHECK(complaint("{\"a\": 1").find("a.json: line 1, column 8: ") == 0);
    CHECK(complaint("[1]\n[2]").find("a.json: line 2, column 1: ") == 0);
    CHECK_FALSE(complaint("").empty());
    CHECK_FALSE(complaint("nul").empty());
    CHECK_FALSE(complaint("'a'").empty());
    CHECK_FALSE(complaint(std::string(5000, '[')).empty());
    CHECK_FALSE(complaint("\"\xff\"").empty());
}

TEST_CASE("a whole text is parsed, blanks around it included") {
    CHECK(json::parse(" {\"a\": [1, 2]} \n", "x").at("a").as_array().size() == 2);
    CHECK(json::parse("12", "x").as_int64() == 12);
    CHECK(json::parse(std::string(200, '[') + std::string(200, ']'), "x").is_array());
}

TEST_CASE("a member that is no string gives the fallback") {
    auto value = boost::json::parse(R"({"s": "text", "n": 1, "null": null, "empty": ""})");
    CHECK(json::string_or(value, "s", "-") == "text");
    CHECK(json::string_or(value, "empty", "-") == "");
    for (const char* key : {"n", "null", "absent"}) CHECK(json::string_or(value, key, "-") == "-");
    CHECK(json::string_or(boost::json::parse("[1]"), "s", "-") == "-");
}

TEST_CASE("a member of another type counts as none") {
    const auto value =
        boost::json::parse(R"({"n": -1, "large": 18446744073709551615, "half": 0.5, "yes": true,
                                              "list": ["a", 1, "b"], "object": {"a": 1}})");
    CHECK(json::integer_in(value, "n") == -1);
    CHECK(json::count_in(value, "large") == UINT64_MAX);
    CHECK(json::is_true(value, "yes"));
    CHECK(json::strings_in(value, "list") == std::vector<std::string>{"a", "b"});
    CHECK(json::integer_in(json::object_in(value, "object"), "a") == 1);
    for (const char* key : {"large", "half", "yes", "list", "object", "absent"})
        CHECK_FALSE(json::integer_in(value, key));
    for (const char* key : {"n", "half", "yes", "list", "absent"}) CHECK_FALSE(json::count_in(value, key));
    for (const char* key : {"n", "list", "absent"}) CHECK_FALSE(json::is_true(value, key));
    for (const char* key : {"n", "object", "absent"}) CHECK(json::strings_in(value, key).empty());
    for (const char* key : {"n", "list", "absent"}) CHECK(json::object_in(value, key).empty());
    CHECK(json::member(boost::json::parse("[1]"), "n") == nullptr);
}
