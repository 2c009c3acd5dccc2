// SPDX-License-Identifier: MIT
/// See user_data.hpp.

#include "guest/user_data.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <array>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

namespace blockhost::guest {

namespace {

constexpr std::string_view byte_order_marks[] = {"\xef\xbb\xbf", "\xff\xfe", "\xfe\xff"};
constexpr std::string_view compressed = "\x1f\x8b";

/// The other headers that cloud-init knows (cloudinit/handlers/__init__.py, INCLUSION_TYPES_MAP).
constexpr std::array<std::string_view, 9> headers{"#!",
                                                  "#include",
                                                  "#part-handler",
                                                  "#upstart-job",
                                                  "#cloud-boothook",
                                                  "#cloud-config-archive",
                                                  "#cloud-config-jsonp",
                                                  "## template: jinja",
                                                  "#cloud-config"};
/// How far a MIME header is searched for (cloudinit/user_data.py, convert_string).
constexpr std::size_t mime_within = 4096;

} // namespace

UserDataKind kind_of(std::string_view user_data) {
    if (user_data.starts_with(compressed)) return UserDataKind::other;
    for (std::string_view mark : byte_order_marks)
        if (user_data.starts_with(mark)) return UserDataKind::marked;
    const std::string start = text::lower(text::trim(user_data).substr(0, mime_within));
    if (start.empty()) return UserDataKind::empty;
    if (start.find("mime-version:") != start.npos) return UserDataKind::other;
    for (std::string_view header : headers)
        if (start.starts_with(header))
            return header == headers.back() ? UserDataKind::cloud_config : UserDataKind::other;
    return UserDataKind::unknown;
}

void require_user_data(std::string_view user_data, const std::string& what) {
    constexpr const char* hint = "it begins with '#cloud-config', or with '#!' when it is a script";
    switch (kind_of(user_data)) {
    case UserDataKind::empty:
        throw Error(Code::invalid, what + " is empty, so that the guest would have no login", hint);
    case UserDataKind::marked:
        throw Error(Code::invalid,
                    what + " begins with a byte order mark, behind which cloud-init finds nothing",
                    "save it as UTF-8 without one");
    case UserDataKind::unknown:
        throw Error(Code::invalid, what + " has no header that cloud-init knows, so that it would be ignored",
                    hint);
    case UserDataKind::cloud_config:
    case UserDataKind::other:
        return;
    }
}

std::string malformed_in(std::string_view user_data) {
    if (kind_of(user_data) != UserDataKind::cloud_config) return "";
    try {
        const YAML::Node document = YAML::Load(std::string(user_data));
        if (document.IsMap() || document.IsNull()) return "";
        return "it is not a mapping";
    } catch (const YAML::Exception& error) {
        return fmt::format("line {}, column {}: {}", error.mark.line + 1, error.mark.column + 1,
                           text::printable(error.msg));
    }
}

} // namespace blockhost::guest
