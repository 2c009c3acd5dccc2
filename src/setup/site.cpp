// SPDX-License-Identifier: MIT
/// See site.hpp.

#include "setup/site.hpp"

#include "base/files/files.hpp"
#include "base/files/spelling.hpp"
#include "base/text/text.hpp"

namespace blockhost::setup {

namespace fs = std::filesystem;

std::vector<host::Interface> Site::interfaces() const {
    return reality == Reality::simulated ? host::simulated_interfaces(paths.world)
                                         : host::kernel_interfaces();
}

std::unique_ptr<Hypervisor> Site::hypervisor(Access access) const {
    return reality == Reality::simulated ? open_simulated(paths.world) : open_libvirt(libvirt_uri(), access);
}

std::unique_ptr<Surroundings> Site::surroundings(Access access) const {
    return reality == Reality::simulated ? open_simulated_surroundings(paths.world)
                                         : open_libvirt_surroundings(libvirt_uri(), access);
}

fs::path Site::db_target() const {
    return reality == Reality::simulated ? paths.world / "db.yaml" : paths.db_yaml();
}

fs::path Site::db_yaml() const {
    std::error_code ignored;
    return fs::exists(db_target(), ignored) ? db_target() : paths.db_yaml();
}

std::optional<std::string> Site::db_text() const {
    const auto text = files::read(db_yaml());
    if (!text || text::trim(*text).empty()) return std::nullopt;
    return text;
}

void refuse(std::string field, std::string message, std::string hint, Code code) {
    throw FieldError(code, {{std::move(field), std::move(message), std::move(hint)}});
}

fs::path plain(const fs::path& path) {
    return files::plain(path.lexically_normal());
}

} // namespace blockhost::setup
