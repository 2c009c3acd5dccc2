// SPDX-License-Identifier: MIT
// Passwords wrapped under a recovery code: what opens them, and what does not.
#include "backup/keys/escrow.hpp"

#include "base/error.hpp"
#include "base/text/base64.hpp"
#include "base/text/text.hpp"

#include <catch2/catch.hpp>
#include <functional>
#include <set>

using namespace blockhost;
using namespace blockhost::backup;

namespace {

constexpr const char* instance_id = "0123456789abcdef0123456789abcdef";
const std::string password = "a password of \"some\" length";
const Escrow example = RepositoryPassword{"sftp:backup@far:/srv/host-a", std::string(64, 'a'), password};
const InstanceId host = *InstanceId::try_parse(instance_id);

Code code_of(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.code();
    }
    return Code::internal;
}

Code opened(const std::string& text, const RecoveryCode& code) {
    return code_of([&] { unwrap(text, code); });
}

/// With the bytes behind the head, or what stands before them, changed.
std::string with_bytes(const std::string& text, const std::function<void(std::string&)>& change) {
    const auto words = text::split(text::trim(text), ' ');
    std::string bytes = base64::decode(words[3]).value();
    change(bytes);
    return words[0] + " " + words[1] + " " + words[2] + " " + base64::encode(bytes) + "\n";
}

/// Made by the first version: every later one has to open it.
constexpr const char* first_code = "WN7JY-QW8EA-QZYXN-RATV4-JTZK3-BF2Y9-KTFCF";
constexpr const char* first_text =
    "blockhost-recovery 1 0123456789abcdef0123456789abcdef "
    "7zZvWG9MZNfMhyoEJTKorniHyjID+nZEbiivO8wul6jJ2rNxOxAq4wyxuh2Vy+F6ZYEHNIhcca4vQXcg6wVPYkew4ZyY2SJ/"
    "e2hQhHblzrngleAMp0uC7mcyJ3GnZ86rkzwAcVH58uvlbQTJfuBIiWIQo/JEA2u7rkwrtaxteIvOchP6wWlgEUrV01nE82El"
    "kao9nn1IdBQwjYTRC1CjSSpHvMTmZkdiOE+e+mNGXwyRKV7DqKty4KKZquMY+a2/827HahifiHgG3bALZ9pPCPi6TCdO65NZ"
    "sSjK1O8R6OlBlVo/TW6lfMuaT/pglJaFRJiopnkIPdcg81BFdGhkQREJTWHdjPT9ORQXI+hDgWxo4C0u99fd6XdatFJ7Lpne"
    "F+7sbe6X0MSlESx+u8u+OeFSCGjzjI2zt2NKQpGsaSSCVBUBkabdsomT8EKA0iNVfago5iTw/HJISuAwHlCnCxpLKqNQhhbD"
    "zqsQ7aCgKX1kBbDjXltNsBSIER7eSZ35gQXZNUZ/OzthfJ7StchmQbMlS/FKzmNd1vYoqCBOZu4uGQoNaPg22jNVNWli6t8R"
    "7OxNE1i20n4n9kEU8X9fXM9SoRZ1tmfxSqfQRzyLpBRss9Bf1slnaQJefxG0HhjTr3QZJ4VrFzUD5zkEF5h0rJJOHuVzHXZH"
    "LnkKSt7nvpvnzZtnXIutUHBf3rgfeQsaC/6P/uLY3dogvBP//ftDV2V+FJfZa+Q3Ej+DaSLBCsbufDCIoLZAUw==\n";

} // namespace

TEST_CASE("what was wrapped is opened by its code, whatever stands around the text") {
    const RecoveryCode code = RecoveryCode::random();
    const std::string text = wrap(example, host, code);
    const Unwrapped found = unwrap("\n  " + text + "\r\n", RecoveryCode::parse(code.text()));
    CHECK(found.escrow == example);
    CHECK(found.instance == host);
    CHECK(instance_of(text) == host);
    CHECK(text.find(password) == text.npos);
    CHECK(wrap(example, host, code) != text);
    CHECK(wrap(RepositoryPassword{"/srv", "", "p"}, host, code).size() == text.size());
}

TEST_CASE("what the first version wrapped is opened") {
    const Unwrapped found = unwrap(first_text, RecoveryCode::parse(first_code));
    CHECK(found.escrow == example);
    CHECK(found.instance == host);
}

TEST_CASE("another code opens nothing") {
    const std::string text = wrap(example, host, RecoveryCode::random());
    CHECK(opened(text, RecoveryCode::random()) == Code::denied);
    CHECK(opened(first_text, RecoveryCode::random()) == Code::denied);
}

TEST_CASE("a text that says it is of another host is refused") {
    std::string text = first_text;
    const auto at = text.find(instance_id);
    REQUIRE(at != text.npos);
    text[at] = text[at] == '0' ? '1' : '0';
    CHECK(opened(text, RecoveryCode::parse(first_code)) == Code::denied);
}

