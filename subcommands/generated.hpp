// SPDX-License-Identifier: MIT
#pragma once
/// What __dump prints besides the rows.

#include "cli/page.hpp"

#include <span>
#include <string>
#include <string_view>

namespace blockhost::subcommands {

/// A name and what it means, no full stop.
struct Named {
    std::string_view name, meaning;
};

std::span<const Named> environment_variables();
/// The root agent's actions that this package ships, and those of BlockHost's own that it calls.
std::span<const Named> shipped_agent_actions();
std::span<const Named> called_agent_actions();
/// Programs of this package that others run, and programs of others that it runs.
std::span<const Named> hook_programs();
std::span<const Named> systemd_units();

/// The manual page blockhost-libvirt(7).
cli::Page overview_page();
/// PROJECT.yaml.
std::string project_yaml();

} // namespace blockhost::subcommands
