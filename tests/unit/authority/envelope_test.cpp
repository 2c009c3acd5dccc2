// SPDX-License-Identifier: MIT
// Envelopes: exactly one form, and a sentence for each other one.
#include "authority/envelope.hpp"

#include "base/text/json.hpp"
#include "tests/unit/authority/keys.hpp"
#include "tests/unit/platform/different_actions.hpp"

#include <boost/json/array.hpp>
#include <set>

using namespace blockhost;
using namespace blockhost::authority;

namespace {

Envelope example() {
    return {.operation = "op-1",
            .host = "host-a",
            .target = {"web-001", "uuid:1"},
            .change = platform::Action(platform::Destroy{}),
            .not_before = *parse_instant("2030-01-01T00:00:00Z"),
            .not_after = *parse_instant("2030-01-02T00:00:00Z"),
            .nonce = std::string(32, 'a'),
            .guest_digest = "d"};
}

std::string sentence(const std::string& text) {
    const auto [code, message] = refusal([&] { parse_envelope(text); });
    CHECK((code == Code::invalid || message == "nothing was refused"));
    return message;
}

boost::json::value text_value(std::string_view text) {
    return boost::json::value(text);
}

/// The example with one member of it set, or taken away by null; `path` of two parts reaches into a member.
std::string with(std::initializer_list<const char*> path, const boost::json::value& value) {
    boost::json::value document = json::parse(to_text(example()), "it");
    boost::json::object* at = &document.get_object();
    for (auto step = path.begin(); step != path.end() - 1; ++step) at = &at->at(*step).get_object();
    if (value.is_null())
        at->erase(*(path.end() - 1));
    else
        (*at)[*(path.end() - 1)] = value;
    return json::python_line(document);
}

} // namespace

TEST_CASE("an envelope comes back as it was written") {
    const Envelope made = example(), read = parse_envelope(to_text(made));
    CHECK(read.operation == made.operation);
    CHECK(read.host == made.host);
    CHECK(read.target == made.target);
    CHECK(canonical(read.change) == canonical(made.change));
    CHECK(read.not_before == made.not_before);
    CHECK(read.not_after == made.not_after);
    CHECK(read.nonce == made.nonce);
    CHECK(read.guest_digest == made.guest_digest);
    CHECK(to_text(read) == to_text(made));
}

TEST_CASE("a rotation of keys comes back as it was written") {
    Envelope made = example();
    made.target = {};
    made.guest_digest.clear();
    made.change = RotateKeys{std::string(64, 'a'), ""};
    CHECK(to_text(parse_envelope(to_text(made))) == to_text(made));
    CHECK(name_of(made.change) == "rotate-keys");
}

TEST_CASE("the text of an envelope is what docs say") {
    CHECK(
        to_text(example()) ==
        R"({"version": 1, "operation": "op-1", "host": "host-a", )"
        R"("target": {"guest": "web-001", "incarnation": "uuid:1"}, "action": {"kind": "destroy"}, )"
        R"("digests": {"change": ")" +
            digest_of(example().change) +
            R"(", "guest": "d"}, "not_before": "2030-01-01T00:00:00Z", "not_after": "2030-01-02T00:00:00Z", )"
            R"("nonce": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})");
}

