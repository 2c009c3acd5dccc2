// SPDX-License-Identifier: MIT
/// JsonTree: what it reads, refuses, keeps and writes, with Python's json as the judge.

#include "base/error.hpp"
#include "base/text/text.hpp"
#include "registry/json_tree.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <set>

using blockhost::Error;
using blockhost::JsonTree;

namespace {

std::string rewritten(std::string_view text) {
    return JsonTree::parse(std::string(text)).write();
}

std::string repeated(std::string_view part, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += part;
    return all;
}

/// The message of the refusal; empty when the text is read.
std::string refusal(std::string_view text) {
    try {
        JsonTree::parse(std::string(text));
        return {};
    } catch (const Error& error) {
        CHECK(error.code() == blockhost::Code::registry);
        return error.message();
    }
}

std::string hex(std::string_view bytes) {
    return blockhost::text::to_hex({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}

/// Texts around every rule: good ones and near misses.
std::vector<std::string> rule_texts() {
    return {"0",
            "-0",
            "-0.0e-0",
            "1.10",
            "1E5",
            "1e+05",
            "1e99999999999999999999",
            "1.",
            ".5",
            "01",
            "-01",
            "-",
            "+1",
            "1e",
            "1e+",
            "1.e1",
            "0x1",
            "18446744073709551616",
            "-9223372036854775809",
            "NaN",
            "Infinity",
            "-Infinity",
            "-NaN",
            "nan",
            "Infinit",
            "-Infinit",
            "null",
            "nul",
            "nulll",
            "True",
            "true",
            "false",
            "",
            " ",
            "\n\t\r 1 \n",
            "\f1",
            "\v1",
            "1\f",
            "\xC2\xA0"
            "1",
            "\xEF\xBB\xBF"
            "1",
            "[]",
            "[ ]",
            "{}",
            "{ }",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,,2]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{'a':1}",
            "{\"a\":}",
            "{\"a\"}",
            "{1:2}",
            "{,}",
            "[",
            "{",
            "]",
            "}",
            "[}",
            "{]",
            "[1",
            "{\"a\":1",
            "{\"a\":1]",
            "[1}",
            "[] []",
            "{}x",
            "1 2",
            "\"\"",
            "\"",
            "\"\\\"",
            "\"\\",
            "\"a\nb\"",
            "\"a\tb\"",
            std::string("\"a\0b\"", 5),
            std::string("1\0", 2),
            "\"\x7f\"",
            "\"\x1f\"",
            R"("\"\\\/\b\f\n\r\t")",
            R"("\a")",
            R"("\u00e9\u00E9")",
            R"("\u12")",
            R"("\u12x4")",
            R"("\U00e9")",
            R"("\ud83d\ude00")",
            R"("\ud83d")",
            R"("\ude00\ud83d")",
            R"("\ud83d\u0041")",
            R"("\ud83d\ud83d\ude00")",
            R"({"\ud800":1,"\ud801":2})",
            R"({"a":1,"\u0061":2,"a":3})",
            R"({"":{"":[{}]}})",
            "\"\xC3\xA9\"",
            "\"\xC3\"",
            "\"\xA9\"",
            "\"\xC0\x80\"",
            "\"\xC1\xBF\"",
            "\"\xE0\x80\x80\"",
            "\"\xED\xA0\x80\"",
            "\"\xED\x9F\xBF\"",
            "\"\xEF\xBF\xBF\"",
            "\"\xF0\x9F\x98\x80\"",
            "\"\xF0\x80\x80\x80\"",
            "\"\xF4\x8F\xBF\xBF\"",
            "\"\xF4\x90\x80\x80\"",
            "\"\xF5\x80\x80\x80\"",
            "\"\xFF\"",
            "\"\xE2\x82\"",
            "// c\n1",
            "/* c */ 1",
            "[1,//\n2]",
            std::string(4300, '9'),
            std::string(4301, '9'),
            "-" + std::string(4300, '9'),
            "-" + std::string(4301, '9'),
            "1." + std::string(5000, '9'),
            repeated("[", 995) + repeated("]", 995),
            repeated("[", 996) + repeated("]", 996),
            repeated("{\"a\":", 995) + "1" + repeated("}", 995),
            repeated("{\"a\":", 996) + "1" + repeated("}", 996),
            repeated("[", 100000)};
}

/// Variants of a good document with a few bytes changed, dropped or doubled. The same ones in every run.
std::vector<std::string> mutants(std::size_t count) {
    const std::string seed =
        R"({"vms": {"a\u00e9": {"n": [1, -2.5e3, 1.10, NaN], "s": "x\ud83d\"é\\"}, "b": {}}, "l": [],
 "t": [true, false, null, -Infinity, 18446744073709551616], "d": 1, "d": 2})";
    const std::string_view alphabet = "{}[]\",:\\ \n\t0123456789-+.eEuNaInfd\x01\x7f\xc3\xa9\xed";
    std::mt19937 random(20);
    std::vector<std::string> all;
    for (std::size_t i = 0; i < count; ++i) {
        std::string text = seed;
        for (std::size_t change = random() % 3 + 1; change > 0; --change) {
            const std::size_t at = random() % text.size();
            const char c = alphabet[random() % alphabet.size()];
            if (random() % 3 == 0)
                text[at] = c;
            else if (random() % 2 == 0)
                text.erase(at, random() % 4 + 1);
            else
                text.insert(at, 1, c);
        }
        all.push_back(std::move(text));
    }
    return all;
}

