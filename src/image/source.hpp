// SPDX-License-Identifier: MIT
#pragma once
/// What a template is made from.

#include <string>
#include <string_view>

namespace blockhost::image {

struct Source {
    enum class Kind {
        cloud,    ///< Debian's generic cloud image, from the configured URL
        packages, ///< the host's own Debian package sources
        file,     ///< an image on this host
        url,      ///< the caller's own image, over HTTPS
    } kind = Kind::cloud;
    std::string where = {}; ///< the file's path, or the URL
};

/// "cloud", "packages", "file:PATH" or "https://…". Throws Error{invalid}.
Source parse_source(std::string_view text);

/// The URL of Debian's image, for a db.yaml that names none (docs/contract.md, "Configuration").
inline constexpr const char* default_template_url =
    "https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-generic-amd64.qcow2";

} // namespace blockhost::image
