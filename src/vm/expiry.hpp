// SPDX-License-Identifier: MIT
#pragma once
/// Who has paid, and until when: the rules by which a record is suspended, destroyed or resumed. Pure.

#include "model/vm.hpp"

namespace blockhost {

/// The record is active, and its expiry can be read and is before `when`.
bool is_expired(const VmRecord& record, Instant when);

/// The record is suspended, and its expiry can be read and is not after `when`: the VM must stay off.
bool is_unpaid(const VmRecord& record, Instant when);

/// The record is unpaid, and was suspended more than `grace_days` before `when`. A record that does not say
/// when it was suspended is never overdue.
bool is_overdue(const VmRecord& record, std::int64_t grace_days, Instant when);

/// The expiry that a resume at `when` sets: `extend_days` after `when`. Without `extend_days`, a future
/// expiry stays as it is, and a past one becomes `default_days` after `when`.
Instant resumed_expiry(const std::optional<Instant>& expires_at, std::optional<std::int64_t> extend_days,
                       std::int64_t default_days, Instant when);

} // namespace blockhost
