/// Opening libvirt through its module. (The simulated world opens itself: simulated/world.cpp.)

#include "hypervisor/load.hpp"

#include "base/module.hpp"

#include <cstdlib>

namespace blockhost {

std::string libvirt_uri() {
    const char* uri = std::getenv("BLOCKHOST_LIBVIRT_URI");
    return uri && *uri ? uri : "qemu:///system";
}

std::unique_ptr<Hypervisor> open_libvirt(const std::string& uri, Access access,
                                         std::chrono::seconds longest) {
    auto make =
        reinterpret_cast<HypervisorMaker>(load_symbol("hypervisor-libvirt.so", hypervisor_maker_symbol));
    Failure failure;
    std::unique_ptr<Hypervisor> made(
        make(uri.c_str(), access == Access::write, static_cast<int>(longest.count()), &failure));
    failure.raise();
    return made;
}

} // namespace blockhost