/// Reads lines "text [ours]" in hex. Says for each whether Python reads the text and, where `ours` is given,
/// whether both mean the same, order and duplicates included, and whether `ours` has the layout of json.dump.
constexpr auto judge = R"(
import json, re, sys
def pairs(text): return json.loads(text, object_pairs_hook=lambda pairs: ('object', pairs))
def plain(text): return re.sub(r'"(\\.|[^"\\])*"|[^\s\[\]{},:]+', '0', text)
for line in sys.stdin:
    fields = line.rstrip('\n').split(' ')
    try:
        text = bytes.fromhex(fields[0]).decode('utf-8')
        value = json.loads(text)
    except (ValueError, RecursionError):
        print('refused'); continue
    if len(fields) < 2: print('read'); continue
    ours = bytes.fromhex(fields[1]).decode('utf-8')
    if repr(pairs(text)) != repr(pairs(ours)): print('other meaning'); continue
    flat = json.dumps(json.loads(ours, object_pairs_hook=lambda p: {str(i): v for i, (k, v) in enumerate(p)}), indent=2)
    print('read' if plain(flat) == plain(ours) else 'other layout')
)";

void check_against_python(const std::vector<std::string>& texts) {
    std::string input, verdicts;
    for (const std::string& text : texts) {
        const bool read = refusal(text).empty();
        // Python's own writer goes no deeper than its parser, less the frames of this check.
        const bool compare = read && text.size() < 900;
        input += hex(text) + (compare ? " " + hex(rewritten(text)) : "") + "\n";
        verdicts += read ? "read\n" : "refused\n";
    }
    std::istringstream theirs(test::python(judge, {}, input)), ours(verdicts);
    for (const std::string& text : texts) {
        std::string their_verdict, our_verdict;
        std::getline(theirs, their_verdict);
        std::getline(ours, our_verdict);
        INFO(blockhost::text::printable(text, 400));
        CHECK(our_verdict == their_verdict);
    }
}

} // namespace

TEST_CASE("A document is written in the layout of Python's json.dump with an indent of 2") {
    CHECK(rewritten(R"({"a":[1,2,{"b":null}],"c":{},"d":[],"e":"f","g":[[],{}]})") == R"({
  "a": [
    1,
    2,
    {
      "b": null
    }
  ],
  "c": {},
  "d": [],
  "e": "f",
  "g": [
    [],
    {}
  ]
})");
    CHECK(rewritten(" 7 ") == "7");
}