TEST_CASE("a text is refused with any byte of it changed or missing", "[slow]") {
    const RecoveryCode code = RecoveryCode::parse(first_code);
    const std::string text(text::trim(first_text));
    const auto refused = [&](const std::string& changed) {
        const Code found = opened(changed, code);
        return found == Code::denied || found == Code::invalid;
    };
    // Every character of the head, and a character of the rest for each bit that it can have wrong.
    const std::size_t head = text.rfind(' ') + 1;
    for (std::size_t i = 0; i < text.size(); i += i < head ? 1 : 101) {
        std::string changed = text;
        changed[i] = static_cast<char>(changed[i] ^ (1 << i % 7));
        INFO(i);
        CHECK(refused(changed));
    }
    std::string unused = text; // bits of the last symbol that no byte has
    const std::size_t end = unused.find('=');
    REQUIRE(end != unused.npos);
    unused[end - 1] = static_cast<char>(unused[end - 1] + 1);
    CHECK(refused(unused));
    for (const std::size_t left : {std::size_t{0}, head, head + 40, text.size() - 4, text.size() - 1})
        CHECK(refused(text.substr(0, left)));
    for (const std::size_t i : {0, 15, 16, 39, 40, 551, 552, 567})
        CHECK(refused(with_bytes(text, [&](std::string& bytes) { bytes[i] ^= 1; })));
    CHECK(refused(with_bytes(text, [](std::string& bytes) { bytes += '\0'; })));
    CHECK(refused(with_bytes(text, [](std::string& bytes) { bytes.pop_back(); })));
}

TEST_CASE("what is no wrapped text is told before the code is used") {
    const std::string text = first_text, rest = text.substr(text.find(' '));
    for (const std::string& other :
         {std::string(), std::string("hello"), "blockhost-recovery 2" + rest.substr(2), "other" + rest,
          text + " more", std::string("blockhost-recovery 1 ") + instance_id,
          std::string(largest_wrapped + 1, 'a'),
          with_bytes(text, [](std::string& bytes) { bytes.resize(500); })}) {
        CHECK(code_of([&] { instance_of(other); }) == Code::invalid);
        CHECK(opened(other, RecoveryCode::parse(first_code)) == Code::invalid);
    }
    CHECK(code_of([&] {
              wrap(RepositoryPassword{std::string(30000, 'a'), "", ""}, host, RecoveryCode::random());
          }) == Code::invalid);
}

TEST_CASE("a code is seven groups of five, without look-alikes, and no two are the same") {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const std::string text = RecoveryCode::random().text();
        CHECK(text.size() == 7 * 5 + 6);
        CHECK(text.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ-") == text.npos);
        CHECK(RecoveryCode::parse(text).text() == text);
        seen.insert(text);
    }
    CHECK(seen.size() == 100);
}

TEST_CASE("a code is read as people type it") {
    const std::string code = RecoveryCode::parse(first_code).text();
    CHECK(code == first_code);
    std::string typed = " " + text::lower(code) + "\r\n";
    for (char& c : typed) {
        if (c == '-') c = ' ';
        if (c == '0') c = 'o';
        if (c == '1') c = 'l';
    }
    CHECK(RecoveryCode::parse(typed).text() == code);
}

TEST_CASE("a mistyped code is told apart from a wrong one, and never quoted") {
    const std::string code = first_code;
    std::size_t taken = 0;
    for (std::size_t i = 0; i < code.size(); ++i) {
        if (code[i] == '-') continue;
        for (const char other : std::string_view("07ACHZ")) {
            if (other == code[i]) continue;
            std::string typed = code;
            typed[i] = other;
            try {
                RecoveryCode::parse(typed);
                ++taken;
            } catch (const Error& error) {
                CHECK(error.code() == Code::invalid);
                CHECK((error.message() + error.hint()).find(code.substr(0, 5)) == std::string::npos);
            }
        }
    }
    CHECK(taken == 0);
    std::string swapped = code;
    std::swap(swapped[0], swapped[1]);
    for (const std::string& typed : {std::string(), code.substr(1), code + "0", "U" + code.substr(1),
                                     "\xc3\xa4" + code, std::string(4000, '0'), swapped})
        CHECK(code_of([&] { RecoveryCode::parse(typed); }) == Code::invalid);
}

TEST_CASE("the key of a Backup Server's storage is wrapped likewise") {
    const RecoveryCode code = RecoveryCode::random();
    const StorageKey key{"pbs-1", R"({"kdf":null,"created":"2026-01-01T00:00:00Z","data":"AAAA"})"
                                  "\n"};
    require_storage_key(key.key, "the key");
    const std::string text = wrap(key, host, code);
    CHECK(text.find("pbs-1") == text.npos);
    CHECK(unwrap(text, code).escrow == Escrow(key));
}

TEST_CASE("what is no key of a storage is refused before it is wrapped") {
    for (const std::string& content : {std::string(), std::string("{"), std::string("[]"), std::string("{}"),
                                       std::string(R"({"data":""})"), std::string(R"({"data":1})"),
                                       R"({"data":")" + std::string(4096, 'a') + "\"}"})
        CHECK(code_of([&] { require_storage_key(content, "the key"); }) == Code::invalid);
}
