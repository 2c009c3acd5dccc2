// SPDX-License-Identifier: MIT
/// libsodium does the cryptography: Argon2id makes a key of the code and a salt, XChaCha20-Poly1305 encrypts
/// under it, with everything in front of the ciphertext as additional data.

#include "backup/keys/escrow.hpp"

#include "base/error.hpp"
#include "base/text/base64.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <sodium.h>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;

constexpr std::string_view kind = "blockhost-recovery", version = "1";
constexpr std::string_view symbols = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; ///< Crockford's: no I, L, O, U
constexpr unsigned symbol_bits = 5, byte_bits = 8;
constexpr std::size_t code_bytes = 20, code_symbols = code_bytes * byte_bits / symbol_bits, check_symbols = 3,
                      group = 5;
constexpr std::size_t salt_bytes = crypto_pwhash_argon2id_SALTBYTES,
                      nonce_bytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
                      key_bytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES,
                      tag_bytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::size_t padded_to = 512; ///< so that the length of a password or an address does not show
/// Of version 1, whatever the library's own are by then. The code has 160 bits: they need not be high.
constexpr unsigned long long key_passes = 2;
constexpr std::size_t key_memory = 64u << 20;

void start_sodium() {
    if (sodium_init() < 0) throw Error(Code::program, "libsodium cannot be used on this host");
}

unsigned char* raw(std::string& bytes) {
    return reinterpret_cast<unsigned char*>(bytes.data());
}
const unsigned char* raw(std::string_view bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

void wipe(std::string& secret) {
    sodium_memzero(secret.data(), secret.size());
}

/// A secret of this file's own, which is wiped.
struct Secret {
    std::string bytes;
    explicit Secret(std::size_t size) : bytes(size, '\0') {}
    explicit Secret(std::string taken) : bytes(std::move(taken)) {}
    Secret(Secret&&) = default;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { wipe(bytes); }
};

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    randombytes_buf(bytes.data(), bytes.size());
    return bytes;
}

/// The first bits of a hash, as symbols: they tell a mistyped code, and keep nobody out.
std::string check_of(std::string_view code) {
    constexpr std::string_view purpose = "blockhost recovery code";
    std::string hash(crypto_generichash_BYTES_MIN, '\0');
    crypto_generichash(raw(hash), hash.size(), raw(code), code.size(), raw(purpose), purpose.size());
    const unsigned bits =
        static_cast<unsigned char>(hash[0]) << byte_bits | static_cast<unsigned char>(hash[1]);
    std::string check;
    for (unsigned i = 0; i < check_symbols; ++i)
        check += symbols[bits >> (11 - i * symbol_bits) & (symbols.size() - 1)];
    return check;
}

std::string to_symbols(std::string_view bytes) {
    std::string text;
    unsigned held = 0, bits = 0;
    for (const char byte : bytes) {
        held = held << byte_bits | static_cast<unsigned char>(byte);
        for (bits += byte_bits; bits >= symbol_bits;) {
            bits -= symbol_bits;
            text += symbols[held >> bits & (symbols.size() - 1)];
        }
        held &= (1u << bits) - 1;
    }
    return text;
}

/// `text` has symbols alone, and a whole number of bytes.
std::string from_symbols(std::string_view text) {
    std::string bytes;
    unsigned held = 0, bits = 0;
    for (const char symbol : text) {
        held = held << symbol_bits | static_cast<unsigned>(symbols.find(symbol));
        bits += symbol_bits;
        if (bits < byte_bits) continue;
        bits -= byte_bits;
        bytes += static_cast<char>(held >> bits);
        held &= (1u << bits) - 1;
    }
    return bytes;
}

Error mistyped(std::string_view how) {
    return Error(Code::invalid, fmt::format("the recovery code {}", how),
                 "compare it with what was written down: seven groups of five, without I, L, O and U");
}

/// The symbol that somebody meant; 0 for what stands between them.
char meant(char typed) {
    constexpr std::string_view between = " -\t\r\n";
    if (between.find(typed) != between.npos) return 0;
    const char upper = typed >= 'a' && typed <= 'z' ? static_cast<char>(typed - 'a' + 'A') : typed;
    if (upper == 'O') return '0';
    if (upper == 'I' || upper == 'L') return '1';
    if (symbols.find(upper) == symbols.npos) throw mistyped("has a character that no code has");
    return upper;
}

/// What stands in front of the ciphertext.
std::string head_of(const InstanceId& instance) {
    return fmt::format("{} {} {}", kind, version, instance.str());
}

