// SPDX-License-Identifier: MIT
/// scrypt is libsodium's; AES-256 in counter mode and Poly1305-AES are nettle's.

#include "backup/keys/quick_key.hpp"

#include "backup/settings.hpp"
#include "base/text/base64.hpp"
#include "base/text/digest.hpp"
#include "base/text/json.hpp"

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <nettle/aes.h>
#include <nettle/ctr.h>
#include <nettle/poly1305.h>
#include <sodium.h>
#include <unistd.h>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;

constexpr std::size_t salt_bytes = 64, iv_bytes = AES_BLOCK_SIZE, mac_bytes = POLY1305_AES_DIGEST_SIZE;
constexpr const char* maker = "blockhost-libvirt"; ///< as restic lists who made a key
constexpr std::uint64_t scrypt_n = 16384;
constexpr std::uint32_t scrypt_r = 8, scrypt_p = 1;

std::uint8_t* raw(std::string& bytes) {
    return reinterpret_cast<std::uint8_t*>(bytes.data());
}
const std::uint8_t* raw(std::string_view bytes) {
    return reinterpret_cast<const std::uint8_t*>(bytes.data());
}

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    blockhost::random_bytes(bytes.data(), bytes.size());
    return bytes;
}

/// What a password and a salt come to: the key of AES-256, and then that of Poly1305-AES. It is wiped.
class DerivedKey {
  public:
    DerivedKey(std::string_view password, std::string_view salt) {
        if (crypto_pwhash_scryptsalsa208sha256_ll(raw(password), password.size(), raw(salt), salt.size(),
                                                  scrypt_n, scrypt_r, scrypt_p, bytes_.data(),
                                                  bytes_.size()) != 0)
            throw Error(Code::program, "libsodium cannot derive a key", "see that the host has memory left");
    }
    DerivedKey(const DerivedKey&) = delete;
    DerivedKey& operator=(const DerivedKey&) = delete;
    ~DerivedKey() { sodium_memzero(bytes_.data(), bytes_.size()); }

    const std::uint8_t* encryption() const { return bytes_.data(); }
    const std::uint8_t* authentication() const { return bytes_.data() + AES256_KEY_SIZE; }

  private:
    std::array<std::uint8_t, AES256_KEY_SIZE + POLY1305_AES_KEY_SIZE> bytes_{};
};

/// The initialisation vector, the text encrypted, and the MAC of that.
std::string sealed(const DerivedKey& key, std::string_view text) {
    const std::string iv = random_bytes(iv_bytes);
    std::string counter = iv, encrypted(text.size(), '\0'), mac(mac_bytes, '\0');
    aes256_ctx aes;
    aes256_set_encrypt_key(&aes, key.encryption());
    ctr_crypt(&aes, reinterpret_cast<nettle_cipher_func*>(aes256_encrypt), iv_bytes, raw(counter),
              text.size(), raw(encrypted), raw(text));
    sodium_memzero(&aes, sizeof aes);
    poly1305_aes_ctx poly;
    poly1305_aes_set_key(&poly, key.authentication());
    poly1305_aes_set_nonce(&poly, raw(iv));
    poly1305_aes_update(&poly, encrypted.size(), raw(encrypted));
    poly1305_aes_digest(&poly, mac.size(), raw(mac));
    sodium_memzero(&poly, sizeof poly);
    return iv + encrypted + mac;
}

void require_master_key(const std::string& text) {
    boost::system::error_code malformed;
    const bj::value document = bj::parse(text, malformed);
    const bj::object& mac = json::object_in(document, "mac");
    if (json::string_or(document, "encrypt", "").empty() || json::string_or(mac, "k", "").empty() ||
        json::string_or(mac, "r", "").empty())
        throw Error(Code::program, "restic answers otherwise than expected: its master key is none",
                    "restic " + std::string(oldest_restic) + " or later is driven; see 'restic version'");
}

std::string host_name() {
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    return name.data();
}

Key current(const Restic& restic) {
    for (Key& key : restic.keys())
        if (key.is_current) return std::move(key);
    throw Error(Code::program, "restic does not tell which key opened the repository",
                "restic " + std::string(oldest_restic) + " or later is driven; see 'restic version'");
}

} // namespace

bool is_made_up(std::string_view password) {
    constexpr std::size_t digits = 64;
    return password.size() == digits && password.find_first_not_of("0123456789abcdef") == password.npos;
}

KeyFile make_key_file(const std::string& master_key, const std::string& password, const std::string& host,
                      Instant when) {
    require_master_key(master_key);
    if (sodium_init() < 0) throw Error(Code::program, "libsodium cannot be used on this host");
    const std::string salt = random_bytes(salt_bytes);
    const bj::object document{{"created", format_instant(when)},
                              {"username", maker},
                              {"hostname", host},
                              {"kdf", "scrypt"},
                              {"N", scrypt_n},
                              {"r", scrypt_r},
                              {"p", scrypt_p},
                              {"salt", base64::encode(salt)},
                              {"data", base64::encode(sealed(DerivedKey(password, salt), master_key))}};
    KeyFile file{"", bj::serialize(document)};
    file.id = sha256(file.content);
    return file;
}

std::string put_quick_key(const Restic& restic) {
    const Access& access = restic.access();
    if (!is_local(access.repository) || !is_made_up(access.password)) return "";
    const Key before = current(restic);
    if (before.user == maker) return before.id;
    std::string master_key = restic.master_key();
    const KeyFile file = make_key_file(master_key, access.password, host_name(), now());
    sodium_memzero(master_key.data(), master_key.size());
    restic.put_key_file(file.id, file.content);
    const Restic again = restic.by_key(file.id);
    if (const Key now_current = current(again); !file.id.starts_with(now_current.id))
        throw Error(Code::program, "restic does not take the key " + file.id.substr(0, 8),
                    "see 'restic version'; the repository is opened as before");
    again.remove_key(before.id);
    return file.id;
}

} // namespace blockhost::backup
