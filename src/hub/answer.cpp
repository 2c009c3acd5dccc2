// SPDX-License-Identifier: MIT
#include "hub/answer.hpp"

#include "base/text/digest.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

namespace blockhost::hub {

namespace {

constexpr std::int64_t most = (std::int64_t(1) << 53) - 1; ///< what any JSON reader keeps
constexpr std::size_t digest_digits = 64, longest_mark = 128;

bool is_digest(std::string_view text) {
    return text::is_hex(text, digest_digits, digest_digits);
}

bool is_mark(std::string_view text) {
    return !text.empty() && text.size() <= longest_mark &&
           std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

void require_for(json::Fields& fields, std::string_view host) {
    fields.integer("version", 1, 1);
    const std::string named = fields.text("host");
    if (named != host)
        throw fields.refusal("host", "is " + text::printable(named) + ", another host's",
                             "look at what the hub has for this host, and whose token it was given");
}

Announced announced_in(json::Fields fields) {
    Announced announced{.generation = fields.integer("generation", 0, most), .digest = {}};
    if (const auto digest = fields.maybe_text("digest")) {
        if (!is_digest(*digest)) throw fields.refusal("digest", "is no SHA-256 in lower case");
        announced.digest = *digest;
    }
    return announced;
}

} // namespace

Announced announced_by(const std::string& text, const std::string& name) {
    constexpr std::size_t depth = 64;
    const auto document = json::parse_strictly(text, name, {.bytes = largest_desired, .depth = depth});
    return {.generation = json::Fields(document, name).integer("generation", 0, most),
            .digest = sha256(text)};
}

std::optional<std::int64_t> line_of_head(std::string_view head) {
    const std::size_t colon = head.find(':');
    if (colon == head.npos || !is_digest(head.substr(colon + 1)) || head[0] == '0') return std::nullopt;
    const auto line = text::parse_int(head.substr(0, colon));
    return line && *line > 0 ? line : std::nullopt;
}

Answer parse_answer(std::string_view text, std::string_view host) {
    const auto document = json::parse_strictly(text, "the answer", {.bytes = largest_answer});
    json::Fields fields(document, "the answer");
    require_for(fields, host);
    Answer answer;
    if (const auto poll = fields.maybe_integer("poll_s", 0, most))
        answer.poll = std::clamp(std::chrono::seconds(*poll), least_poll, most_poll);
    if (fields.has("desired")) answer.desired = announced_in(fields.object("desired"));
    if (const auto mark = fields.maybe_text("signed")) {
        if (!is_mark(*mark)) throw fields.refusal("signed", "is no text of 1 to 128 printable characters");
        answer.signed_mark = *mark;
    }
    answer.is_blocked = fields.maybe_flag("blocked").value_or(false);
    answer.acknowledged = fields.maybe_integer("acknowledged", 0, most).value_or(0);
    if (const auto audit = fields.maybe_text("audit")) {
        if (!line_of_head(*audit)) throw fields.refusal("audit", "is no head of an audit, LINE:HASH");
        answer.audit = *audit;
    }
    return answer;
}

std::vector<std::string> parse_signed_set(std::string_view text, std::string_view host) {
    const auto document = json::parse_strictly(text, "the signed operations", {.bytes = largest_signed_set});
    json::Fields fields(document, "the signed operations");
    require_for(fields, host);
    const auto& all = fields.value("operations");
    if (!all.is_array()) throw fields.refusal("operations", "is no list");
    if (all.get_array().size() > most_signed)
        throw fields.refusal("operations", "has more than " + std::to_string(most_signed));
    fields.finish();
    std::vector<std::string> documents;
    for (const auto& each : all.get_array()) {
        if (!each.is_object()) throw fields.refusal("operations", "has something that is no object");
        documents.push_back(boost::json::serialize(each));
        if (documents.back().size() > largest_signed)
            throw fields.refusal("operations", "has one that is too large");
    }
    return documents;
}

} // namespace blockhost::hub
