// SPDX-License-Identifier: MIT
#pragma once
/// JSON through Boost.JSON: this program's documents, agent messages, configuration. The registry has its own
/// tree.

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace blockhost::json {

/// One line as Python's json.dumps writes it: separators ", " and ": ", and \uXXXX for everything beyond
/// ASCII.
std::string python_line(const boost::json::value& value);

/// A text's spelling between the quotes, by the same rules; a byte that is not UTF-8 becomes U+FFFD.
std::string escaped(std::string_view text);

/// Parses a whole text; throws Error{config} "NAME: line L, column C: <what>" for malformed text.
boost::json::value parse(std::string_view text, std::string_view name);

/// What may have members: an object, or a value that need not be one. It refers to what it is made of.
class MaybeObject {
  public:
    MaybeObject(const boost::json::object& object) : object_(&object) {}
    MaybeObject(const boost::json::value& value) : object_(value.if_object()) {}

    const boost::json::object* get() const { return object_; } ///< null when it is no object

  private:
    const boost::json::object* object_;
};

// These read outside text and refuse nothing: a member that is absent or of another type counts as none.
// Whoever must have it says so in a sentence of his own.

const boost::json::value* member(MaybeObject from, std::string_view key); ///< null when absent
std::string string_or(MaybeObject from, std::string_view key, std::string_view fallback);
/// An integer that fits.
std::optional<std::int64_t> integer_in(MaybeObject from, std::string_view key);
/// An integer of at least zero, up to 64 bits.
std::optional<std::uint64_t> count_in(MaybeObject from, std::string_view key);
bool is_true(MaybeObject from, std::string_view key); ///< only for the value true
/// The texts of a list, without its other elements.
std::vector<std::string> strings_in(MaybeObject from, std::string_view key);
/// Empty when there is none. Valid as long as `from`.
const boost::json::object& object_in(MaybeObject from, std::string_view key);

} // namespace blockhost::json
