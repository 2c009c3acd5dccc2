#pragma once
/// Creating a VM: admission, the steps, their reverts, and what a dry run shows.

#include "lifecycle/steps.hpp"
#include "lifecycle/world.hpp"

#include <chrono>
#include <functional>

namespace blockhost {

struct CreateRequest {
    VmRequest vm;
    std::optional<std::string> user_data; ///< verbatim, instead of the template
    std::string ssh_key;                  ///< only for hosts without an engine; empty: none
    std::chrono::seconds ready_timeout{180};
};

struct CreateResult {
    VmName name;
    Addresses addresses;
    Username username;
    std::optional<std::int64_t> nft_token_id;
};

/// Computes what create would do, writes nothing; the step texts go to the world's talk.
CreateResult preview_create(World& world, const CreateRequest& request);

/// Makes the VM. `deliver` hands the result to the caller and is the operation's last step: a result that
/// cannot be delivered, like every failure, signal or request to give up before it, rolls everything back.
void create(World& world, const CreateRequest& request,
            const std::function<void(const CreateResult&)>& deliver);

/// Rolls back a create whose process died; `entry` holds its journal entry. Looks again for what libvirt
/// carries out late, until the world's late window is over.
void roll_back_create(World& world, JournalEntry& entry, const EntryView& left);

} // namespace blockhost
