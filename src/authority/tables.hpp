// SPDX-License-Identifier: MIT
#pragma once
/// The tables of this floor in the agent's database.

#include <string_view>

namespace blockhost::authority {

/// One migration of the agent's schema (store::Schema): used nonces, approvals, operations that wait for a
/// signature, and facts. Never changes once it is released.
inline constexpr std::string_view tables = R"(
CREATE TABLE nonce(
    nonce TEXT PRIMARY KEY,
    operation TEXT NOT NULL,
    not_after INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX nonce_not_after ON nonce(not_after);
CREATE TABLE approval(
    operation TEXT PRIMARY KEY,
    guest TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    change TEXT NOT NULL,
    not_after INTEGER NOT NULL,
    is_open INTEGER NOT NULL CHECK (is_open IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE TABLE pending(
    operation TEXT PRIMARY KEY,
    envelope TEXT NOT NULL,
    source TEXT NOT NULL,
    requester TEXT NOT NULL,
    asked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE authority_fact(
    name TEXT PRIMARY KEY,
    number INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)";

} // namespace blockhost::authority