TEST_CASE("each way of being no envelope has its own sentence") {
    std::string twice = to_text(example());
    twice.insert(1, "\"host\": \"host-b\", ");
    std::string deep = with({"host"}, "DEEP");
    deep.replace(deep.find("\"DEEP\""), 6, std::string(20, '[') + std::string(20, ']'));
    std::string no_text = with({"host"}, "BYTE");
    no_text.replace(no_text.find("BYTE"), 4, "\xff");
    const std::vector<std::string> bad{"",
                                       "nonsense",
                                       "[]",
                                       to_text(example()).substr(0, 100),
                                       to_text(example()) + "x",
                                       to_text(example()) + std::string(largest_envelope, ' '),
                                       twice,
                                       deep,
                                       no_text,
                                       with({"version"}, 2),
                                       with({"version"}, "1"),
                                       with({"version"}, nullptr),
                                       with({"surplus"}, 1),
                                       with({"operation"}, ""),
                                       with({"operation"}, nullptr),
                                       with({"host"}, "two words"),
                                       with({"host"}, 7),
                                       with({"target", "incarnation"}, nullptr),
                                       with({"target", "surplus"}, 1),
                                       with({"action", "kind"}, "explode"),
                                       with({"action", "surplus"}, 1),
                                       with({"digests", "change"}, text_value(std::string(64, '0'))),
                                       with({"digests", "surplus"}, "x"),
                                       with({"digests"}, nullptr),
                                       with({"not_before"}, "2030-01-01"),
                                       with({"not_after"}, "2030-01-02T00:00:00+00:00"),
                                       with({"not_after"}, "2030-01-01T00:00:00Z"),
                                       with({"not_after"}, "2030-03-01T00:00:00Z"),
                                       with({"nonce"}, "short"),
                                       with({"nonce"}, nullptr)};
    std::set<std::string> sentences;
    for (const std::string& text : bad) {
        CAPTURE(text.substr(0, 300));
        CHECK(sentence(text) != "nothing was refused");
        sentences.insert(sentence(text));
    }
    CHECK(sentences.size() == bad.size());
}

TEST_CASE("a control character in a host's name or an operation's id is refused") {
    for (const char* bad : {"a\n", "a\x7f", "\xc3\xa9", "a b"}) {
        CHECK(sentence(with({"host"}, bad)).find("\"host\"") != std::string::npos);
        CHECK(sentence(with({"operation"}, bad)).find("\"operation\"") != std::string::npos);
    }
    CHECK(sentence(with({"nonce"}, text_value(std::string(32, 'A')))).find("\"nonce\"") != std::string::npos);
}

TEST_CASE("a signed operation keeps the bytes that are signed") {
    // Same JSON, other bytes: blanks and escapes stay as they are.
    const std::string bytes = "{ \"a\" :\t1, \"b\": \"\\u0041 é\\n\" }\n";
    const SignedOperation read = parse_signed_operation(to_text(SignedOperation{bytes, {"one", "two\n"}}));
    CHECK(read.envelope == bytes);
    CHECK(read.signatures == std::vector<std::string>{"one", "two\n"});
}

TEST_CASE("each way of being no signed operation has its own sentence") {
    const auto refused = [](const std::string& text) {
        return refusal([&] { parse_signed_operation(text); }).second;
    };
    std::set<std::string> sentences;
    const std::string many = to_text(SignedOperation{"x", std::vector<std::string>(5, "s")});
    const std::string large = to_text(SignedOperation{"x", {std::string(largest_signature + 1, 's')}});
    for (const std::string& text :
         {std::string(), std::string("{}"),
          std::string(R"({"version": 2, "envelope": "", "signatures": []})"),
          std::string(R"({"version": 1, "envelope": 1, "signatures": []})"),
          std::string(R"({"version": 1, "envelope": "", "signatures": "x"})"),
          std::string(R"({"version": 1, "envelope": "", "signatures": [1]})"),
          std::string(R"({"version": 1, "envelope": "", "signatures": [], "more": 1})"), many, large,
          std::string(largest_signed_operation + 1, ' ')}) {
        CHECK(refused(text) != "nothing was refused");
        sentences.insert(refused(text));
    }
    CHECK(sentences.size() == 10);
}

TEST_CASE("a change is described in one printable line") {
    CHECK(described(platform::Action(platform::Destroy{})) == "destroy");
    CHECK(described(platform::Action(platform::DeleteSnapshot{"s\n1"})) == "delete-snapshot s\\x0a1");
    CHECK(described(platform::Action(platform::Stop{})) == "stop patience_s=180 force=false");
}

TEST_CASE("every parameter of every action is in what is signed") {
    const auto actions = platform::all_different();
    std::set<std::string> texts, digests;
    for (const platform::Action& action : actions) {
        texts.insert(canonical(action));
        digests.insert(digest_of(action));
    }
    CHECK(texts.size() == actions.size());
    CHECK(digests.size() == actions.size());
}
