// SPDX-License-Identifier: MIT
#pragma once
/// What an image has inside, as the customising script reported it.

#include <map>
#include <set>
#include <string>

namespace blockhost::image {

struct Inside {
    std::map<std::string, std::string> packages; ///< name, version
    std::set<std::string> accounts;              ///< names of users and groups
    bool operator==(const Inside&) const = default;
};

} // namespace blockhost::image
