// SPDX-License-Identifier: MIT
/// The table of operations; see operation.hpp.

#include "operations/backup.hpp"
#include "operations/configure.hpp"
#include "operations/create.hpp"
#include "operations/destroy.hpp"
#include "operations/operation.hpp"
#include "operations/power.hpp"
#include "operations/restore/in_place.hpp"
#include "operations/resume.hpp"
#include "operations/snapshot/snapshot.hpp"
#include "operations/suspend.hpp"

#include <array>

namespace blockhost::operations {

std::span<const OperationRow* const> operation_table() {
    static constexpr std::array<const OperationRow*, 13> rows{
        &create_operation,
        &destroy_operation,
        &start_operation,
        &stop_operation,
        &kill_operation,
        &suspend_operation,
        &resume_operation,
        &configure_operation,
        &backup_operation,
        &snapshot_take_operation,
        &snapshot_undo_operation,
        &snapshot_keep_operation,
        &restore_in_place_operation,
    };
    return rows;
}

} // namespace blockhost::operations
