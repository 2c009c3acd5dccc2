// SPDX-License-Identifier: MIT
#pragma once
/// The parts of a row in words: the same in help, manual pages, completion and messages.

#include "cli/command.hpp"

#include <string>
#include <utility>
#include <vector>

namespace blockhost::cli {

inline constexpr std::string_view program_name = "blockhost-libvirt";

/// Every option that the parser accepts: the row's own, ignored ones too, then the common ones that the row
/// does not have itself. The pointers lead into the row and into common_options().
std::vector<const Option*> accepted_options(const Row& row);
/// The options that help, manual pages and completion show.
std::vector<const Option*> shown_options(const Row& row);
/// The rows that help, manual pages and completion show.
std::vector<const Row*> shown_rows();

/// A summary as a sentence: "Create a VM.".
std::string sentence(std::string_view summary);
/// What stands for an operand or a value: "<name>".
std::string placeholder(std::string_view name);
/// "<name>", "[<verb>]", "<command...>".
std::string operand_text(const Operand& operand);
/// The operand's help, with the choices in brackets behind it.
std::string operand_help(const Operand& operand);
/// "-v, --verbose", "--memory <mb>".
std::string option_spelling(const Option& option);
/// The option's help, with bounds, choices and default in brackets behind it.
std::string option_text(const Option& option);
/// "64 to 4096", "at least 1"; empty when there are no bounds.
std::string bounds_text(const Option& option);
/// "table, json".
std::string joined(const std::vector<std::string_view>& words, std::string_view separator);

/// "blockhost-vm-create <name> --owner-wallet <addr> [options]", without "Usage: ".
std::string synopsis(const Row& row, std::string_view called_as);

/// Which VMs, as __vms takes it: "live", "active", "suspended".
std::string_view name_of(Operand::Fits fits);

/// Each exit status of a verb and what it means, in rising order.
std::vector<std::pair<std::string, std::string>> exit_statuses(const Row& row);

} // namespace blockhost::cli
