// SPDX-License-Identifier: MIT
// Changes as JSON and as words.
#include "authority/change.hpp"

#include "base/text/digest.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"
#include "platform/action_json.hpp"

namespace blockhost::authority {

namespace bj = boost::json;

namespace {

constexpr std::string_view rotate_keys = "rotate-keys";

bool is_digest(std::string_view text) {
    return text::is_hex(text, 64, 64);
}

} // namespace

std::string_view name_of(const Change& change) {
    const auto* action = std::get_if<platform::Action>(&change);
    return action ? to_string(platform::kind_of(*action)) : rotate_keys;
}

std::vector<std::string_view> change_names() {
    std::vector<std::string_view> names;
    for (const platform::ActionKind kind : platform::action_kinds()) names.push_back(to_string(kind));
    names.push_back(rotate_keys);
    return names;
}

bj::object to_json(const Change& change) {
    if (const auto* action = std::get_if<platform::Action>(&change)) return platform::to_json(*action);
    const auto& keys = std::get<RotateKeys>(change);
    return {{"kind", rotate_keys},
            {"allowed_signers_sha256", keys.allowed_signers_sha256},
            {"revoked_sha256", keys.revoked_sha256}};
}

Change change_from_json(const bj::value& value, const std::string& where) {
    json::Fields fields(value, where);
    if (fields.text("kind") != rotate_keys) return platform::action_from_json(value, where);
    RotateKeys keys{fields.text("allowed_signers_sha256"), fields.text("revoked_sha256")};
    fields.finish();
    if (!is_digest(keys.allowed_signers_sha256))
        throw fields.refusal("allowed_signers_sha256", "is no SHA-256 digest");
    if (!keys.revoked_sha256.empty() && !is_digest(keys.revoked_sha256))
        throw fields.refusal("revoked_sha256", "is neither empty nor a SHA-256 digest");
    return keys;
}

std::string canonical(const Change& change) {
    return json::python_line(to_json(change)); // members in the writer's order, sets in theirs
}

std::string digest_of(const Change& change) {
    return sha256(canonical(change));
}

std::string described(const Change& change) {
    std::string words(name_of(change));
    for (const auto& member : to_json(change)) {
        if (member.key() == "kind") continue;
        const bool is_only = to_json(change).size() == 2;
        const std::string value = member.value().is_string() ? std::string(member.value().get_string())
                                                             : json::python_line(member.value());
        words += (is_only ? " " : " " + std::string(member.key()) + "=") + text::printable(value);
    }
    return words;
}

} // namespace blockhost::authority
