/// See tuning.hpp.

#include "hypervisor/libvirt/tuning.hpp"

#include "hypervisor/libvirt/errors.hpp"

namespace blockhost::libvirt::tuning {

Tuning read(virConnectPtr, const std::string&, TuningOf) {
    throw failed(Code::internal, "not built yet");
}

void set(virConnectPtr, const std::string&, Hypervisor::Subsystem, const Tuning&, TuningOf) {
    throw failed(Code::internal, "not built yet");
}

} // namespace blockhost::libvirt::tuning
