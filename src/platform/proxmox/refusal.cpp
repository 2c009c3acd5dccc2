// SPDX-License-Identifier: MIT
#include "platform/proxmox/refusal.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>

namespace blockhost::platform::proxmox {

namespace {

constexpr std::size_t longest_words = 1000;

/// What stands between `before` and the next `after`; nothing when either is missing.
std::optional<std::string> between(std::string_view text, std::string_view before, std::string_view after) {
    const std::size_t start = text.find(before);
    if (start == text.npos) return std::nullopt;
    const std::string_view rest = text.substr(start + before.size());
    const std::size_t end = rest.find(after);
    if (end == rest.npos) return std::nullopt;
    return std::string(rest.substr(0, end));
}

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != text.npos;
}

std::optional<boost::json::value> document_of(const std::string& body) {
    boost::system::error_code failed;
    boost::json::value value = boost::json::parse(body, failed);
    if (failed) return std::nullopt;
    return value;
}

/// "Permission check failed (PATH, PRIVILEGE|PRIVILEGE)", with other texts in brackets for root's own calls.
Refusal forbidden_of(std::string_view words) {
    Refusal refusal;
    refusal.kind = RefusalKind::forbidden;
    const auto inside = between(words, "Permission check failed (", ")");
    if (!inside || !inside->starts_with("/")) {
        if (has(words, "root@pam") || has(words, "not available with API token"))
            refusal.kind = RefusalKind::root_only;
        return refusal;
    }
    const std::size_t comma = inside->find(", ");
    refusal.path = inside->substr(0, comma);
    if (comma != inside->npos) refusal.privileges = inside->substr(comma + 2);
    return refusal;
}

struct Phrase {
    std::string_view words;
    RefusalKind kind;
};

/// In the order in which they are looked for. Each phrase stands in the node's own sources; where it was
/// seen, tests/unit/platform/refusal_test.cpp quotes the whole sentence.
constexpr Phrase phrases[] = {
    {"only root can", RefusalKind::root_only},
    {"Only root may", RefusalKind::root_only},
    {"' - got timeout", RefusalKind::busy}, // "can't lock file 'NAME' - got timeout"
    {"powerdown failed", RefusalKind::no_reaction},
    {"checksum mismatch (file change by other user?)", RefusalKind::changed},
    {"detected modified configuration", RefusalKind::changed},
    {".conf' does not exist", RefusalKind::no_guest},
    {"already exists on node", RefusalKind::exists},
    {"config file already exists", RefusalKind::exists}, // of a clone
    {"hostname lookup '", RefusalKind::no_node},
    {"protection mode enabled", RefusalKind::wrong_state},
    {"cannot remove protected volume", RefusalKind::wrong_state},
    {"No QEMU guest agent configured", RefusalKind::no_agent},
    {"QEMU guest agent is not running", RefusalKind::no_agent},
    {"already running", RefusalKind::wrong_state},
    {" not running", RefusalKind::wrong_state},
    {"is running - destroy failed", RefusalKind::wrong_state},
    {"container is running", RefusalKind::wrong_state},
    {"can't overwrite running", RefusalKind::wrong_state},
    {" is not running", RefusalKind::wrong_state},
    {"unable to find VM '", RefusalKind::no_guest}, // of a backup
    {"No space left on device", RefusalKind::no_room},
    {"Disk quota exceeded", RefusalKind::no_room},
};

/// "storage 'usb-1' is not online", "unable to activate storage 'usb-1' - …" (pve-storage, src/PVE/Storage.pm
/// and src/PVE/Storage/DirPlugin.pm).
bool is_about_a_lost_storage(std::string_view words) {
    if (has(words, "unable to activate storage '")) return true;
    return has(words, "storage '") &&
           (has(words, "' does not exist") || has(words, "' is not online") || has(words, "' is disabled") ||
            has(words, "' is not available on node"));
}

/// "Only root may use this option." of a parameter.
bool is_root_only(std::string_view what) {
    return has(what, "Only root may");
}

void classify(Refusal& refusal) {
    const std::string_view words = refusal.words;
    if (has(words, "Permission check failed")) {
        Refusal forbidden = forbidden_of(words);
        forbidden.words = std::move(refusal.words);
        refusal = std::move(forbidden);
        return;
    }
    if (has(words, "VM is locked (") || has(words, "CT is locked (")) {
        refusal.kind = RefusalKind::locked;
        refusal.lock = between(words, "is locked (", ")").value_or("");
        return;
    }
    for (const Phrase& phrase : phrases)
        if (has(words, phrase.words)) {
            refusal.kind = phrase.kind;
            return;
        }
    if (is_about_a_lost_storage(words)) refusal.kind = RefusalKind::no_storage;
}

/// A line for people: the reason, or what the body says where the reason is cut off or absent.
std::string words_of(const RawAnswer& answer, const boost::json::value* document) {
    std::string words = answer.reason;
    if (document != nullptr && document->is_object()) {
        const boost::json::value* message = document->as_object().if_contains("message");
        if (message != nullptr && message->is_string() && message->as_string().size() > words.size())
            words = message->as_string();
    } else if (words.empty()) {
        words = answer.body;
    }
    return text::printable(text::trim(words), longest_words);
}

std::map<std::string, std::string> parameters_in(const boost::json::value* document) {
    std::map<std::string, std::string> parameters;
    if (document == nullptr || !document->is_object()) return parameters;
    const boost::json::value* errors = document->as_object().if_contains("errors");
    if (errors == nullptr || !errors->is_object()) return parameters;
    for (const auto& [name, what] : errors->as_object())
        parameters[text::printable(name)] =
            what.is_string() ? text::printable(text::trim(what.as_string()), longest_words) : "";
    return parameters;
}

/// By the status, where that says nearly all. A node never sends 502, 503 or 504: a proxy does.
std::optional<RefusalKind> kind_of(int status, std::string_view words) {
    switch (status) {
    case 401:
        return RefusalKind::unauthenticated;
    case 501: // also for what the front end finds wrong with a body
        if (has(words, "data too large") || has(words, "Unexpected content")) return RefusalKind::invalid;
        return RefusalKind::unknown_call;
    case 595:
        return RefusalKind::not_executed;
    case 502:
    case 503:
    case 504:
    case 596:
    case 597:
    case 598:
    case 599:
        return RefusalKind::unknown;
    default:
        return std::nullopt;
    }
}

} // namespace

