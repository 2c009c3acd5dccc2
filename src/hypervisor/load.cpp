/// Opening libvirt through its module. (The simulated world opens itself: simulated/world.cpp.)

#include "hypervisor/load.hpp"

#include "base/module.hpp"
#include "hypervisor/daemon.hpp"
#include "hypervisor/rootagent/driver.hpp"
#include "hypervisor/rpc/driver.hpp"

#include <cstdlib>
#include <unistd.h>

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

std::unique_ptr<Hypervisor> open_direct(const std::string& uri, Access access, std::chrono::seconds longest) {
    const char* set = std::getenv("BLOCKHOST_DRIVER");
    const std::string_view wanted = set ? set : "";
    if (wanted != "" && wanted != "rpc" && wanted != "libvirt")
        throw Error(Code::config, "BLOCKHOST_DRIVER is neither rpc nor libvirt", "unset it");
    if (wanted == "libvirt") return open_libvirt(uri, access, longest);
    if (libvirt::local_sockets(uri))
        return open_rpc(uri, access, longest, wanted == "rpc" ? Unexpected::told : Unexpected::module_asked);
    if (wanted == "rpc")
        throw Error(Code::config, "BLOCKHOST_DRIVER=rpc is for QEMU on this host, not for " + uri,
                    "unset it");
    return open_libvirt(uri, access, longest);
}

std::unique_ptr<Hypervisor> open_hypervisor(const Paths& paths, Access access, std::chrono::seconds longest) {
    const std::string uri = libvirt_uri();
    std::error_code ignored;
    if (geteuid() == 0 || !std::filesystem::exists(paths.root_agent_socket(), ignored))
        return open_direct(uri, access, longest);
    try {
        return open_direct(uri, Access::write, longest);
    } catch (const Error& error) {
        if (error.code() != Code::denied) throw;
    }
    return through_root_agent(open_direct(uri, Access::read, longest), paths);
}

} // namespace blockhost
