#pragma once
/// Resuming a suspended VM: allowed to start, started, marked active. Rolls forward after a death; a start
/// that libvirt refuses leaves it suspended.

#include "lifecycle/steps.hpp"
#include "lifecycle/world.hpp"

namespace blockhost {

struct ResumeRequest {
    VmName name;
    /// Counted from now; nothing: an expiry that is still to come stays as it is, one that is past becomes
    /// now and the default of db.yaml.
    std::optional<std::int64_t> extend_days;
};

/// Both return the new expiry. The preview changes nothing and shows the steps through the world's talk.
Instant resume(World& world, const ResumeRequest& request);
Instant preview_resume(World& world, const ResumeRequest& request);

/// Goes on with a resume whose process died.
void roll_resume_forward(World& world, JournalEntry& entry, const EntryView& left);

} // namespace blockhost
