// SPDX-License-Identifier: MIT
// Documents that may mean one thing only.
#include "base/text/strict_json.hpp"

#include <catch2/catch.hpp>
#include <functional>

using namespace blockhost;

namespace {

std::string refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        CHECK(error.code() == Code::invalid);
        return error.message();
    }
    return "nothing";
}

std::string parsed(std::string_view text, const json::Limits& limits = {}) {
    return refusal([&] { json::parse_strictly(text, "it", limits); });
}

} // namespace

TEST_CASE("a plain document is parsed") {
    const auto value = json::parse_strictly(" {\"a\": [1, {\"a\": 2}], \"b\": {\"a\": \"\\u00e9\"}}\n", "it");
    CHECK(value.at("b").at("a").as_string() == "é");
    CHECK(json::parse_strictly("[[], {}, -1, 1.5, true, null, \"x\"]", "it").is_array());
}

TEST_CASE("each way of being no such document has its sentence") {
    CHECK(parsed("") == "it is empty");
    CHECK(parsed("[1, 2]", {.bytes = 5}) == "it has 6 bytes, more than 5");
    CHECK(parsed("{\"a\": \"\xff\"}") == "it: line 1, column 8: a byte that is not UTF-8");
    CHECK(parsed("{\"a\": \"\xed\xa0\x80\"}") == "it: line 1, column 8: a byte that is not UTF-8");
    CHECK(parsed("[[[1]]]", {.depth = 2}).ends_with("nested deeper than 2 levels"));
    CHECK(parsed("{} {}") == "it: line 1, column 4: more text after the end");
    CHECK(parsed("{\"a\": 1,\n \"b\": [") == "it: line 2, column 8: the text ends too early");
    CHECK(parsed("{'a': 1}").starts_with("it: line 1, column 2: "));
    CHECK(parsed("{\"a\": \"\\ud800\"}").starts_with("it: line 1, column "));
    CHECK(parsed("{\"a\": 01}").starts_with("it: line 1, column "));
    CHECK(parsed("\xef\xbb\xbf{}").starts_with("it: line 1, column 1: "));
    CHECK(parsed("   ").ends_with("the text ends too early"));
}

TEST_CASE("a member that is there twice is found at every level, however it is spelt") {
    CHECK(parsed("{\"a\": 1, \"a\": 1}").ends_with("member \"a\" is there twice"));
    CHECK(parsed("{\"a\": 1, \"\\u0061\": 1}").ends_with("member \"a\" is there twice"));
    CHECK(parsed("[{\"x\": {\"a\": 1, \"b\": {}, \"a\": 1}}]").ends_with("member \"a\" is there twice"));
    CHECK(parsed("{\"a\": {\"a\": {\"a\": 1}}, \"b\": {\"a\": 1}}") == "nothing");
}

TEST_CASE("fields are read by their types") {
    const auto value = json::parse_strictly(
        R"({"t": "x", "n": 7, "f": true, "l": ["a", "b"], "o": {"t": "y"}, "m": {"k": "v"}})", "it");
    json::Fields fields(value, "it");
    CHECK(fields.text("t") == "x");
    CHECK(fields.integer("n", 0, 7) == 7);
    CHECK(fields.flag("f"));
    CHECK(fields.texts("l") == std::vector<std::string>{"a", "b"});
    json::Fields inner = fields.object("o");
    CHECK(inner.maybe_text("t") == "y");
    CHECK_FALSE(inner.maybe_integer("n", 0, 1));
    CHECK_FALSE(inner.maybe_flag("f"));
    CHECK_NOTHROW(inner.finish());
    CHECK(refusal([&] { fields.finish(); }) == "it: member \"m\" is unknown");
    CHECK(fields.text_by_name("m") == std::vector<std::pair<std::string, std::string>>{{"k", "v"}});
    CHECK_NOTHROW(fields.finish());
}

TEST_CASE("a member that is absent, of another type or out of range is refused") {
    const auto value =
        json::parse_strictly(R"({"t": "x", "n": 7, "z": null, "d": 1.0, "l": [1], "m": {"k": 1}})", "it");
    json::Fields fields(value, "it");
    CHECK(refusal([&] { fields.text("none"); }) == "it: member \"none\" is missing");
    CHECK(refusal([&] { fields.text("n"); }) == "it: member \"n\" is no text");
    CHECK(refusal([&] { fields.maybe_text("z"); }) == "it: member \"z\" is no text");
    CHECK(refusal([&] { fields.integer("t", 0, 1); }) == "it: member \"t\" is no whole number");
    CHECK(refusal([&] { fields.integer("d", 0, 1); }) == "it: member \"d\" is no whole number");
    CHECK(refusal([&] { fields.integer("n", 0, 6); }) == "it: member \"n\" is 7, and has to be from 0 to 6");
    CHECK(refusal([&] { fields.flag("n"); }) == "it: member \"n\" is neither true nor false");
    CHECK(refusal([&] { fields.texts("n"); }) == "it: member \"n\" is no list");
    CHECK(refusal([&] { fields.texts("l"); }) == "it: member \"l\" is no list of texts");
    CHECK(refusal([&] { fields.object("n"); }) == "it.n is no JSON object");
    CHECK(refusal([&] { fields.text_by_name("m"); }) == "it: member \"m\" is no object of texts");
    CHECK(refusal([&] { json::Fields(boost::json::value(1), "it"); }) == "it is no JSON object");
}