Refusal refusal_in(std::string_view words) {
    Refusal refusal;
    refusal.words = text::printable(text::trim(words), longest_words);
    classify(refusal);
    return refusal;
}

Refusal refusal_of(const RawAnswer& answer) {
    const auto document = document_of(answer.body);
    const boost::json::value* shown = document ? &*document : nullptr;
    Refusal refusal = refusal_in(words_of(answer, shown));
    refusal.parameters = parameters_in(shown);
    if (const auto kind = kind_of(answer.status, refusal.words)) {
        refusal.kind = *kind;
        return refusal;
    }
    if (std::ranges::any_of(refusal.parameters, [](const auto& each) { return is_root_only(each.second); }))
        refusal.kind = RefusalKind::root_only;
    if (answer.status < 400 || answer.status > 599 || answer.content_type.starts_with("text/html"))
        refusal.kind = RefusalKind::unreadable;
    if (refusal.kind == RefusalKind::other && answer.status == 403) refusal.kind = RefusalKind::forbidden;
    if (refusal.kind == RefusalKind::other && answer.status == 400) refusal.kind = RefusalKind::invalid;
    return refusal;
}

std::optional<boost::json::value> data_of(const RawAnswer& answer) {
    auto document = document_of(answer.body);
    if (!document || !document->is_object()) return std::nullopt;
    boost::json::value* data = document->as_object().if_contains("data");
    if (data == nullptr) return std::nullopt;
    return std::move(*data);
}

} // namespace blockhost::platform::proxmox