Secret key_of(const RecoveryCode& code, std::string_view salt) {
    Secret key(key_bytes);
    const std::string_view bytes = code.bytes();
    if (crypto_pwhash_argon2id(raw(key.bytes), key.bytes.size(), bytes.data(), bytes.size(), raw(salt),
                               key_passes, key_memory, crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
        throw Error(Code::io, "there is no memory for the key of a recovery code", "free 64 MiB");
    return key;
}

/// The parts of a wrapped text.
struct Parts {
    InstanceId instance;
    std::string salt, nonce, sealed;
};

Error no_wrapped_text() {
    return Error(Code::invalid, "that is no wrapped password of this program's",
                 "'blockhost-libvirt backup key wrap' makes one; it is a single line");
}

Parts parts_of(std::string_view text) {
    if (text.size() > largest_wrapped) throw no_wrapped_text();
    const auto words = text::split(text::trim(text), ' ');
    if (words.size() != 4 || words[0] != kind) throw no_wrapped_text();
    if (words[1] != version)
        throw Error(Code::invalid, "the password was wrapped by another version of this program",
                    "use a version that is as new as the one which wrapped it");
    auto instance = InstanceId::try_parse(words[2]);
    const auto bytes = base64::decode(words[3]);
    if (!instance || instance->str() != words[2] || !bytes || base64::encode(*bytes) != words[3] ||
        bytes->size() < salt_bytes + nonce_bytes + padded_to + tag_bytes)
        throw no_wrapped_text();
    return {std::move(*instance), bytes->substr(0, salt_bytes), bytes->substr(salt_bytes, nonce_bytes),
            bytes->substr(salt_bytes + nonce_bytes)};
}

std::string written(const Escrow& escrow) {
    if (const auto* of_storage = std::get_if<StorageKey>(&escrow))
        return bj::serialize(bj::object{{"storage", of_storage->storage}, {"key", of_storage->key}});
    const auto& of_repository = std::get<RepositoryPassword>(escrow);
    return bj::serialize(bj::object{{"repository", of_repository.repository},
                                    {"repository_id", of_repository.repository_id},
                                    {"password", of_repository.password}});
}

/// What is authentic, and so was written by this file.
Escrow read(std::string_view plain) {
    constexpr std::size_t longest = 16u << 10;
    const bj::value document = json::parse_strictly(plain, "what is wrapped", {.bytes = longest, .depth = 2});
    json::Fields fields(document, "what is wrapped");
    const Escrow escrow =
        fields.has("storage")
            ? Escrow(StorageKey{fields.text("storage"), fields.text("key")})
            : Escrow(RepositoryPassword{fields.text("repository"), fields.text("repository_id"),
                                        fields.text("password")});
    fields.finish();
    return escrow;
}

} // namespace

RecoveryCode RecoveryCode::random() {
    start_sodium();
    return RecoveryCode(random_bytes(code_bytes));
}

RecoveryCode RecoveryCode::parse(std::string_view typed) {
    start_sodium();
    Secret given{std::string()};
    given.bytes.reserve(code_symbols + check_symbols);
    for (const char each : typed) {
        const char symbol = meant(each);
        if (symbol == 0) continue;
        if (given.bytes.size() == code_symbols + check_symbols) throw mistyped("is too long");
        given.bytes += symbol;
    }
    if (given.bytes.size() < code_symbols + check_symbols)
        throw mistyped(given.bytes.empty() ? "is empty" : "is too short");
    const std::string_view all = given.bytes;
    RecoveryCode code(from_symbols(all.substr(0, code_symbols)));
    if (check_of(code.bytes_) != all.substr(code_symbols)) throw mistyped("has a mistake in it");
    return code;
}

std::string RecoveryCode::text() const {
    const std::string all = to_symbols(bytes_) + check_of(bytes_);
    std::string grouped;
    for (std::size_t i = 0; i < all.size(); i += group) grouped += (i == 0 ? "" : "-") + all.substr(i, group);
    return grouped;
}

RecoveryCode::~RecoveryCode() {
    wipe(bytes_);
}

void require_storage_key(std::string_view content, const std::string& name) {
    constexpr std::size_t longest = 4096;
    if (content.size() <= longest) {
        boost::system::error_code malformed;
        const bj::value document = bj::parse(content, malformed);
        const auto* data = document.is_object() ? document.get_object().if_contains("data") : nullptr;
        if (!malformed && data != nullptr && data->is_string() && !data->get_string().empty()) return;
    }
    throw Error(Code::invalid, name + " is no encryption key of a Backup Server's storage",
                "see 'pvesm set' and its option --encryption-key");
}

std::string wrap(const Escrow& escrow, const InstanceId& instance, const RecoveryCode& code) {
    start_sodium();
    Secret plain(written(escrow));
    const std::size_t bytes = plain.bytes.size();
    plain.bytes.resize((bytes / padded_to + 1) * padded_to);
    std::size_t padded = 0;
    sodium_pad(&padded, raw(plain.bytes), bytes, padded_to, plain.bytes.size());
    const std::string head = head_of(instance), salt = random_bytes(salt_bytes),
                      nonce = random_bytes(nonce_bytes);
    const Secret key = key_of(code, salt);
    std::string sealed(plain.bytes.size() + tag_bytes, '\0');
    crypto_aead_xchacha20poly1305_ietf_encrypt(raw(sealed), nullptr, raw(std::string_view(plain.bytes)),
                                               plain.bytes.size(), raw(std::string_view(head)), head.size(),
                                               nullptr, raw(std::string_view(nonce)),
                                               raw(std::string_view(key.bytes)));
    std::string text = fmt::format("{} {}\n", head, base64::encode(salt + nonce + sealed));
    if (text.size() > largest_wrapped)
        throw Error(Code::invalid, "an address, password or key is too long to be wrapped");
    return text;
}

Unwrapped unwrap(std::string_view text, const RecoveryCode& code) {
    start_sodium();
    Parts parts = parts_of(text);
    const std::string head = head_of(parts.instance);
    const Secret key = key_of(code, parts.salt);
    Secret plain(parts.sealed.size() - tag_bytes);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            raw(plain.bytes), nullptr, nullptr, raw(std::string_view(parts.sealed)), parts.sealed.size(),
            raw(std::string_view(head)), head.size(), raw(std::string_view(parts.nonce)),
            raw(std::string_view(key.bytes))) != 0)
        throw Error(Code::denied, "the recovery code does not open that wrapped password",
                    "each code opens the one text that it was shown with: see that both are of the same day "
                    "and host, and that nobody changed the text");
    std::size_t bytes = 0;
    if (sodium_unpad(&bytes, raw(std::string_view(plain.bytes)), plain.bytes.size(), padded_to) != 0)
        throw no_wrapped_text();
    return {read(std::string_view(plain.bytes).substr(0, bytes)), std::move(parts.instance)};
}

InstanceId instance_of(std::string_view text) {
    return parts_of(text).instance;
}

} // namespace blockhost::backup
