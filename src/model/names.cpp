// SPDX-License-Identifier: MIT
// Which characters names may have.
#include "model/names.hpp"

#include "base/error.hpp"
#include "base/text/pattern.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"

#include <algorithm>

namespace blockhost {

namespace {

// How many bytes of a refused text a message quotes.
constexpr std::size_t quoted = 80;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}
bool is_alnum(char c) {
    return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z');
}

bool good_username(std::string_view text) {
    auto rest = [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; };
    return !text.empty() && text.size() <= 32 && (is_lower(text[0]) || text[0] == '_') &&
           std::all_of(text.begin(), text.end(), rest);
}

bool good_wallet(std::string_view text) {
    auto allowed = [](char c) { return is_alnum(c) || c == '_' || c == '-'; };
    return !text.empty() && text.size() <= 200 && std::all_of(text.begin(), text.end(), allowed);
}

bool matches_as_python(const std::string& text, const std::string& pattern) {
    const Matching matching = match_at_start(text, pattern);
    if (matching == Matching::too_complex || matching == Matching::no_pattern)
        throw Error(Code::config,
                    matching == Matching::no_pattern ? "the engine's wallet pattern is no regular expression"
                                                     : "the engine's wallet pattern is too complex",
                    "update the engine, or report this to its authors");
    return matching == Matching::yes;
}

} // namespace

VmName::VmName(std::string_view text) {
    auto name = try_parse(text);
    if (!name) {
        throw Error(Code::invalid, "Invalid VM name: " + text::printable(text, quoted),
                    "a name is 1 to 64 letters, digits, '.', '_' or '-', the first one a letter or digit");
    }
    *this = std::move(*name);
}

std::optional<VmName> VmName::try_parse(std::string_view text) {
    auto allowed = [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; };
    bool good = !text.empty() && text.size() <= 64 && is_alnum(text[0]) &&
                std::all_of(text.begin(), text.end(), allowed);
    if (!good) return std::nullopt;
    VmName name;
    name.text_ = text;
    return name;
}

Username::Username(std::string_view text) : text_(text) {
    if (!good_username(text)) {
        throw Error(
            Code::invalid, "Invalid username: " + text::printable(text, quoted),
            "a username is 1 to 32 lower-case letters, digits, '_' or '-', the first one a letter or '_'");
    }
}

Wallet::Wallet(std::string_view text, const std::string& pattern) : text_(text) {
    if (!good_wallet(text)) { // also bounds the length before any regular expression runs
        throw Error(Code::invalid, "Invalid wallet address: " + text::printable(text, quoted),
                    "a wallet address is 1 to 200 letters, digits, '_' or '-'");
    }
    if (!pattern.empty() && !matches_as_python(text_, pattern)) {
        throw Error(Code::invalid, "Invalid wallet address: " + text::printable(text, quoted),
                    "the installed engine wants it to match " + text::printable(pattern));
    }
}

std::optional<Wallet> Wallet::trusted(std::string_view text) {
    if (!good_wallet(text)) return std::nullopt;
    Wallet wallet;
    wallet.text_ = text;
    return wallet;
}

Uuid Uuid::random() {
    std::string hex = random_hex(32);
    hex[12] = '4';                 // version 4
    hex[16] = "89ab"[hex[16] & 3]; // RFC 4122's variant
    for (std::size_t at : {20, 16, 12, 8}) hex.insert(at, "-");
    return *try_parse(hex);
}

std::optional<Uuid> Uuid::try_parse(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    Uuid uuid;
    uuid.text_ = text::lower(text);
    for (std::size_t i = 0; i < 36; ++i) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? uuid.text_[i] != '-' : !text::is_hex(uuid.text_[i])) return std::nullopt;
    }
    return uuid;
}

InstanceId InstanceId::random() {
    return *try_parse(random_hex(32));
}

std::optional<InstanceId> InstanceId::try_parse(std::string_view text) {
    if (!text::is_hex(text, 32, 32)) return std::nullopt;
    InstanceId id;
    id.text_ = text;
    return id;
}

OperationId OperationId::make(const InstanceId& instance) {
    return *try_parse(instance.tag() + random_hex(8));
}

std::optional<OperationId> OperationId::try_parse(std::string_view text) {
    if (!text::is_hex(text, 16, 16)) return std::nullopt;
    OperationId id;
    id.text_ = text;
    return id;
}

std::string volume_name(const VmName& name, const OperationId& op) {
    return name.str() + "." + op.str() + ".qcow2";
}

std::optional<OperationId> operation_of_volume(const VmName& name, std::string_view file_name) {
    const std::string before = name.str() + ".";
    constexpr std::string_view after = ".qcow2";
    if (!file_name.starts_with(before) || !file_name.ends_with(after)) return std::nullopt;
    if (file_name.size() < before.size() + after.size()) return std::nullopt;
    return OperationId::try_parse(
        file_name.substr(before.size(), file_name.size() - before.size() - after.size()));
}

} // namespace blockhost
