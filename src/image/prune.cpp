// SPDX-License-Identifier: MIT
/// Versions and what stands on them.

#include "image/prune.hpp"

namespace blockhost::image {

std::vector<std::string> users_of(const std::filesystem::path& image, const Users& users) {
    const auto found = users.find(files::identity(image));
    if (found != users.end()) return found->second;
    return is_in_use(image) ? std::vector<std::string>{"a running guest"} : std::vector<std::string>{};
}

std::vector<Fate> judge(const Store& store, const Users& users) {
    const auto current = store.current();
    std::vector<Fate> fates;
    for (Manifest& manifest : store.versions()) {
        const std::string id = manifest.id;
        fates.push_back(
            {std::move(manifest), current == id, store.is_linked(id), users_of(store.image(id), users)});
    }
    return fates;
}

} // namespace blockhost::image
