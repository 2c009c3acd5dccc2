// SPDX-License-Identifier: MIT
#include "subcommands/columns.hpp"

#include <algorithm>
#include <fmt/format.h>

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

std::string age_words(std::int64_t seconds) {
    constexpr std::int64_t minute = 60, hour = 60 * minute, day = 24 * hour;
    if (seconds < 0) return "-";
    if (seconds < 2 * hour) return fmt::format("{} min", seconds / minute);
    if (seconds < 2 * day) return fmt::format("{} h", seconds / hour);
    return fmt::format("{} d", seconds / day);
}

} // namespace blockhost::subcommands
