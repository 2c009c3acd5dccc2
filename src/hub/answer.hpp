// SPDX-License-Identifier: MIT
#pragma once
/// What a hub says to one host: docs/hub.md, data/schemas/hub-answer.schema.json and hub-signed.schema.json.
/// All of it is outside text.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::hub {

inline constexpr std::size_t largest_answer = 64u << 10, largest_desired = 4u << 20;
inline constexpr std::size_t most_signed = 256, largest_signed = 192u << 10;
inline constexpr std::size_t largest_signed_set = 4u << 20; ///< of all of them together
inline constexpr std::chrono::seconds least_poll{60}, most_poll{3600};

/// Which desired state is wanted.
struct Announced {
    std::int64_t generation = 0;
    std::string digest; ///< SHA-256 of the document's bytes; empty: it was not told
    bool operator==(const Announced&) const = default;
};

struct Answer {
    std::optional<std::chrono::seconds> poll; ///< from least_poll to most_poll
    std::optional<Announced> desired;         ///< nothing: nothing is wanted of this host
    /// Changes with the set of signed operations; empty: none wait; nothing: it could not be seen just now.
    std::optional<std::string> signed_mark = "";
    bool is_blocked = false;
    std::int64_t acknowledged = 0; ///< the hub keeps this event and all before it
    std::string audit;             ///< a head, "LINE:HASH"; empty: the hub knows of none
    /// What could not be read of it just now, as a sentence; empty: all could.
    std::string unclear = {};
};

/// Throws Error{invalid} for anything that is not exactly an answer for that host; members that are not known
/// are ignored.
Answer parse_answer(std::string_view text, std::string_view host);

/// The documents of signed operations, each as a text of its own. Throws Error{invalid} for anything that is
/// not exactly such a set for that host. What is in a document is not looked at.
std::vector<std::string> parse_signed_set(std::string_view text, std::string_view host);

/// What a desired state, which nobody else announces, says of itself; `name` is for messages. Throws
/// Error{config} or Error{invalid} for a document that does not say its generation.
Announced announced_by(const std::string& text, const std::string& name);

/// The line of "LINE:HASH"; nothing for anything else.
std::optional<std::int64_t> line_of_head(std::string_view head);

} // namespace blockhost::hub
