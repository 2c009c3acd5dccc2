// SPDX-License-Identifier: MIT
#pragma once
/// The agent's audit record, `<state>/agent/audit.jsonl`, as somebody looks at it who does not write it.

#include "agent/database.hpp"
#include "authority/audit.hpp"

namespace blockhost::agent {

/// Its name in the agent's folder.
inline constexpr const char* record_name = "audit.jsonl";

/// Checks the whole record: each line, the chain, and against what this host's database has seen of it.
/// `known`: a head that somebody keeps elsewhere. Nothing when there is no record, and the database has seen
/// none. Changes nothing. Throws Error{io}, store::StoreError.
std::optional<authority::AuditCheck> check_record(const Paths& paths,
                                                  const std::optional<authority::AuditHead>& known = {});

/// Reads a head as it is printed: "LINE:HASH". Throws Error{invalid} for anything else.
authority::AuditHead parse_head(std::string_view text);
/// That text.
std::string to_text(const authority::AuditHead& head);

} // namespace blockhost::agent
