#pragma once
/// Regular expressions that others wrote, in Perl's syntax, without trust: neither one that is made to take
/// long nor one that is made to be deep costs more than milliseconds.

#include <string>

namespace blockhost {

enum class Matching {
    yes,
    no,
    no_pattern,  ///< it is no regular expression
    too_complex, ///< longer than 1000 bytes, too large, too deep, or with references back to groups
};

/// Whether `text` begins with a match of `pattern`, as Python's re.match asks.
Matching match_at_start(const std::string& text, const std::string& pattern);

} // namespace blockhost
