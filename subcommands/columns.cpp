// SPDX-License-Identifier: MIT
#include "subcommands/columns.hpp"

#include <algorithm>

namespace blockhost::subcommands {

void print_columns(cli::Printer& printer, const std::vector<std::vector<std::string>>& rows) {
    std::vector<std::size_t> widths(rows.empty() ? 0 : rows.front().size());
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths.at(i) = std::max(widths[i], row[i].size());
    for (const auto& row : rows) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i)
            line += row[i] + std::string(widths[i] + 2 - row[i].size(), ' ');
        printer.answer(line.substr(0, line.find_last_not_of(' ') + 1));
    }
}

} // namespace blockhost::subcommands
