// SPDX-License-Identifier: MIT
#pragma once
/// A domain's power state and the reason for it.

#include "model/vm.hpp"

#include <string>
#include <string_view>

namespace blockhost {

/// A power state with libvirt's reason for it, in words ("booted", "I/O error", "panicked"); empty when
/// libvirt gives none.
struct Power {
    PowerState state = PowerState::unknown;
    std::string reason = {};
    bool operator==(const Power&) const = default;
};
/// Reasons that this program acts on; all others are only shown.
namespace reason {
inline constexpr std::string_view io_error = "I/O error";
/// A paused domain whose guest sleeps (S3): it is woken, not unpaused.
inline constexpr std::string_view asleep = "suspended to memory";
} // namespace reason
/// True while the guest or libvirt is changing the state: it will not stay.
bool is_passing(const Power& power);
/// True when a fault holds or ended the domain: an I/O error, a crash, a watchdog.
bool is_trouble(const Power& power);

} // namespace blockhost
