// SPDX-License-Identifier: MIT
// Digits, compared as texts of equal length.
#include "model/token_id.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>

namespace blockhost {

namespace {

constexpr std::string_view
    largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935",
    largest_exact = "9007199254740991";

bool is_at_most(std::string_view digits, std::string_view most) {
    return digits.size() != most.size() ? digits.size() < most.size() : digits <= most;
}

} // namespace

TokenId::TokenId(std::string_view text) {
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    std::string_view plain = text.substr(std::min(text.find_first_not_of('0'), text.size()));
    if (plain.empty()) plain = "0";
    if (!digits || !is_at_most(plain, largest))
        throw Error(Code::invalid, "'" + text::printable(text, 100) + "' is no token id",
                    "a whole number from 0 to 2^256 - 1");
    text_ = plain;
}

bool TokenId::is_exact_number() const {
    return is_at_most(text_, largest_exact);
}

} // namespace blockhost