TEST_CASE("What was read keeps its spelling, its order and its duplicates") {
    const std::string text =
        "{\n"
        "  \"big\": 340282366920938463463374607431768211456,\n"
        "  \"numbers\": [\n    1.10,\n    1E5,\n    -0,\n    1e+05,\n    0.000,\n    NaN,\n    "
        "Infinity,\n    -Infinity\n  ],\n"
        "  \"z\": \"caf\\u00e9 caf\xC3\xA9 \\u00E9 \\/ \\ud800 \\uDFFF \\ud83d\\ude00 \x7f\",\n"
        "  \"k\\u00e9y\": 1,\n"
        "  \"k\xC3\xA9y\": 2,\n"
        "  \"\\ud800\": 3,\n"
        "  \"a\": 4,\n"
        "  \"a\": 5,\n"
        "  \"\": {}\n"
        "}";
    CHECK(rewritten(text) == text);
    SECTION("also when something else is changed") {
        JsonTree tree = JsonTree::parse(std::string(text));
        tree.set("new", JsonTree::boolean(true));
        REQUIRE(tree.erase("z"));
        std::string expected = text;
        const auto from = expected.find("  \"z\"");
        expected.erase(from, expected.find('\n', from) + 1 - from);
        expected.replace(expected.size() - 2, 2, ",\n  \"new\": true\n}");
        CHECK(tree.write() == expected);
    }
}

TEST_CASE("What Python's json reads is read with the same meaning, and what it refuses is refused") {
    check_against_python(rule_texts());
}

TEST_CASE("Damaged documents are read or refused as Python's json does") {
    check_against_python(mutants(4000));
}

TEST_CASE("A refusal tells line, column and what is wrong") {
    CHECK(refusal("{\n  \"\xC3\xA9\": 1,\n}") ==
          "not valid JSON (line 3, column 1: expected a key in double quotes)");
    CHECK(refusal("[\"\xC3\xA9\" 1]") == "not valid JSON (line 1, column 6: expected ',' or ']')");
    CHECK(refusal("\xEF\xBB\xBF{}") == "not valid JSON (line 1, column 1: a byte order mark is not allowed)");
    CHECK(refusal("") == "not valid JSON (line 1, column 1: there is no value)");
    CHECK(refusal("[\"abc") == "not valid JSON (line 1, column 2: the string that starts here has no end)");
    CHECK(refusal("{} {}") == "not valid JSON (line 1, column 4: text follows the document)");
}

TEST_CASE("A string's value is UTF-8, whatever its spelling") {
    const auto value = [](std::string_view text) {
        return JsonTree::parse(std::string(text)).as_string().value();
    };
    CHECK(value(R"("\u00e9\n\"\\\/\b\f\r\t")") == "\xC3\xA9\n\"\\/\b\f\r\t");
    CHECK(value(R"("\ud83d\ude00")") == "\xF0\x9F\x98\x80");
    CHECK(value("\"\xF0\x9F\x98\x80\"") == "\xF0\x9F\x98\x80");
    CHECK(value(R"("\ud83d-\ude00\ud83d\u0041")") == "\xEF\xBF\xBD-\xEF\xBF\xBD\xEF\xBF\xBD"
                                                     "A");
    CHECK_FALSE(JsonTree::parse("1").as_string());
}

TEST_CASE("New strings and keys are written as ensure_ascii spells them") {
    for (const std::string text :
         {"caf\xC3\xA9", "\xF0\x9F\x98\x80", "a\"b\\c/\b\f\n\r\t\x01\x7f", "", "\xEF\xBF\xBF"}) {
        JsonTree tree = JsonTree::object();
        tree.set(text, JsonTree::string(text));
        CHECK(tree.write() == test::python("import json,sys; t=bytes.fromhex(sys.argv[1]).decode(); "
                                           "sys.stdout.write(json.dumps({t: t}, indent=2))",
                                           {hex(text)}));
        CHECK(tree.get(text)->as_string() == text);
    }
    CHECK(JsonTree::string("a\xFF"
                           "b")
              .write() == R"("a\ufffdb")");
}

