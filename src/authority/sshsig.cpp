// SPDX-License-Identifier: MIT
// Takes an armored signature apart, as far as its namespace.
#include "authority/sshsig.hpp"

#include "base/error.hpp"
#include "base/text/base64.hpp"
#include "base/text/text.hpp"

#include <fmt/format.h>
#include <optional>

namespace blockhost::authority {

namespace {

constexpr std::string_view begin_mark = "-----BEGIN SSH SIGNATURE-----",
                           end_mark = "-----END SSH SIGNATURE-----", magic = "SSHSIG";
constexpr std::uint32_t version = 1;

/// Reads the binary form of RFC 4251, section 5; nothing where the bytes end too early.
class Reader {
  public:
    explicit Reader(std::string_view bytes) : rest_(bytes) {}
    std::optional<std::string_view> bytes(std::size_t count) {
        if (rest_.size() < count) return std::nullopt;
        const std::string_view taken = rest_.substr(0, count);
        rest_.remove_prefix(count);
        return taken;
    }
    std::optional<std::uint32_t> number() {
        const auto four = bytes(4);
        if (!four) return std::nullopt;
        std::uint32_t value = 0;
        for (const char each : *four) value = value << 8 | static_cast<unsigned char>(each);
        return value;
    }
    std::optional<std::string_view> string() {
        const auto length = number();
        return length ? bytes(*length) : std::nullopt;
    }
    bool is_at_end() const { return rest_.empty(); }

  private:
    std::string_view rest_;
};

/// Whether it is a security key's (PROTOCOL.u2f: its type, the signature, a byte of flags …), without the
/// flag that says that the key was touched.
bool is_untouched(std::string_view signature) {
    constexpr unsigned char touched = 1;
    Reader reader(signature);
    const auto type = reader.string();
    if (!type || type->find("sk-") == type->npos) return false;
    const auto flags = reader.string() ? reader.bytes(1) : std::nullopt;
    return !flags || (static_cast<unsigned char>(flags->front()) & touched) == 0;
}

[[noreturn]] void refuse(std::string_view why) {
    throw Error(Code::invalid, fmt::format("a signature {}", why),
                "make it by: blockhost-libvirt sign, or ssh-keygen -Y sign");
}

} // namespace

SignatureForm parse_signature(std::string_view armored) {
    const std::string_view text = text::trim(armored);
    if (!text.starts_with(begin_mark)) refuse("does not begin with " + std::string(begin_mark));
    if (!text.ends_with(end_mark) || text.size() < begin_mark.size() + end_mark.size())
        refuse("does not end with " + std::string(end_mark));
    std::string digits;
    for (const char each : text.substr(begin_mark.size(), text.size() - begin_mark.size() - end_mark.size()))
        if (each != '\n' && each != '\r') digits += each;
    const auto blob = base64::decode(digits);
    if (!blob) refuse("is not base64 between its first and its last line");
    Reader reader(*blob);
    if (reader.bytes(magic.size()) != magic || reader.number() != version)
        refuse("is not an SSHSIG of version 1");
    const auto key = reader.string(), name_space = reader.string();
    const bool has_hash = reader.string() && reader.string(); // behind a reserved field
    const auto signature = reader.string();
    if (!key || !name_space || !has_hash || !signature || !reader.is_at_end())
        refuse("is cut off, or has more after its end");
    const auto key_type = Reader(*key).string();
    if (!key_type) refuse("holds no public key");
    return {text::printable(*key_type), text::printable(*name_space), is_untouched(*signature)};
}

} // namespace blockhost::authority
