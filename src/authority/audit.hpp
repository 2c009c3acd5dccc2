// SPDX-License-Identifier: MIT
#pragma once
/// What was decided and how it ended, on record: a file of JSON lines, each of which holds the SHA-256 of the
/// line before it. Lines are added, and never changed.

#include "base/files/files.hpp"
#include "base/time.hpp"

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>

namespace blockhost::authority {

/// Where the chain stands: who knows it can tell whether it was cut or written anew.
struct AuditHead {
    std::int64_t line = 0;  ///< how many lines there are
    std::string hash;       ///< of the last one: 64 hex digits, zeros for none
    std::int64_t count = 0; ///< the member "count" of the last one
    bool operator==(const AuditHead&) const = default;
};

/// The record; several processes may add to it.
class Audit {
  public:
    /// Opens `name` in a private folder, and makes it with mode 0600 when it is missing. Throws Error{io},
    /// also when the last line is none of such a file.
    static Audit open(Folder folder, const std::string& name);

    /// Adds a line, which is on disk when this returns: "line", "previous" and "at", then the members of
    /// `what`. What a power loss left of a line is cut off first; the new line tells how much ("cut_bytes").
    /// Throws Error{io}; Error{busy} when another process holds the file for 10 s; Error{denied} when the
    /// file has become shorter than it was. Fault points "audit.add" before, "audit.add.after" behind.
    AuditHead add(const boost::json::object& what, Instant now);
    /// As it stands on disk.
    AuditHead head();
    /// Whether the record has that line, with that hash; line 0 is in every record. Reads the file up to
    /// there. Throws Error{io}.
    bool has(const AuditHead& known) const;

  private:
    Audit(Folder folder, std::string name, Fd file);
    void read_end();
    Folder folder_;
    std::string name_, path_;
    Fd file_;
    AuditHead head_;
    std::uint64_t end_ = 0;  ///< of the last whole line
    std::uint64_t torn_ = 0; ///< bytes behind it
};

/// What a check of a whole record found.
struct AuditCheck {
    AuditHead head;               ///< of the lines that hold together
    std::int64_t broken_line = 0; ///< the first one that does not; 0: all do
    std::string why;              ///< one clause
};

/// Checks each line and the chain. `known`: a head that somebody keeps elsewhere, which the record has to
/// contain. Throws Error{io} when the file cannot be read.
AuditCheck check_audit(int fd, std::string_view name_for_errors, const std::optional<AuditHead>& known = {});

} // namespace blockhost::authority