TEST_CASE("Only an integer that fits into 64 bits is an integer") {
    const auto value = [](std::string_view text) { return JsonTree::parse(std::string(text)).as_int(); };
    CHECK(value("9223372036854775807") == INT64_MAX);
    CHECK(value("-9223372036854775808") == INT64_MIN);
    CHECK(value("-0") == 0);
    for (const auto* text : {"9223372036854775808", "1.0", "1e3", "NaN", "\"1\"", "true", "null"}) {
        INFO(text);
        CHECK_FALSE(value(text));
    }
    CHECK(JsonTree::number(INT64_MIN).as_int() == INT64_MIN);
    CHECK(JsonTree::parse("true").as_bool() == true);
    CHECK_FALSE(JsonTree::parse("1").as_bool());
}

TEST_CASE("Of duplicate keys the last counts, and erasing removes them all") {
    JsonTree tree = JsonTree::parse(R"({"a": 1, "b": 2, "\u0061": 3})");
    CHECK(tree.get("a")->as_int() == 3);
    tree.set("a", JsonTree::number(4));
    CHECK(tree.write() == "{\n  \"a\": 1,\n  \"b\": 2,\n  \"\\u0061\": 4\n}");
    CHECK(tree.erase("a"));
    CHECK(tree.write() == "{\n  \"b\": 2\n}");
    CHECK_FALSE(tree.erase("a"));
}

TEST_CASE("Setting keeps a member's place, and a new one comes last") {
    JsonTree tree = JsonTree::parse(R"({"z": 1, "a": 2, "m": 3})");
    tree.set("a", JsonTree::null());
    tree.set("b", JsonTree::array());
    CHECK(tree.erase("z"));
    CHECK(tree.write() == "{\n  \"a\": null,\n  \"m\": 3,\n  \"b\": []\n}");
}

TEST_CASE("A lone surrogate in a key equals no valid text") {
    const JsonTree tree = JsonTree::parse(R"({"\ud800": 1, "\ud801": 2, "\ufffd": 3})");
    CHECK(tree.get("\xEF\xBF\xBD")->as_int() == 3);
    CHECK(tree.members().size() == 3);
    CHECK(tree.members()[0].first != tree.members()[1].first);
}

TEST_CASE("Looking into what is no object finds nothing") {
    CHECK_FALSE(JsonTree::parse("[1]").get("a"));
    CHECK_FALSE(JsonTree::null().get("a"));
    CHECK(JsonTree::parse("1").members().empty());
    CHECK(std::as_const(*JsonTree::parse(R"({"a": {}})").get("a")).items().empty());
}

