// SPDX-License-Identifier: MIT
#pragma once
/// Tables of verbs.

#include "cli/printer.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace blockhost::subcommands {

/// Prints rows of the same length, the first of them the heads, in columns as wide as they have to be.
void print_columns(cli::Printer& printer, const std::vector<std::vector<std::string>>& rows);

/// "5 min", "3 h", "12 d"; "-" for what lies ahead.
std::string age_words(std::int64_t seconds);

} // namespace blockhost::subcommands
