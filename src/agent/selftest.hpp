// SPDX-License-Identifier: MIT
#pragma once
/// Checks of what the agent works with, for a person who sets it up.

#include "platform/platform.hpp"

#include <string>
#include <vector>

namespace blockhost::agent {

/// The result of one check.
struct Check {
    enum class Verdict {
        good,
        doubtful, ///< it works, but not in full or not for long
        bad,      ///< it does not work
    };
    std::string name; ///< "clock"
    Verdict verdict = Verdict::good;
    std::string told;   ///< what was seen: one clause
    std::string remedy; ///< what to do about it; empty for a good one
};

std::string_view to_string(Check::Verdict verdict);

/// Looks at the platform, its clock, its certificate, the privileges, and at each guest. Changes nothing.
/// What the platform refuses is a check's result; only an interruption is thrown.
std::vector<Check> selftest_read(platform::Platform& platform);

} // namespace blockhost::agent
