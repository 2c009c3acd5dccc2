// SPDX-License-Identifier: MIT
// Reads the key, and uses it with libsecp256k1.
#include "chain/evm/key.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "chain/evm/keccak.hpp"
#include "chain/evm/vault.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <memory>
#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::chain {

namespace {

constexpr std::size_t key_digits = 64, longest_file = 128;

struct Destroy {
    void operator()(secp256k1_context* context) const { secp256k1_context_destroy(context); }
};
/// It is made outside of the vault: it lives on the heap, and holds nothing of the key.
using Context = std::unique_ptr<secp256k1_context, Destroy>;
Context context() {
    constexpr unsigned any = SECP256K1_CONTEXT_SIGN; // later versions ignore the purpose
    Context made(secp256k1_context_create(any));
    if (!made) throw Error(Code::internal, "libsecp256k1 makes no context");
    return made;
}

Error bad_file(const std::filesystem::path& path, const std::string& what, std::string hint) {
    return Error(Code::config, "key file " + path.native() + " " + what, std::move(hint));
}

Fd open_checked(const std::filesystem::path& path, const KeyKeepers& keepers) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (!fd && errno == ENOENT)
        throw bad_file(path, "is missing", "deployer.private_key_file in web3-defaults.yaml names it");
    if (!fd) {
        const Error reason = errno_error("cannot open key file", path.native(), errno);
        throw Error(Code::config, reason.message(), reason.hint());
    }
    struct stat found {};
    if (fstat(fd.get(), &found) != 0) throw errno_error("cannot look at", path.native(), errno);
    if (!S_ISREG(found.st_mode)) throw bad_file(path, "is no regular file", "name a file of 64 hex digits");
    const auto is_among = [](const auto& all, auto id) {
        return id == 0 || std::ranges::find(all, id) != all.end();
    };
    if (!is_among(keepers.owners, found.st_uid))
        throw bad_file(path, fmt::format("belongs to user {}", found.st_uid),
                       "give it to root or to the blockhost user");
    const bool to_group = (found.st_mode & S_IRGRP) != 0 && !is_among(keepers.groups, found.st_gid);
    if ((found.st_mode & (S_IRWXO | S_IWGRP)) != 0 || to_group)
        throw bad_file(path,
                       fmt::format("can be read or changed by others (mode {:04o})", found.st_mode & 07777),
                       "chmod 0600 it; a key that others may have read is best replaced");
    return fd;
}

bool decode(const char* digits, SecretBytes& key) {
    const auto value = [](char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
    };
    for (std::size_t i = 0; i < key.size(); ++i) {
        const int high = value(digits[2 * i]), low = value(digits[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        key[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return true;
}

/// What the file holds. Its text goes into no string and into no message.
enum class Content { key, empty, no_key, unreadable };
Content read_key(int fd, SecretBytes& key) {
    std::array<char, longest_file + 1> text{};
    const ssize_t got = pread(fd, text.data(), text.size(), 0);
    if (got < 0) return Content::unreadable;
    auto begin = text.cbegin(), end = begin + got;
    while (begin != end && std::strchr(" \t\r\n", end[-1]) != nullptr) --end;
    if (begin == end) return Content::empty;
    if (end - begin > 2 && begin[0] == '0' && begin[1] == 'x') begin += 2;
    const bool good = end - begin == static_cast<std::ptrdiff_t>(key_digits) && decode(&*begin, key);
    return good ? Content::key : Content::no_key;
}

Address account_of(const secp256k1_context* context, const SecretBytes& key) {
    secp256k1_pubkey point;
    std::array<std::uint8_t, 65> spelled{}; // 4, x, y
    std::size_t size = spelled.size();
    if (secp256k1_ec_pubkey_create(context, &point, key.data()) != 1)
        throw Error(Code::internal, "a key that was good is not any more");
    secp256k1_ec_pubkey_serialize(context, spelled.data(), &size, &point, SECP256K1_EC_UNCOMPRESSED);
    const Hash hash = keccak256(View(spelled).subspan(1));
    std::array<std::uint8_t, Address::size> bytes{};
    std::copy(hash.end() - Address::size, hash.end(), bytes.begin());
    return Address(bytes);
}

} // namespace

KeyKeepers key_keepers(const StateFolder& state) {
    KeyKeepers keepers{{geteuid()}, {}};
    const auto folder = state.open();
    struct stat found {};
    if (!folder || fstat(folder->fd(), &found) != 0) return keepers;
    keepers.owners.push_back(found.st_uid);
    keepers.groups.push_back(found.st_gid);
    return keepers;
}

void KeyFile::with_key(const std::function<void(const SecretBytes&)>& use) const {
    const Fd fd = open_checked(path_, keepers_);
    const Context checker = context();
    Content content = Content::key;
    bool in_range = true;
    in_vault([&] {
        SecretBytes key{};
        content = read_key(fd.get(), key);
        if (content != Content::key) return;
        in_range = secp256k1_ec_seckey_verify(checker.get(), key.data()) == 1;
        if (in_range) use(key);
    });
    if (content == Content::unreadable) throw bad_file(path_, "cannot be read", "look at its file system");
    if (content == Content::empty) throw bad_file(path_, "is empty", "put the key there: 64 hex digits");
    if (content == Content::no_key)
        throw bad_file(path_, "holds no key: it is not 64 hex digits", "put the key there, and nothing else");
    if (!in_range) throw bad_file(path_, "holds a number that is no key of secp256k1", "put the key there");
}

Address KeyFile::account() const {
    const Context signer = context();
    Address account;
    with_key([&](const SecretBytes& key) { account = account_of(signer.get(), key); });
    return account;
}

Signature KeyFile::sign(const Hash& hash, const Address& account) const {
    const Context signer = context();
    std::array<std::uint8_t, 64> spelled{}; // r, s
    int recovery = 0;
    Address holder;
    with_key([&](const SecretBytes& key) {
        holder = account_of(signer.get(), key);
        secp256k1_ecdsa_recoverable_signature made;
        if (secp256k1_ecdsa_sign_recoverable(signer.get(), &made, hash.data(), key.data(), nullptr,
                                             nullptr) != 1)
            throw Error(Code::internal, "libsecp256k1 does not sign");
        secp256k1_ecdsa_recoverable_signature_serialize_compact(signer.get(), spelled.data(), &recovery,
                                                                &made);
    });
    if (holder != account) throw bad_file(path_, "was changed meanwhile", "call again");
    Signature signature;
    std::copy_n(spelled.begin(), signature.r.size(), signature.r.begin());
    std::copy_n(spelled.begin() + signature.r.size(), signature.s.size(), signature.s.begin());
    signature.y_is_odd = (recovery & 1) != 0;
    return signature;
}

} // namespace blockhost::chain
