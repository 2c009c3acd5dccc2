// SPDX-License-Identifier: MIT
// Roles: who may sign what, and when two are wanted.
#include "authority/roles.hpp"

#include "tests/unit/authority/keys.hpp"

#include <set>

using namespace blockhost;
using namespace blockhost::authority;

namespace {

const Change destroy = platform::Action(platform::Destroy{});
const Change rotate = RotateKeys{};
const Change forget = platform::Action(platform::DeleteBackup{"b"});

Signer by(const std::string& principal, const std::string& key) {
    return {{principal}, "SHA256:" + key, "ED25519"};
}

std::string denial(const Roles& roles, const std::vector<Signer>& signers, const Change& change) {
    const auto [code, sentence] = refusal([&] { require_may_sign(roles, signers, change); });
    if (sentence != "nothing was refused") CHECK(code == Code::denied);
    return sentence;
}

Roles roles() {
    Roles all{built_in_roles(), {"destroy"}};
    all.all.push_back({"janitor", {"jo"}, {"delete-backup"}});
    return all;
}

} // namespace

TEST_CASE("an operator may sign everything, recovery only new keys, others what they are declared for") {
    const Roles plain{roles().all, {}};
    for (const Change& change : {destroy, rotate, forget})
        CHECK(denial(plain, {by("operator", "1")}, change) == "nothing was refused");
    CHECK(denial(plain, {by("recovery", "1")}, rotate) == "nothing was refused");
    CHECK(denial(plain, {by("recovery", "1")}, destroy) ==
          "recovery (ED25519 key SHA256:1) has the role recovery, which may not sign destroy");
    CHECK(denial(plain, {by("jo", "1")}, forget) == "nothing was refused");
    CHECK(denial(plain, {by("jo", "1")}, rotate) ==
          "jo (ED25519 key SHA256:1) has the role janitor, which may not sign rotate-keys");
}

TEST_CASE("two signers are two keys") {
    std::set<std::string> sentences;
    const auto note = [&](const std::string& sentence) {
        CHECK(sentence != "nothing was refused");
        sentences.insert(sentence);
    };
    CHECK(signers_for(roles(), destroy) == 2);
    CHECK(signers_for(roles(), forget) == 1);
    CHECK(denial(roles(), {by("operator", "1"), by("operator", "2")}, destroy) == "nothing was refused");
    note(denial(roles(), {}, destroy));
    note(denial(roles(), {by("operator", "1")}, destroy));
    note(denial(roles(), {by("operator", "1"), by("operator", "1")}, destroy));
    note(denial(roles(), {by("operator", "1"), by("nobody", "2")}, destroy));
    note(denial(roles(), {by("operator", "1"), by("jo", "2")}, destroy));
    CHECK(sentences.size() == 5);
}

TEST_CASE("a second signature by somebody without the role spoils the first") {
    CHECK(denial(roles(), {by("operator", "1"), by("nobody", "2")}, forget) ==
          "nobody (ED25519 key SHA256:2) has no role");
}
