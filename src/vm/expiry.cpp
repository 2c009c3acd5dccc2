// SPDX-License-Identifier: MIT
/// See expiry.hpp.

#include "vm/expiry.hpp"

namespace blockhost {

namespace {

using Days = std::chrono::duration<std::int64_t, std::ratio<86400>>;

} // namespace

bool is_expired(const VmRecord& record, Instant when) {
    return record.status == RecordStatus::active && record.expires_at && when > *record.expires_at;
}

bool is_unpaid(const VmRecord& record, Instant when) {
    return record.status == RecordStatus::suspended && record.expires_at && when >= *record.expires_at;
}

bool is_overdue(const VmRecord& record, std::int64_t grace_days, Instant when) {
    return is_unpaid(record, when) && record.suspended_at && when > *record.suspended_at + Days(grace_days);
}

Instant resumed_expiry(const std::optional<Instant>& expires_at, std::optional<std::int64_t> extend_days,
                       std::int64_t default_days, Instant when) {
    if (!extend_days && expires_at && *expires_at > when) return *expires_at;
    return when + Days(extend_days.value_or(default_days));
}

} // namespace blockhost
