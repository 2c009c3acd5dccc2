// SPDX-License-Identifier: MIT
#pragma once
/// Resuming a suspended VM: allows its start, starts it, marks it active. Rolls forward after a death; a
/// start that libvirt refuses leaves the VM suspended.

#include "operations/operation.hpp"
#include "vm/steps.hpp"

namespace blockhost::operations {

struct ResumeRequest {
    VmName name;
    /// Counted from now. Nothing: a future expiry stays as it is, and a past one becomes now plus db.yaml's
    /// default.
    std::optional<std::int64_t> extend_days;
};

/// Both return the new expiry. The preview changes nothing and shows the steps through the world's talk.
Instant resume(World& world, const ResumeRequest& request);
Instant preview_resume(World& world, const ResumeRequest& request);

extern const OperationRow resume_operation;

} // namespace blockhost::operations
