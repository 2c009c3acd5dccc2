#pragma once
/// What __dump prints of more than the rows.

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
/// Actions of the root agent that this package brings, and those of BlockHost's own that it calls.
std::span<const Named> shipped_agent_actions();
std::span<const Named> called_agent_actions();
/// What others run of ours, and what we run of theirs.
std::span<const Named> hook_programs();
std::span<const Named> systemd_units();

/// blockhost-libvirt(7).
cli::Page overview_page();
/// PROJECT.yaml.
std::string project_yaml();

} // namespace blockhost::subcommands
