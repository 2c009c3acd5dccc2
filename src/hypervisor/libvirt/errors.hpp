// SPDX-License-Identifier: MIT
#pragma once
/// libvirt's errors as ours. Within the module they travel as an exception; at its border they become a
/// Failure.

#include "hypervisor/common/states.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <string>

namespace blockhost::libvirt {

/// Thrown inside the module only.
struct Failed {
    Failure failure;
    int libvirt_code = 0; ///< virErrorNumber behind it; 0: none
};

Failed failed(Code code, std::string message, std::string hint = {});

/// The last error of this thread's last libvirt call, or zero.
int last_code();
int last_domain();
std::string last_words();

/// What a call that failed just now on this thread means: "libvirt cannot <doing>: <libvirt's words>".
Failed last_failure(virConnectPtr connection, const std::string& doing);
/// Why no connection was made.
Failed open_failure(const std::string& uri);
/// The connection's daemon was asked and did not answer.
Failed no_answer(const std::string& uri, const std::string& words);

} // namespace blockhost::libvirt
