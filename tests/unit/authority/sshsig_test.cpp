// SPDX-License-Identifier: MIT
// The form of signatures.
#include "authority/sshsig.hpp"

#include "base/text/base64.hpp"
#include "tests/unit/authority/keys.hpp"

#include <set>

using namespace blockhost;
using namespace blockhost::authority;

namespace {

std::string text_of(std::string_view bytes) {
    const auto n = static_cast<unsigned>(bytes.size());
    return {std::string{static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
                        static_cast<char>(n)} +
            std::string(bytes)};
}

std::string armored(std::string_view blob) {
    return "-----BEGIN SSH SIGNATURE-----\n" + base64::encode(blob) + "\n-----END SSH SIGNATURE-----\n";
}

std::string blob(std::string_view rest = {}, char version = 1) {
    return "SSHSIG" + std::string{0, 0, 0, version} + text_of(text_of("ssh-ed25519") + text_of("key")) +
           text_of("file") + text_of("") + text_of("sha512") + text_of("signature") + std::string(rest);
}

std::string form_refusal(const std::string& text) {
    return refusal([&] { parse_signature(text); }).second;
}

} // namespace

TEST_CASE("what ssh-keygen writes is taken, with its key's type and its namespace") {
    Keys keys;
    keys.make("k");
    const SignatureForm form = parse_signature(keys.sign("k", "bytes", "some@namespace"));
    CHECK(form.key_type == "ssh-ed25519");
    CHECK(form.name_space == "some@namespace");
}

TEST_CASE("each way of being no signature has its sentence") {
    CHECK(parse_signature(armored(blob())).name_space == "file");
    std::set<std::string> sentences;
    for (const std::string& text :
         {std::string("nonsense"), std::string("-----BEGIN SSH SIGNATURE-----\nAAAA\n"),
          std::string("-----BEGIN SSH SIGNATURE-----\n!!!!\n-----END SSH SIGNATURE-----"),
          armored(blob({}, 2)), armored(blob("more")),
          armored("SSHSIG" + std::string{0, 0, 0, 1} + text_of("") + text_of("file") + text_of("") +
                  text_of("sha512") + text_of("signature"))})
        sentences.insert(form_refusal(text));
    CHECK(sentences.size() == 6);
    CHECK_FALSE(sentences.contains("nothing was refused"));
}

TEST_CASE("a signature that is cut off anywhere is refused") {
    const std::string whole = blob();
    for (std::size_t length = 0; length < whole.size(); ++length)
        CHECK(refusal([&] { parse_signature(armored(whole.substr(0, length))); }).first == Code::invalid);
}

TEST_CASE("a security key's signature tells whether the key was touched") {
    const auto untouched = [](const std::string& type, const std::string& behind) {
        return parse_signature(armored("SSHSIG" + std::string{0, 0, 0, 1} +
                                       text_of(text_of(type) + text_of("key")) + text_of("file") +
                                       text_of("") + text_of("sha512") +
                                       text_of(text_of(type) + text_of("raw") + behind)))
            .untouched;
    };
    const std::string counter{0, 0, 0, 9};
    for (const char* type : {"sk-ssh-ed25519@openssh.com", "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"}) {
        CHECK_FALSE(untouched(type, "\x01" + counter));
        CHECK_FALSE(untouched(type, "\x05" + counter));
        CHECK(untouched(type, std::string(1, 0) + counter));
        CHECK(untouched(type, "\x04" + counter));
        CHECK(untouched(type, ""));
    }
    CHECK_FALSE(untouched("ssh-ed25519", ""));
}
