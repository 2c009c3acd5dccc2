// SPDX-License-Identifier: MIT
#pragma once
/// Creating a VM: admission, the steps, their reverts, and what a dry run shows.

#include "operations/create/request.hpp"
#include "operations/operation.hpp"
#include "vm/steps.hpp"

#include <functional>

namespace blockhost::operations {

struct CreateResult {
    VmName name;
    Addresses addresses;
    Username username;
    std::optional<TokenId> nft_token_id;
    // Once it is made:
    std::optional<Uuid> uuid = {};
    bool as_before = false;    ///< it has the addresses of its origin
    bool on_template = true;   ///< the disk is an overlay
    bool runs = true;          ///< it was started
    bool guest_answers = true; ///< and got ready in time
};

/// Computes what create would do, and writes nothing; the step texts go to the world's talk.
CreateResult preview_create(World& world, const CreateRequest& request);

/// Makes the VM. `deliver`, the operation's last step, hands the result to the caller. Everything is rolled
/// back when that fails, and on every failure, signal or request to give up before it.
void create(World& world, const CreateRequest& request,
            const std::function<void(const CreateResult&)>& deliver);

/// Rolls back. After the death of a create's process, waits for what libvirt may carry out late, until the
/// world's late window is over.
extern const OperationRow create_operation;

} // namespace blockhost::operations
