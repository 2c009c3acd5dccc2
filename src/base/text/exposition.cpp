// SPDX-License-Identifier: MIT
#include "base/text/exposition.hpp"

#include <fmt/format.h>

namespace blockhost::text {

namespace {

/// Backslash, double quote and line feed are escaped.
std::string escaped(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        out += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return out;
}

} // namespace

void Exposition::family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

std::string Exposition::number(double value) {
    return fmt::format("{:.15g}", value);
}

void Exposition::sample(std::string_view value, const Labels& labels) {
    std::string all;
    for (const auto& [key, word] : labels)
        all += fmt::format("{}{}=\"{}\"", all.empty() ? "" : ",", key, escaped(word));
    text_ += name_ + (all.empty() ? "" : "{" + all + "}") + fmt::format(" {}\n", value);
}

void Exposition::one(std::string_view name, std::string_view type, std::string_view help,
                     const std::optional<double>& value) {
    if (!value) return;
    family(name, type, help);
    sample(*value);
}

} // namespace blockhost::text
