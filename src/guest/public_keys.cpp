// SPDX-License-Identifier: MIT
/// See public_keys.hpp. A key's body is a list of strings, each preceded by its length (RFC 4253, 6.6; RFC
/// 5656, 3.1; RFC 8709, 4; OpenSSH, PROTOCOL.u2f): the type, then the fields of that type.

#include "guest/public_keys.hpp"

#include "base/error.hpp"
#include "base/text/base64.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace blockhost::guest {

namespace {

constexpr std::string_view blanks = " \t";
constexpr std::size_t least_rsa_bits = 1024; ///< OpenSSH, SSH_RSA_MINIMUM_MODULUS_SIZE
constexpr std::size_t most_rsa_bits = 16384;

Error refusal(const std::string& what) {
    return Error(Code::invalid, "the SSH key " + what,
                 "give public keys, such as the content of ~/.ssh/id_ed25519.pub");
}

using Fields = std::span<const std::string>;

std::size_t bits_of(std::string_view number) {
    while (!number.empty() && number.front() == '\0') number.remove_prefix(1);
    if (number.empty()) return 0;
    std::size_t bits = (number.size() - 1) * 8;
    for (auto first = static_cast<unsigned char>(number.front()); first != 0; first >>= 1) ++bits;
    return bits;
}

bool is_positive(std::string_view number) {
    return bits_of(number) > 0 && static_cast<unsigned char>(number.front()) < 0x80;
}

bool fits_ed25519(Fields fields) {
    return fields.size() == 1 && fields[0].size() == 32;
}

bool fits_rsa(Fields fields) {
    if (fields.size() != 2 || !is_positive(fields[0]) || !is_positive(fields[1])) return false;
    const std::size_t bits = bits_of(fields[1]);
    return bits >= least_rsa_bits && bits <= most_rsa_bits;
}

bool fits_dss(Fields fields) {
    if (fields.size() != 4 || bits_of(fields[0]) != 1024) return false;
    for (const std::string& number : fields)
        if (!is_positive(number)) return false;
    return true;
}

/// The curve's name, and an uncompressed point on it.
bool fits_curve(Fields fields, std::string_view curve, std::size_t coordinate) {
    return fields.size() == 2 && fields[0] == curve && fields[1].size() == 1 + 2 * coordinate &&
           fields[1].front() == '\x04';
}

bool fits_nistp256(Fields fields) {
    return fits_curve(fields, "nistp256", 32);
}
bool fits_nistp384(Fields fields) {
    return fits_curve(fields, "nistp384", 48);
}
bool fits_nistp521(Fields fields) {
    return fits_curve(fields, "nistp521", 66);
}

/// A security key has the fields of the plain type, then the application's name.
bool fits_sk_ed25519(Fields fields) {
    return fields.size() == 2 && fits_ed25519(fields.first(1)) && !fields[1].empty();
}
bool fits_sk_nistp256(Fields fields) {
    return fields.size() == 3 && fits_nistp256(fields.first(2)) && !fields[2].empty();
}

struct KeyType {
    std::string_view name;
    bool (*fits)(Fields); ///< checks the fields behind the type
};
constexpr std::array<KeyType, 8> types{{{"ssh-ed25519", fits_ed25519},
                                        {"ssh-rsa", fits_rsa},
                                        {"ecdsa-sha2-nistp256", fits_nistp256},
                                        {"ecdsa-sha2-nistp384", fits_nistp384},
                                        {"ecdsa-sha2-nistp521", fits_nistp521},
                                        {"sk-ssh-ed25519@openssh.com", fits_sk_ed25519},
                                        {"sk-ecdsa-sha2-nistp256@openssh.com", fits_sk_nistp256},
                                        {"ssh-dss", fits_dss}}};

const KeyType* type_named(std::string_view name) {
    for (const KeyType& type : types)
        if (type.name == name) return &type;
    return nullptr;
}

/// Takes the next word off the front of a line, with the blanks behind it.
std::string_view take_word(std::string_view& line) {
    const std::size_t end = std::min(line.find_first_of(blanks), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(line.find_first_not_of(blanks, end), line.size()));
    return word;
}

/// Skips the options before a key. Within double quotes a blank does not end them.
void skip_options(std::string_view& line) {
    bool quoted = false;
    std::size_t at = 0;
    for (; at < line.size() && (quoted || blanks.find(line[at]) == blanks.npos); ++at) {
        if (line[at] == '\\' && at + 1 < line.size() && line[at + 1] == '"')
            ++at;
        else if (line[at] == '"')
            quoted = !quoted;
    }
    line.remove_prefix(std::min(line.find_first_not_of(blanks, at), line.size()));
}

/// The strings of a body; nothing when one is cut off.
std::optional<std::vector<std::string>> strings_in(std::string_view body) {
    constexpr std::size_t length_bytes = 4;
    std::vector<std::string> found;
    while (!body.empty()) {
        if (body.size() < length_bytes) return std::nullopt;
        std::uint32_t length = 0;
        for (char c : body.substr(0, length_bytes)) length = length << 8 | static_cast<unsigned char>(c);
        body.remove_prefix(length_bytes);
        if (length > body.size()) return std::nullopt;
        found.emplace_back(body.substr(0, length));
        body.remove_prefix(length);
    }
    return found;
}

void check_body(const KeyType& type, std::string_view base64, const std::string& where) {
    const auto bytes = base64.empty() ? std::nullopt : base64::decode(base64);
    if (!bytes) throw refusal(where + " has no base64 text behind its type");
    const auto strings = strings_in(*bytes);
    if (!strings || strings->empty()) throw refusal(where + " is cut off");
    if (strings->front() != type.name)
        throw refusal(where + " says " + std::string(type.name) + ", and its body is another type's");
    if (!type.fits(Fields(*strings).subspan(1))) throw refusal(where + " has a body that no key has");
}

/// Whether it is UTF-8 without control characters other than tabs.
bool can_be_shown(std::string line) {
    std::replace(line.begin(), line.end(), '\t', ' ');
    return text::printable(line, line.size()) == line;
}

void check_line(std::string_view line, const std::string& where) {
    if (line.find("PRIVATE KEY") != line.npos) throw refusal(where + " is a private key");
    std::string_view rest = line;
    const KeyType* type = type_named(take_word(rest));
    if (type == nullptr) {
        rest = line;
        skip_options(rest);
        const std::string_view word = take_word(rest);
        type = type_named(word);
        if (line.find("-cert-v0") != line.npos) throw refusal(where + " is a certificate, not a public key");
        if (type == nullptr) throw refusal(where + " has no key type that OpenSSH knows");
    }
    check_body(*type, take_word(rest), where);
    if (!can_be_shown(std::string(line))) throw refusal(where + " holds bytes that are no text");
}

} // namespace

std::vector<std::string> public_keys(std::string_view content) {
    if (content.starts_with("\xef\xbb\xbf") || content.starts_with("\xff\xfe"))
        throw refusal("file begins with a byte order mark");
    std::vector<std::string> keys;
    std::size_t number = 0;
    for (const std::string& each : text::split(content, '\n')) {
        ++number;
        const std::string_view line = text::trim(each);
        if (line.empty() || line.starts_with('#')) continue;
        check_line(line, "file's line " + std::to_string(number));
        keys.emplace_back(line);
    }
    if (keys.empty()) throw refusal("file has no key in it");
    return keys;
}

} // namespace blockhost::guest
