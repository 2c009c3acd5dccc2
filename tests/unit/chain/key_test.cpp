// SPDX-License-Identifier: MIT
// The key: what is refused, whose address it is, what it signs, and where it is meanwhile.
#include "chain/evm/key.hpp"

#include "base/error.hpp"
#include "chain/evm/keccak.hpp"
#include "chain/evm/vault.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <cstdio>
#include <fstream>
#include <secp256k1_recovery.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::chain;

namespace {

/// The number as a key is spelled.
std::string digits(unsigned number) {
    return hex(to_word(number)).substr(2);
}

struct File {
    TemporaryFolder folder;
    std::filesystem::path path = folder.path / "key";
    explicit File(const std::string& text, mode_t mode = 0600) {
        std::ofstream(path) << text;
        REQUIRE(chmod(path.c_str(), mode) == 0);
    }
    KeyFile key() const { return KeyFile(path, key_keepers(folder.path)); }
    std::string refusal() const {
        try {
            return "it is " + key().account().str();
        } catch (const Error& error) {
            CHECK(error.code() == Code::config);
            return error.message().substr(error.message().rfind('/') + 1);
        }
    }
};

/// Who signed `hash`, as contracts find out.
Address signer_of(const Hash& hash, const Signature& signature) {
    auto* context = secp256k1_context_create(SECP256K1_CONTEXT_VERIFY);
    std::array<std::uint8_t, 64> spelled{};
    std::copy(signature.r.begin(), signature.r.end(), spelled.begin());
    std::copy(signature.s.begin(), signature.s.end(), spelled.begin() + 32);
    secp256k1_ecdsa_recoverable_signature read;
    secp256k1_pubkey point;
    REQUIRE(secp256k1_ecdsa_recoverable_signature_parse_compact(context, &read, spelled.data(),
                                                                signature.y_is_odd));
    REQUIRE(secp256k1_ecdsa_recover(context, &point, &read, hash.data()));
    std::array<std::uint8_t, 65> key{};
    std::size_t size = key.size();
    secp256k1_ec_pubkey_serialize(context, key.data(), &size, &point, SECP256K1_EC_UNCOMPRESSED);
    secp256k1_context_destroy(context);
    Hash word = keccak256(View(key).subspan(1));
    std::fill_n(word.begin(), 12, std::uint8_t(0));
    return *Address::of_word(word);
}

/// The VmFlags of the mapping that `at` lies in (proc(5)).
std::string flags_of(const void* at) {
    std::ifstream maps("/proc/self/smaps");
    const auto wanted = reinterpret_cast<std::uintptr_t>(at);
    bool inside = false;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t first = 0, last = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2)
            inside = first <= wanted && wanted < last;
        if (inside && line.starts_with("VmFlags:")) return line + " ";
    }
    return "";
}

} // namespace

TEST_CASE("a key speaks for its address") {
    CHECK(File(digits(1)).key().account().str() == "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
    CHECK(File("0x" + digits(2) + "\n").key().account().str() ==
          "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF");
    CHECK(File(digits(1), 0640).refusal() == "it is 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
}

TEST_CASE("what is signed can be checked") {
    const KeyFile key = File(digits(1)).key(); // its file is gone by now
    CHECK_THROWS_WITH(key.account(), Catch::Contains("is missing"));
    const File file(digits(3));
    const Address account = file.key().account();
    for (const char* text : {"", "a", "b"}) {
        const Hash hash = keccak256(text);
        CHECK(signer_of(hash, file.key().sign(hash, account)) == account);
    }
    CHECK_THROWS_WITH(file.key().sign(keccak256(""), Address()), Catch::Contains("was changed meanwhile"));
}

TEST_CASE("files that are no keys") {
    CHECK(File("").refusal() == "key is empty");
    CHECK(File(" \n\n").refusal() == "key is empty");
    const std::string no_key = "key holds no key: it is not 64 hex digits";
    CHECK(File(digits(1).substr(1)).refusal() == no_key);
    CHECK(File(digits(1) + "0").refusal() == no_key);
    CHECK(File("0x0x" + digits(1)).refusal() == no_key);
    CHECK(File(digits(1) + "\n" + digits(1)).refusal() == no_key);
    CHECK(File(std::string(64, 'g')).refusal() == no_key);
    CHECK(File(std::string(5000, '1')).refusal() == no_key);
    CHECK(File(digits(0)).refusal() == "key holds a number that is no key of secp256k1");
    CHECK(File(std::string(64, 'f')).refusal() == "key holds a number that is no key of secp256k1");
}

TEST_CASE("files that others may read or change") {
    for (mode_t mode : {0604u, 0602u, 0601u, 0620u, 0660u, 0644u, 0777u}) {
        CAPTURE(mode);
        CHECK(File(digits(1), mode).refusal().starts_with("key can be read or changed by others (mode 0"));
    }
    if (geteuid() != 0) return;
    const File others(digits(1));
    REQUIRE(chown(others.path.c_str(), 12345, 0) == 0);
    CHECK(others.refusal() == "key belongs to user 12345");
    const File group(digits(1), 0640);
    REQUIRE(chown(group.path.c_str(), 0, 12345) == 0);
    CHECK(group.refusal() == "key can be read or changed by others (mode 0640)");
    REQUIRE(chown(group.folder.path.c_str(), 12345, 12345) == 0); // BlockHost's own user and group
    CHECK(group.refusal().starts_with("it is "));
}

TEST_CASE("a group that the caller alone is in may not read the key") {
    if (geteuid() != 0) return;
    const File file(digits(1), 0640);
    REQUIRE(chown(file.path.c_str(), 0, 12345) == 0);
    REQUIRE(setegid(12345) == 0);
    const std::string refusal = file.refusal();
    REQUIRE(setegid(0) == 0);
    CHECK(refusal == "key can be read or changed by others (mode 0640)");
}

TEST_CASE("files that are no files") {
    TemporaryFolder folder;
    CHECK_THROWS_WITH(KeyFile(folder.path, key_keepers(folder.path)).account(),
                      Catch::Contains("is no regular file"));
    REQUIRE(mkfifo((folder.path / "pipe").c_str(), 0600) == 0);
    CHECK_THROWS_WITH(KeyFile(folder.path / "pipe", key_keepers(folder.path)).account(),
                      Catch::Contains("is no regular file"));
}

TEST_CASE("the vault's memory is locked, in no core and in no child, and the process leaves no core") {
    const int before = prctl(PR_GET_DUMPABLE);
    std::string flags;
    int meanwhile = -1;
    File(digits(1)).key().with_key([&](const SecretBytes& key) {
        flags = flags_of(key.data());
        meanwhile = prctl(PR_GET_DUMPABLE);
    });
    CHECK(meanwhile == 0);
    CHECK(prctl(PR_GET_DUMPABLE) == before);
#ifdef BLOCKHOST_SANITIZED
    WARN("SKIP: a sanitizer build keeps what is on the stack elsewhere");
    return;
#endif
    for (const char* flag : {" lo ", " dd ", " wf "}) {
        CAPTURE(flag, flags);
        CHECK(flags.find(flag) != std::string::npos);
    }
}

TEST_CASE("what is thrown in the vault comes out of it") {
    CHECK_THROWS_WITH(in_vault([] { throw Error(Code::internal, "from within"); }), "from within");
}
