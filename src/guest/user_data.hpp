// SPDX-License-Identifier: MIT
#pragma once
/// The kinds of user-data, which cloud-init tells by the text's beginning (cloud-init, "User-data formats").

#include <string>
#include <string_view>

namespace blockhost::guest {

enum class UserDataKind {
    cloud_config, ///< "#cloud-config": YAML
    other,        ///< a script, an include, a MIME message, a Jinja template, compressed data
    empty,        ///< nothing but blanks
    marked,       ///< begins with a byte order mark: cloud-init finds no header behind it, and ignores all
    unknown,      ///< no header: cloud-init ignores it
};
UserDataKind kind_of(std::string_view user_data);

/// Throws Error{invalid} for user-data that cloud-init would ignore, which would leave the guest without a
/// login: empty, without a header, or behind a byte order mark. Messages call it `what`.
void require_user_data(std::string_view user_data, const std::string& what);

/// Why cloud-init could not read the YAML of a "#cloud-config", with line and column; empty when it can, and
/// for other kinds.
std::string malformed_in(std::string_view user_data);

} // namespace blockhost::guest
