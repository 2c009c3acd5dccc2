// SPDX-License-Identifier: MIT
#pragma once
/// Which versions of the template may go.

#include "image/store.hpp"

#include <map>
#include <string>
#include <vector>

namespace blockhost::image {

/// What stands on each image: sorted names of VMs, domains or files, by the image's files::identity.
using Users = std::map<std::string, std::vector<std::string>>;

struct Fate {
    Manifest manifest;
    bool current = false;
    bool linked = false; ///< a link leads to it: the current one, or one that a killed build left
    std::vector<std::string> users;
    bool goes() const { return !linked && users.empty(); }
};

/// The users of one image.
std::vector<std::string> users_of(const std::filesystem::path& image, const Users& users);

/// Every version with what stands on it, oldest first. goes() means something only when `users` is complete.
std::vector<Fate> judge(const Store& store, const Users& users);

} // namespace blockhost::image