TEST_CASE("A large object finds every key while members come, go and change") {
    JsonTree tree = JsonTree::object();
    const auto key = [](int i) { return "vm-" + std::to_string(i); };
    for (int i = 0; i < 20'000; ++i) {
        tree.set(key(i), JsonTree::number(i));
        if (i % 7 == 0) CHECK(tree.get(key(i / 2))->as_int() == i / 2);
    }
    const JsonTree copy = tree;
    for (int i = 0; i < 20'000; i += 1'000) CHECK(tree.erase(key(i)));
    tree.set(key(1'000), JsonTree::number(-1));
    std::size_t wrong = 0;
    for (int i = 0; i < 20'000; ++i) {
        const JsonTree* found = tree.get(key(i));
        const bool right = i == 1'000       ? found && found->as_int() == -1
                           : i % 1'000 == 0 ? !found
                                            : found->as_int() == i;
        if (!right || copy.get(key(i))->as_int() != i) ++wrong;
    }
    CHECK(wrong == 0);
    CHECK(tree.members().back().first == key(1'000));
}

TEST_CASE("A tree may be assigned a part of itself") {
    JsonTree tree = JsonTree::parse(R"({"a": {"b": [1, 2]}})");
    tree = std::move(*tree.get("a"));
    CHECK(tree.write() == "{\n  \"b\": [\n    1,\n    2\n  ]\n}");
    tree = *tree.get("b");
    CHECK(tree.items().size() == 2);
}

namespace {

/// Takes everything below apart, so that nothing is copied from the text.
void take_apart(JsonTree& tree) {
    if (tree.is_array())
        for (JsonTree& item : tree.items()) take_apart(item);
    std::set<std::string> keys; // of duplicates one counts
    for (const auto& [key, value] : std::as_const(tree).members()) keys.insert(key);
    for (const std::string& key : keys) take_apart(*tree.get(key));
}

} // namespace

TEST_CASE("What nobody looked into is written as what was taken apart") {
    const std::vector<std::string> values = {"1",
                                             "\"x\"",
                                             "[]",
                                             "[ ]",
                                             "{}",
                                             "{\n}",
                                             "[1,2]",
                                             "[\n  1\n]",
                                             "{\"b\": 1}",
                                             "{\n      \"b\": [\n        1\n      ]\n    }",
                                             "{\n      \"b\": 1,\n      \"b\": 2\n    }",
                                             "{\n\t\"b\" :1 ,\"c\":2}"};
    for (const std::string& value : values)
        for (const char* around :
             {"{\n  \"a\": {\n    \"r\": %\n  }\n}", "{\"a\": {\"r\": %}}",
              "{\n  \"a\": {\n    \"r\": % ,\n    \"s\": %\n  }\n}", "[\n  [\n    %\n  ]\n]", "%"}) {
            std::string text;
            for (const char* c = around; *c; ++c) text += *c == '%' ? value : std::string(1, *c);
            CAPTURE(text);
            const JsonTree whole = JsonTree::parse(text);
            JsonTree apart = whole;
            take_apart(apart);
            CHECK(whole.write() == apart.write());
            JsonTree moved = JsonTree::object(); // to another level
            moved.set("deeper", whole);
            JsonTree moved_apart = JsonTree::object();
            moved_apart.set("deeper", apart);
            CHECK(moved.write() == moved_apart.write());
        }
}

TEST_CASE("A member is found in the text as by looking into it") {
    const JsonTree tree = JsonTree::parse(
        R"({"a": {"r": {"x": "}\"", "y": [1, {"x": 2}], "\u0078": 3, "z" : -1.5e3 , "w":null}}})");
    const JsonTree record = *tree.get("a")->peek("r");
    for (const char* key : {"x", "y", "z", "w", "r", ""}) {
        CAPTURE(key);
        const auto peeked = record.peek(key);
        const JsonTree looked = record;
        const JsonTree* got = looked.get(key);
        CHECK(peeked.has_value() == (got != nullptr));
        if (peeked && got) CHECK(peeked->write() == got->write());
    }
    CHECK(record.peek("x")->as_int() == 3);
    CHECK_FALSE(JsonTree::parse("[1]").peek("x"));
}

TEST_CASE("Several texts are found in one pass as by looking for each") {
    const JsonTree tree = JsonTree::parse(
        R"({"a": {"r": {"x": "1", "y": "}\u00e9\"", "n": 3, "x": "2", "\u007a": "z", "l": ["x"], "y2": "\ud800"}}})");
    const JsonTree record = *tree.get("a")->peek("r");
    constexpr std::array<std::string_view, 7> keys{"y", "x", "n", "z", "l", "absent", "y2"};
    const std::array<std::string, 7> wanted{"}\u00e9\"", "2", "", "z", "", "", "\uFFFD"};
    CHECK(record.texts(keys) == wanted);
    record.members(); // now somebody has looked
    CHECK(record.texts(keys) == wanted);
    CHECK(JsonTree::parse("[1]").texts(keys) == std::array<std::string, 7>{});
}
