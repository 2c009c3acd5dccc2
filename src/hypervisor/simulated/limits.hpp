// SPDX-License-Identifier: MIT
#pragma once
/// The limits of a simulated domain, as the world's files spell them.

#include "hypervisor/tuning_json.hpp"

namespace blockhost::simulated {

/// As a host with cgroup v1 shows a domain that nobody limited.
Tuning unlimited();
/// What a domain runs with that starts with this definition.
Tuning started_with(const Tuning& definition);
/// As a definition shows that says nothing.
Tuning unsaid();

/// The limits that `object` holds under `key`; fields that are missing are as in `absent`.
Tuning tuning_in(const boost::json::object& object, std::string_view key, const Tuning& absent);

/// `tuning` with the given fields of one subsystem set.
void set(Tuning& tuning, Subsystem subsystem, const Tuning& wanted);

} // namespace blockhost::simulated
