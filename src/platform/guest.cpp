// SPDX-License-Identifier: MIT
#include "platform/guest.hpp"

#include "base/text/text.hpp"

namespace blockhost::platform {

std::string_view to_string(Kind kind) {
    return kind == Kind::vm ? "vm" : "container";
}

std::string_view to_string(Power power) {
    switch (power) {
    case Power::running:
        return "running";
    case Power::stopped:
        return "stopped";
    case Power::paused:
        return "paused";
    case Power::suspended:
        return "suspended";
    case Power::unknown:
        break;
    }
    return "unknown";
}

std::string normal_description(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n\v\f"; // what Perl's \s matches in ASCII
    return std::string(text.substr(0, text.find_last_not_of(blanks) + 1));
}

std::string normal_tag(std::string_view text) {
    return text::lower(text);
}

} // namespace blockhost::platform
