// SPDX-License-Identifier: MIT
// Who signed, by real keys.
#include "tests/unit/authority/keys.hpp"

#include <set>
#include <sys/stat.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::authority;

namespace {

const std::string bytes = "what is signed\n";

Signer signer(const std::string& signature, const std::string& allowed, Instant at = now(),
              const std::string& revoked = {}) {
    return signer_of(bytes, signature, {allowed + "\n", revoked}, at);
}

std::string denial(const std::function<void()>& call) {
    const auto [code, sentence] = refusal(call);
    CHECK(code == Code::denied);
    return sentence;
}

} // namespace

TEST_CASE("a key of every type that is made here is found by its material") {
    Keys keys;
    const std::vector<std::pair<std::string, std::vector<std::string>>> types{
        {"ED25519", {"-t", "ed25519"}},
        {"ECDSA", {"-t", "ecdsa", "-b", "384"}},
        {"RSA", {"-t", "rsa", "-b", "2048"}}};
    for (const auto& [type, arguments] : types) {
        const std::string line = keys.make(type, arguments);
        const Signer found = signer(keys.sign(type, bytes), "# people\nsomebody " + line);
        CHECK(found.principals == std::vector<std::string>{"somebody"});
        CHECK(found.key_type == type);
        CHECK(found.key.starts_with("SHA256:"));
    }
}

TEST_CASE("a certificate's signer is the principal in it, and its key is the one below") {
    Keys keys;
    const std::string authority = keys.make("ca");
    const std::string plain = keys.make("k");
    keygen(keys.folder, {"-q", "-s", "ca", "-I", "id", "-n", "alice", "-V", "-1h:+1h", "k.pub"});
    const std::string signature = keys.sign("k-cert.pub", bytes);
    const Signer found = signer(signature, "alice cert-authority " + authority);
    CHECK(found.principals == std::vector<std::string>{"alice"});
    CHECK(found.key_type == "ED25519-CERT");
    CHECK(found.key == signer(keys.sign("k", bytes), "alice " + plain).key);
    // By the clock that is given, not by the host's.
    CHECK(denial([&] {
              signer(signature, "alice cert-authority " + authority, now() + std::chrono::hours(2));
          }).starts_with("ED25519-CERT key " + found.key));
    CHECK(denial([&] {
              signer(signature, "bob cert-authority " + authority);
          }).find("none of an allowed signer") != std::string::npos);
}

TEST_CASE("each bad signature is refused with its own sentence") {
    Keys keys;
    const std::string mine = keys.make("mine"), other = keys.make("other");
    const std::string good = keys.sign("mine", bytes);
    const std::string key = signer(good, "me " + mine).key;
    std::set<std::string> sentences;
    const auto expect = [&](const std::function<void()>& call, const std::string& beginning) {
        const std::string sentence = denial(call);
        CHECK(sentence.starts_with(beginning));
        sentences.insert(sentence);
    };
    expect([&] { signer(keys.sign("mine", bytes, "file"), "me " + mine); },
           "a signature is for \"file\", and not for operations of this program");
    expect([&] { signer(keys.sign("mine", "other bytes"), "me " + mine); },
           "a signature is not one of these bytes");
    expect([&] { signer(good, "me " + other); }, "ED25519 key " + key + " is none of an allowed signer");
    expect([&] { signer(good, "me valid-before=\"20200101\" " + mine); },
           "ED25519 key " + key + " is not allowed to sign at this time");
    expect([&] { signer(good, "me namespaces=\"file\" " + mine); },
           "ED25519 key " + key + " of me is not allowed for operations of this program");
    expect([&] { signer(good, "me " + mine, now(), mine + "\n"); },
           "ED25519 key " + key + " of me is revoked");
    expect([&] { signer(good, "*@example.org " + mine); },
           "ED25519 key " + key + " is allowed for a pattern of names");
    CHECK(sentences.size() == 7);
    // The same where nothing is wrong.
    CHECK(signer(good, "me namespaces=\"" + std::string(name_space) + "\",valid-after=\"20200101\" " + mine,
                 now(), other + "\n")
              .key == key);
}

TEST_CASE("a revocation list by OpenSSH's own format holds") {
    Keys keys;
    const std::string mine = keys.make("mine");
    keys.make("other");
    keygen(keys.folder, {"-q", "-k", "-f", "revoked", "mine.pub"});
    const std::string list = *files::read(keys.folder.path / "revoked");
    CHECK(denial([&] {
              signer(keys.sign("mine", bytes), "me " + mine, now(), list);
          }).ends_with("of me is revoked"));
    CHECK_NOTHROW(signer(keys.sign("other", bytes), "me " + keys.line("other"), now(), list));
}

TEST_CASE("valid-after is judged by the time that is given") {
    Keys keys;
    const std::string mine = keys.make("mine");
    const std::string allowed = "me valid-after=\"20300101\" " + mine, signature = keys.sign("mine", bytes);
    CHECK_THROWS_AS(signer(signature, allowed, *parse_instant("2029-12-30T00:00:00Z")), Error);
    CHECK_NOTHROW(signer(signature, allowed, *parse_instant("2030-01-02T00:00:00Z")));
}

TEST_CASE("files of trust that others may write, or that are missing, are refused") {
    TemporaryFolder place;
    const auto file = place.path / "allowed", list = place.path / "revoked";
    const auto code = [&] { return refusal([&] { read_trust_files(file, list); }).first; };
    CHECK(code() == Code::config); // there is none
    std::ofstream(file) << "me ssh-ed25519 AAAA\n";
    CHECK(code() == Code::config); // there is no list
    std::ofstream(list) << "ssh-ed25519 AAAA\n";
    REQUIRE((chmod(file.c_str(), 0644) == 0 && chmod(list.c_str(), 0644) == 0));
    CHECK(read_trust_files(file, list).revoked == "ssh-ed25519 AAAA\n");
    CHECK(read_trust_files(file, {}).revoked.empty());
    REQUIRE(chmod(list.c_str(), 0664) == 0);
    CHECK(code() == Code::config);
    REQUIRE((chmod(list.c_str(), 0644) == 0 && chmod(file.c_str(), 0602) == 0));
    CHECK(code() == Code::config);
    if (geteuid() != 0) return;
    REQUIRE((chmod(file.c_str(), 0644) == 0 && chown(file.c_str(), 65534, 65534) == 0));
    CHECK(code() == Code::config);
}

TEST_CASE("a key signs what is verified again") {
    Keys keys;
    const std::string mine = keys.make("mine");
    const std::string signature = sign(bytes, keys.folder.path / "mine", {}, {});
    CHECK(signer(signature, "me " + mine).principals == std::vector<std::string>{"me"});
}

TEST_CASE("a key that is missing or wants a passphrase that nobody can be asked for is told of") {
    Keys keys;
    keygen(keys.folder, {"-q", "-t", "ed25519", "-N", "secret", "-f", "locked"});
    unsetenv("SSH_ASKPASS");
    unsetenv("SSH_AUTH_SOCK");
    CHECK(refusal([&] { sign(bytes, keys.folder.path / "none", {}, {}); }).first == Code::program);
    CHECK(refusal([&] { sign(bytes, keys.folder.path / "locked", {}, {}); }).first == Code::program);
}
