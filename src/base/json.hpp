#pragma once
/// JSON where Boost.JSON serves: documents of ours, agent messages, configuration. The registry has its own
/// tree.

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

namespace blockhost::json {

/// One line with Python's separators (", " and ": ") and \uXXXX for everything beyond ASCII, as json.dumps
/// writes.
std::string python_line(const boost::json::value& value);

/// Parses a whole text; throws Error{config} "NAME: line L, column C: <what>" on anything malformed.
boost::json::value parse(std::string_view text, std::string_view name);

/// The member as a string; nothing when absent, null or not a string.
std::string string_or(const boost::json::value& object, std::string_view key, std::string_view fallback);

} // namespace blockhost::json
