#pragma once
/// Everything that is generated from the rows.

#include "cli/command.hpp"

#include <string>

namespace blockhost::cli {

/// "Usage: blockhost-vm-destroy <name>": under the name it was called by ("blockhost-libvirt destroy" for a
/// verb).
std::string usage_line(const Row& row, std::string_view called_as);
/// The help of one verb, at most 80 columns wide.
std::string verb_help(const Row& row, std::string_view called_as);
/// The overview: verbs with their summaries, where to read on.
std::string overview();
/// The whole command line as one JSON document (`blockhost-libvirt __dump`): rows, options, links, error
/// table, version.
std::string dump_json();
/// The name of a verb's manual page, without section: its contract name, else "blockhost-libvirt-VERB".
std::string man_page_name(const Row& row);
/// Manual page (section 8) in roff, for one verb or (null) the overview.
std::string man_page(const Row* row);
/// Completion script for "bash", "zsh" or "fish". Throws Error{invalid} for another shell.
std::string completion(std::string_view shell);
/// The version string the build gave us.
std::string_view version();

} // namespace blockhost::cli
