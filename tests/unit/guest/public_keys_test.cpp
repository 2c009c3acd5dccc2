// SPDX-License-Identifier: MIT
// Public keys as OpenSSH reads them: every verdict is ssh-keygen's, but where a comment says otherwise.
#include "guest/public_keys.hpp"

#include "base/error.hpp"
#include "base/process.hpp"
#include "base/text/text.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

using namespace blockhost;
using guest::public_keys;

namespace {

const std::string keygen = "/usr/bin/ssh-keygen";

/// A new key's public line, without its last newline.
std::string new_key(const TemporaryFolder& folder, const std::string& type, const std::string& bits = "") {
    const std::string path = (folder.path / ("key-" + type + bits)).native();
    std::vector<std::string> words{"-q", "-t", type, "-N", "", "-C", "me@home", "-f", path};
    if (!bits.empty()) words.insert(words.end(), {"-b", bits});
    REQUIRE(run({.program = keygen, .arguments = words, .environment = {}, .input = {}}).ok());
    std::ostringstream line;
    line << std::ifstream(path + ".pub").rdbuf();
    return std::string(text::trim(line.str()));
}

bool openssh_takes(const TemporaryFolder& folder, const std::string& content) {
    const std::string path = (folder.path / "asked").native();
    std::ofstream(path, std::ios::binary) << content;
    return run({.program = keygen, .arguments = {"-l", "-f", path}, .environment = {}, .input = {}}).ok();
}

bool we_take(const std::string& content) {
    try {
        return !public_keys(content).empty();
    } catch (const Error& error) {
        CHECK(error.code() == Code::invalid);
        CHECK(std::string(error.what()).find("AAAA") == std::string::npos); // no message repeats a key
        return false;
    }
}

/// The line with its type's word replaced.
std::string as_type(const std::string& line, const std::string& type) {
    return type + line.substr(line.find(' '));
}

} // namespace

TEST_CASE("keys of every type that OpenSSH makes are taken") {
    const TemporaryFolder folder;
    for (const auto& [type, bits] : std::vector<std::pair<std::string, std::string>>{{"ed25519", ""},
                                                                                     {"rsa", "1024"},
                                                                                     {"rsa", "3072"},
                                                                                     {"ecdsa", "256"},
                                                                                     {"ecdsa", "384"},
                                                                                     {"ecdsa", "521"}}) {
        const std::string key = new_key(folder, type, bits);
        CAPTURE(key);
        CHECK(openssh_takes(folder, key + "\n"));
        CHECK(public_keys(key + "\n") == std::vector<std::string>{key});
    }
    // A security key cannot be made without one: its form, with any 32 bytes.
    const std::string sk =
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAECAwQFBgcICQoLDA0O"
        "DxAREhMUFRYXGBkaGxwdHh8gAAAABHNzaDo=";
    CHECK(openssh_takes(folder, sk + "\n"));
    CHECK(we_take(sk));
}

TEST_CASE("files are read as OpenSSH reads them") {
    const TemporaryFolder folder;
    const std::string key = new_key(folder, "ed25519"), other = new_key(folder, "ecdsa", "256");
    const std::string type = key.substr(0, key.find(' ')), body = key.substr(type.size() + 1, 68);
    const std::vector<std::string> good{key,
                                        "\n\n# a comment\n" + key + "\n",
                                        "  # an indented one\n\t" + key + "\n",
                                        type + "\t" + body + "\tme",
                                        type + "  " + body + "   me",
                                        type + " " + body,
                                        type + " " + body + " m\xc3\xbcller \xe2\x9c\x93",
                                        key + "\n" + other + "\n",
                                        key + "\r\n" + other + "\r\n",
                                        "command=\"echo \\\"hi there\\\"\",no-pty " + key,
                                        "from=\"10.0.0.0/8, 192.168.0.0/16\" " + key,
                                        "restrict\t" + key};
    for (const std::string& content : good) {
        CAPTURE(content);
        CHECK(openssh_takes(folder, content));
        CHECK(we_take(content));
    }
    CHECK(public_keys(key + "\n# c\n" + other).size() == 2);
}

TEST_CASE("what is no key is refused, with the line and without its content") {
    const TemporaryFolder folder;
    const std::string key = new_key(folder, "ed25519"), rsa = new_key(folder, "rsa", "2048");
    const std::string type = key.substr(0, key.find(' '));
    const std::vector<std::string> bad{"",
                                       "\n# only a comment\n",
                                       type,
                                       type + " ",
                                       type + " AAAA=",
                                       type + " AAAA",
                                       type + " x\"]}",
                                       key.substr(0, 60),
                                       as_type(key, "ssh-rsa"),
                                       as_type(rsa, "ssh-ed25519"),
                                       as_type(key, "ssh-unknown"),
                                       rsa.substr(0, 200),
                                       "AAAA " + key.substr(20),
                                       "\xef\xbb\xbf" + key,
                                       std::string("-----BEGIN OPENSSH") + " PRIVATE KEY-----\nAAAA\n"};
    for (const std::string& content : bad) {
        CAPTURE(content);
        CHECK_FALSE(openssh_takes(folder, content));
        CHECK_FALSE(we_take(content));
    }
    CHECK_THROWS_WITH(public_keys(key + "\n\nnonsense\n"),
                      Catch::Contains("line 3")); // OpenSSH passes over it
    CHECK_THROWS_WITH(public_keys("PuTTY-User-Key-File\n"), Catch::Contains("line 1"));
}

TEST_CASE("a line that would write to a terminal, or is not UTF-8, is refused") {
    const TemporaryFolder folder;
    const std::string key = new_key(folder, "ed25519");
    for (const std::string& comment :
         {std::string("\x1b[0m"), std::string("m\xfcller"), std::string("a\0b", 3)})
        CHECK_FALSE(we_take(key + " " + comment)); // OpenSSH passes it on
}
