// SPDX-License-Identifier: MIT
/// Which way to libvirt a process takes. (The simulated world opens itself: simulated/world.cpp.)

#include "hypervisor/open.hpp"

#include "hypervisor/common/daemon_socket.hpp"
#include "hypervisor/rootagent/driver.hpp"
#include "hypervisor/rpc/driver.hpp"

#include <cstdlib>
#include <unistd.h>

namespace blockhost {

std::string libvirt_uri() {
    const char* uri = std::getenv("BLOCKHOST_LIBVIRT_URI");
    return uri && *uri ? uri : "qemu:///system";
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

namespace {

/// Who may not write is told of both ways to it.
Error without_agent(const Error& refusal, const std::filesystem::path& socket,
                    const std::error_code& trouble) {
    return Error(
        refusal.code(),
        refusal.message() + "; and the root agent, which changes VMs for the blockhost user, is not there: " +
            socket.native() + (trouble ? " cannot be looked at: " + trouble.message() : " does not exist"),
        "start it with `systemctl start blockhost-root-agent`; to do without it, run this as root or as a "
        "member of group libvirt");
}

} // namespace

std::unique_ptr<Hypervisor> open_hypervisor(const Paths& paths, Access access, std::chrono::seconds longest) {
    const std::string uri = libvirt_uri();
    if (geteuid() == 0) return open_direct(uri, access, longest);
    std::error_code trouble;
    const bool agent = std::filesystem::exists(paths.root_agent_socket(), trouble);
    if (!agent && access == Access::read) return open_direct(uri, access, longest);
    try {
        return open_direct(uri, Access::write, longest);
    } catch (const Error& error) {
        if (error.code() != Code::denied) throw;
        if (!agent) throw without_agent(error, paths.root_agent_socket(), trouble);
    }
    return through_root_agent(open_direct(uri, Access::read, longest), paths);
}

} // namespace blockhost
