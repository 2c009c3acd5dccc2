// SPDX-License-Identifier: MIT
#pragma once
/// Prometheus' text exposition format 0.0.4: families of samples.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blockhost::text {

class Exposition {
  public:
    using Labels = std::vector<std::pair<std::string_view, std::string>>;

    /// Begins the family that the samples after it belong to. `type`: "gauge", "counter". A family comes
    /// once.
    void family(std::string_view name, std::string_view type, std::string_view help);
    /// `value`: a number as this format has it. Labels' values may be any text.
    void sample(std::string_view value, const Labels& labels = {});
    void sample(double value, const Labels& labels = {}) { sample(number(value), labels); }
    /// Digits only; whole numbers have no fraction.
    static std::string number(double value);
    /// A family of one sample; nothing at all where there is no value.
    void one(std::string_view name, std::string_view type, std::string_view help,
             const std::optional<double>& value);
    std::string take() { return std::move(text_); }

  private:
    std::string text_, name_;
};

} // namespace blockhost::text
