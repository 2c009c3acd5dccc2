// SPDX-License-Identifier: MIT
/// Single values as Proxmox nodes write them: handles of tasks, property strings, sizes, tags, exit statuses,
/// sentences of refusals; pins of certificates; and parameters as a node reads them back.

#include "base/text/text.hpp"
#include "http/pins.hpp"
#include "platform/proxmox/node.hpp"
#include "platform/proxmox/property_string.hpp"
#include "platform/proxmox/task.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <fmt/format.h>

using namespace blockhost;
using namespace blockhost::platform::proxmox;

namespace {

constexpr std::string_view digits = "0123456789", blanks = " \t\r\n\v\f";

bool is_line(const std::string& text, std::size_t longest) {
    return text.size() <= longest && text::printable(text, longest) == text;
}

void handles(std::string_view text) {
    const auto upid = parse_upid(text);
    if (!upid) return;
    fuzz::check(is_upid(text) && is_line(upid->text, 512), "a handle is one line");
    const auto fields = text::split(text, ':');
    const auto hex = [&](std::uint64_t value, std::size_t field) {
        return fmt::format("{:0{}X}:", value, fields[field].size());
    };
    const std::size_t after = upid->number ? 1 : 0; // Backup Server's one field more
    const std::string again = "UPID:" + upid->node + ":" + hex(upid->pid, 2) + hex(upid->process_start, 3) +
                              (upid->number ? hex(*upid->number, 4) : "") +
                              hex(static_cast<std::uint64_t>(upid->started), 4 + after) + upid->type + ":" +
                              upid->subject + ":" + upid->user + ":";
    fuzz::check(text::lower(again) == text::lower(text), "a handle's fields are the handle");
    fuzz::check(upid->node.find_first_of("/.%:") == upid->node.npos, "a node's name is one part of a path");
}

void properties(std::string_view text) {
    for (const std::string_view bare : {"", "file"}) {
        const auto read = parse_properties(text, bare);
        if (!read) continue;
        const std::string written = write_properties(*read, bare);
        fuzz::check(parse_properties(written, bare) == read, "properties written are the properties");
        fuzz::check(!read->contains(""), "every property has a key");
    }
}

/// A size without a fraction, by whole numbers alone.
std::optional<std::int64_t> whole_mib(std::string_view text) {
    constexpr std::string_view units = "KMGT";
    const std::size_t unit = text.empty() ? units.npos : units.find(text.back());
    if (unit != units.npos) text.remove_suffix(1);
    const auto amount = text::parse_int(text);
    constexpr std::int64_t most = 1LL << 30;
    if (!amount) return std::nullopt;
    if (unit == units.npos) return *amount >> 20;
    if (unit == 0) return *amount >> 10;
    return *amount > most ? most + 1 : *amount << (10 * (unit - 1));
}

void sizes(std::string_view text) {
    const auto size = size_mib(text);
    if (!size) return;
    fuzz::check(*size >= 0 && *size <= 1 << 30, "a size is within its bounds");
    const bool has_unit = std::string_view("KMGT").find(text.back()) != text.npos;
    const auto parts = text::split(text.substr(0, text.size() - (has_unit ? 1 : 0)), '.');
    fuzz::check(parts.size() <= 2 && std::ranges::all_of(parts,
                                                         [](const std::string& part) {
                                                             return !part.empty() && part.find_first_not_of(
                                                                                         digits) == part.npos;
                                                         }),
                "a size is digits, a fraction and a unit");
    if (const auto whole = whole_mib(text)) fuzz::check(size == whole, "a whole size is exact");
}

void tags(std::string_view text) {
    const auto read = tags_in(text);
    for (const std::string& tag : read) {
        fuzz::check(!tag.empty() && text::lower(tag) == tag, "a tag is in lower case");
        fuzz::check(tag.find_first_of(blanks) == tag.npos, "a tag has no blanks");
    }
    fuzz::check(tags_in(text::join({read.begin(), read.end()}, ";")) == read, "tags written are the tags");
}

void exit_statuses(std::string_view status) {
    const TaskState state = end_of(status);
    fuzz::check(state.phase != TaskState::Phase::running, "what has an exit status has ended");
    std::string_view words = text::trim(status);
    bool is_good = words == "OK";
    if (words.starts_with("WARNINGS: ")) {
        words.remove_prefix(10);
        is_good = !words.empty() && words.find_first_not_of(digits) == words.npos && words.size() <= 390;
    }
    fuzz::check((state.phase == TaskState::Phase::good) == is_good, "good is OK, or a number of warnings");
    fuzz::check((state.phase == TaskState::Phase::failed) != state.refusal.words.empty(),
                "a failure has words");
    for (const std::string& line : state.warnings) fuzz::check(is_line(line, 500), "a warning is one line");
    fuzz::check(is_line(state.refusal.words, 1100), "a failure's words are one line");
    const Refusal refusal = refusal_in(status);
    fuzz::check(refusal.words.size() > 1000 || refusal_in(refusal.words) == refusal,
                "a refusal's words say the same again");
}

void pins(std::string_view text) {
    const auto pin = http::parse_pin(text);
    if (pin) fuzz::check(http::parse_pin(http::to_string(*pin)) == pin, "a pin stays");
}

void sources(const std::string& text) {
    const auto is_number = [](int guest) { return guest >= 100 && guest <= 999'999'999; };
    if (const auto guest = guest_of_backup(text)) {
        fuzz::check(is_number(*guest) && text.find(std::to_string(*guest)) != text.npos,
                    "a backup is a guest's");
        kind_of_backup(text);
    }
    try {
        if (const auto original = template_in(text))
            fuzz::check(is_number(*original) && std::to_string(*original) == text, "a template has a number");
    } catch (const Error&) {
        fuzz::check(text.find_first_not_of(digits) == text.npos, "a wrong number is one");
    }
}

/// As a node does: a value ends at its first raw "=", "+" is a blank.
void parameters(std::string_view text) {
    const std::string encoded = percent_encoded(text);
    std::string back;
    for (std::size_t at = 0; at < encoded.size(); ++at) {
        const char c = encoded[at];
        const bool is_plain = c >= '0' && c <= 'z' && c != '=' && c != '?' && c != ';' && c != '\\';
        fuzz::check(is_plain || c == '%' || c == '-' || c == '.' || c == '~', "nothing raw ends a value");
        if (c != '%') {
            back += c;
            continue;
        }
        fuzz::check(encoded.size() - at > 2, "a % has two digits");
        back += static_cast<char>(std::stoi(encoded.substr(at + 1, 2), nullptr, 16));
        at += 2;
    }
    fuzz::check(back == text, "a node reads what was sent");
}

void pve_values(std::string_view input) {
    handles(input), properties(input), sizes(input), tags(input);
    exit_statuses(input), pins(input), parameters(input), sources(std::string(input));
}

} // namespace

FUZZ_TARGET(pve_values)
