#pragma once
/// Who has paid until when: the rules by which a record is suspended, destroyed or resumed. Pure.

#include "model/vm.hpp"

namespace blockhost {

/// Active, with an expiry that can be read and is past at `when`.
bool is_expired(const VmRecord& record, Instant when);

/// Suspended, with an expiry that can be read and is not to come: what must stay off.
bool is_unpaid(const VmRecord& record, Instant when);

/// Unpaid for longer than `grace_days` since it was suspended. A record that does not say when is never
/// overdue.
bool is_overdue(const VmRecord& record, std::int64_t grace_days, Instant when);

/// When a resume at `when` lets the VM expire: `extend_days` from then; without it an expiry that is still to
/// come stays as it is, and one that is past becomes `default_days` from then.
Instant resumed_expiry(const std::optional<Instant>& expires_at, std::optional<std::int64_t> extend_days,
                       std::int64_t default_days, Instant when);

} // namespace blockhost
