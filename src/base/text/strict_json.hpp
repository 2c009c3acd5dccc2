// SPDX-License-Identifier: MIT
#pragma once
/// JSON documents that may mean one thing only, and what is read from them.

#include "base/error.hpp"
#include "base/text/json.hpp"

#include <set>

namespace blockhost::json {

/// What a document may take.
struct Limits {
    std::size_t bytes = 64u << 10;
    std::size_t depth = 16; ///< levels of objects and arrays, the outermost included
};

/// Parses a whole text that somebody else made. Each of these is refused with a sentence of its own: an empty
/// text, one longer than the limit, bytes that are not UTF-8, deeper nesting than the limit, a member that an
/// object has twice, text after the end, malformed text. Throws Error{invalid}: "NAME: line L, column C: …".
boost::json::value parse_strictly(std::string_view text, std::string_view name, const Limits& limits = {});

/// The members of an object that has exactly the members that are asked for. Every function throws
/// Error{invalid} "WHERE: member "KEY" …"; null is a value of a wrong type, and not an absent member. Refers
/// to the value that it is made of.
class Fields {
  public:
    /// `where` names the object in messages. Throws when the value is no object.
    Fields(const boost::json::value& value, std::string where);

    bool has(std::string_view key); ///< asks for it, too
    std::string text(std::string_view key);
    /// An integer from `least` to `most`.
    std::int64_t integer(std::string_view key, std::int64_t least, std::int64_t most);
    bool flag(std::string_view key);
    std::vector<std::string> texts(std::string_view key); ///< a list of texts
    Fields object(std::string_view key);
    /// The members of a member: each a text.
    std::vector<std::pair<std::string, std::string>> text_by_name(std::string_view key);
    const boost::json::value& value(std::string_view key); ///< of any type

    std::optional<std::string> maybe_text(std::string_view key);
    std::optional<std::int64_t> maybe_integer(std::string_view key, std::int64_t least, std::int64_t most);
    std::optional<bool> maybe_flag(std::string_view key);

    /// Throws when there is a member that was not asked for.
    void finish() const;
    const std::string& where() const { return where_; }
    /// Error{invalid}: "WHERE: member "KEY" WHAT".
    Error refusal(std::string_view key, std::string_view what, std::string hint = {}) const;

  private:
    const boost::json::object* object_;
    std::string where_;
    std::set<std::string, std::less<>> asked_;
};

} // namespace blockhost::json
