// SPDX-License-Identifier: MIT
#pragma once
/// A refusal that tells which of the given values are wrong.

#include "base/error.hpp"

#include <vector>

namespace blockhost {

/// What is wrong with one value. `field` is the option's name with underscores ("ip_network").
struct BadField {
    std::string field, message, hint = {};
};

/// One or more values were refused; the error lists all of them.
class FieldError : public Error {
  public:
    /// `fields` is not empty.
    FieldError(Code code, std::vector<BadField> fields)
        : Error(code, joined(fields), fields.front().hint), fields_(std::move(fields)) {}
    const std::vector<BadField>& fields() const { return fields_; }

  private:
    static std::string joined(const std::vector<BadField>& fields) {
        std::string all;
        for (const BadField& each : fields) all += (all.empty() ? "" : "; ") + each.message;
        return all;
    }
    std::vector<BadField> fields_;
};

} // namespace blockhost
