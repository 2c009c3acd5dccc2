// SPDX-License-Identifier: MIT
// Reads and writes envelopes.
#include "authority/envelope.hpp"

#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"
#include "platform/action_json.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <functional>
#include <limits>

namespace blockhost::authority {

namespace bj = boost::json;
using json::Fields;

namespace {

constexpr std::int64_t version = 1;
constexpr std::string_view envelope_is = "the envelope", operation_is = "the signed operation";

/// A UTC instant of whole seconds in the one spelling that is written here.
std::string spelled(Instant instant) {
    std::string text = format_instant(std::chrono::floor<std::chrono::seconds>(instant));
    return text.substr(0, text.find('+')) + "Z";
}

Instant instant_in(Fields& fields, std::string_view key) {
    const std::string text = fields.text(key);
    const auto instant = parse_instant(text);
    if (!instant || spelled(*instant) != text)
        throw fields.refusal(key, "is no instant such as 2030-01-31T23:59:59Z");
    return *instant;
}

void require_version(Fields& fields) {
    const std::int64_t found = fields.integer("version", 0, std::numeric_limits<std::int64_t>::max());
    if (found != version)
        throw fields.refusal("version",
                             fmt::format("is {}, and this program knows version {}", found, version),
                             "use the same version of blockhost-libvirt on both sides");
}

void require_characters(const Fields& fields, std::string_view key, const std::string& text,
                        std::size_t least, std::size_t most, const std::function<bool(char)>& is_good,
                        std::string_view what) {
    if (text.size() < least || text.size() > most || !std::ranges::all_of(text, is_good))
        throw fields.refusal(key, fmt::format("is not {} to {} {}", least, most, what));
}

bool is_id(char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}
bool is_visible(char c) {
    return c > ' ' && c < 0x7f;
}

} // namespace

std::string to_text(const Envelope& envelope) {
    bj::object digests{{"change", digest_of(envelope.change)}};
    if (!envelope.guest_digest.empty()) digests["guest"] = envelope.guest_digest;
    return json::python_line(bj::object{{"version", version},
                                        {"operation", envelope.operation},
                                        {"host", envelope.host},
                                        {"target", platform::to_json(envelope.target)},
                                        {"action", to_json(envelope.change)},
                                        {"digests", std::move(digests)},
                                        {"not_before", spelled(envelope.not_before)},
                                        {"not_after", spelled(envelope.not_after)},
                                        {"nonce", envelope.nonce}});
}

Envelope parse_envelope(std::string_view text) {
    const bj::value document =
        json::parse_strictly(text, envelope_is, {.bytes = largest_envelope, .depth = 8});
    Fields fields(document, std::string(envelope_is));
    require_version(fields);
    Envelope envelope;
    envelope.operation = fields.text("operation");
    require_characters(fields, "operation", envelope.operation, 1, 64, is_id, "of a-z 0-9 . _ -");
    envelope.host = fields.text("host");
    require_characters(fields, "host", envelope.host, 1, 253, is_visible, "printable ASCII characters");
    envelope.target = platform::target_from_json(fields.value("target"), "the envelope's target");
    envelope.change = change_from_json(fields.value("action"), "the envelope's action");
    Fields digests = fields.object("digests");
    if (digests.text("change") != digest_of(envelope.change))
        throw digests.refusal("change", "is not the digest of the envelope's action");
    envelope.guest_digest = digests.maybe_text("guest").value_or("");
    digests.finish();
    envelope.not_before = instant_in(fields, "not_before");
    envelope.not_after = instant_in(fields, "not_after");
    envelope.nonce = fields.text("nonce");
    require_characters(
        fields, "nonce", envelope.nonce, 32, 64, [](char c) { return text::is_hex(c); },
        "lower-case hex digits");
    fields.finish();
    if (envelope.not_after <= envelope.not_before)
        throw fields.refusal("not_after", "is not later than \"not_before\"");
    if (envelope.not_after - envelope.not_before > longest_window)
        throw fields.refusal("not_after", fmt::format("is more than {} days later than \"not_before\"",
                                                      longest_window.count()));
    return envelope;
}

std::string to_text(const SignedOperation& operation) {
    return json::python_line(
        bj::object{{"version", version},
                   {"envelope", operation.envelope},
                   {"signatures", bj::array(operation.signatures.begin(), operation.signatures.end())}});
}

SignedOperation parse_signed_operation(std::string_view text) {
    const bj::value document =
        json::parse_strictly(text, operation_is, {.bytes = largest_signed_operation, .depth = 4});
    Fields fields(document, std::string(operation_is));
    require_version(fields);
    SignedOperation operation{fields.text("envelope"), fields.texts("signatures")};
    fields.finish();
    if (operation.signatures.size() > most_signatures)
        throw fields.refusal("signatures", fmt::format("has more than {} signatures", most_signatures));
    for (const std::string& each : operation.signatures)
        if (each.size() > largest_signature)
            throw fields.refusal("signatures",
                                 fmt::format("has one of more than {} bytes", largest_signature));
    return operation;
}

} // namespace blockhost::authority
