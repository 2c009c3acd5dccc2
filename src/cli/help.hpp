// SPDX-License-Identifier: MIT
#pragma once
/// Everything that is generated from the rows.

#include "cli/command.hpp"

#include <string>

namespace blockhost::cli {

/// "Usage: blockhost-vm-destroy <name>", with the name that was called ("blockhost-libvirt destroy" for a
/// verb).
std::string usage_line(const Row& row, std::string_view called_as);
/// The help of one verb, at most 80 columns wide.
std::string verb_help(const Row& row, std::string_view called_as);
/// The overview: the verbs with their summaries, and where to read on.
std::string overview();
/// The whole command line as one JSON document (`blockhost-libvirt __dump`): rows, options, links, error
/// table, version.
std::string dump_json();
/// The name of a verb's manual page, without section: its contract name, else "blockhost-libvirt-VERB".
std::string man_page_name(const Row& row);
/// The manual page (section 8) in roff of one verb, or (null) of the program.
std::string man_page(const Row* row);
/// The completion script for "bash", "zsh" or "fish". Throws Error{invalid} for another shell.
std::string completion(std::string_view shell);
/// The version that the build was given.
std::string_view version();

} // namespace blockhost::cli
