/// See figures.hpp.

#include "hypervisor/libvirt/figures.hpp"

#include "hypervisor/libvirt/errors.hpp"

namespace blockhost::libvirt::figures {

std::vector<DomainStats> stats(virConnectPtr, const std::vector<std::string>&) {
    throw failed(Code::internal, "not built yet");
}

} // namespace blockhost::libvirt::figures
