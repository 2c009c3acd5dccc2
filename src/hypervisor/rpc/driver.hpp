// SPDX-License-Identifier: MIT
#pragma once
/// Looking at libvirt without its library: its RPC protocol on the local socket. Changes, and what is rarely
/// looked at, go to the libvirt module, which is loaded at the first of them.

#include "hypervisor/open_libvirt.hpp"

#include <cstdint>

namespace blockhost {

/// What becomes of a look that the daemon answers as we do not expect.
enum class Unexpected {
    module_asked, ///< the module is asked, for that look and all later ones
    told,         ///< an Error says what was unexpected
};

/// Connects to the local daemon of `uri`, which local_sockets() knows. Throws as open_libvirt.
std::unique_ptr<Hypervisor> open_rpc(const std::string& uri, Access access, std::chrono::seconds longest,
                                     Unexpected unexpected);

/// How often this process left a look to the module because of what the daemon did, and the last reason.
struct Fallbacks {
    std::uint64_t count = 0;
    std::string last_reason;
};
Fallbacks rpc_fallbacks();

} // namespace blockhost
