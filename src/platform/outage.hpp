// SPDX-License-Identifier: MIT
#pragma once
/// Why a guest is off, as far as its platform can tell.

#include <optional>
#include <string>

namespace blockhost::platform {

struct Outage {
    enum class Cause {
        unknown,    ///< nothing tells: nothing follows from it
        crash,      ///< nobody switched it off, as far as the platform can tell
        on_purpose, ///< an operator, the guest itself or a rule of this host wants it off
    } cause = Cause::unknown;
    std::string why = {}; ///< one clause that goes on from the guest's name: "it crashed, libvirt says"
    /// Whether the platform's own records want it on; nothing where it keeps none of that.
    std::optional<bool> should_run = {};
};

} // namespace blockhost::platform
