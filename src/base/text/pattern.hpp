// SPDX-License-Identifier: MIT
#pragma once
/// Regular expressions in Perl's syntax that are not trusted: an expression built to run long or to nest deep
/// costs no more than milliseconds.

#include <string>

namespace blockhost {

enum class Matching {
    yes,
    no,
    no_pattern,  ///< not a regular expression
    too_complex, ///< longer than 1000 bytes, too large, too deep, or with back-references
};

/// Whether `text` begins with a match of `pattern`, like Python's re.match.
Matching match_at_start(const std::string& text, const std::string& pattern);

} // namespace blockhost
