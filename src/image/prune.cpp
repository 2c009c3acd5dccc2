/// Versions and what stands on them.

#include "image/prune.hpp"

namespace blockhost::image {

std::vector<Fate> judge(const Store& store, const Users& users) {
    const auto current = store.current();
    std::vector<Fate> fates;
    for (Manifest& manifest : store.versions()) {
        Fate fate{std::move(manifest), false, {}};
        fate.current = current == fate.manifest.id;
        const auto found = users.find(std::filesystem::canonical(store.image(fate.manifest.id)).string());
        if (found != users.end()) fate.users = found->second;
        fates.push_back(std::move(fate));
    }
    return fates;
}

} // namespace blockhost::image
