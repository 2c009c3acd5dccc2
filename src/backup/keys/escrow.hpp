// SPDX-License-Identifier: MIT
#pragma once
/// What opens a host's backups, wrapped under a recovery code, so that it may lie where nobody is trusted: at
/// a hub, with a friend. Who has the wrapped text alone has nothing, and neither has who has the code alone.

#include "model/names.hpp"

#include <string>
#include <string_view>
#include <variant>

namespace blockhost::backup {

/// A restic repository and what opens it.
struct RepositoryPassword {
    std::string repository; ///< its address
    std::string repository_id;
    std::string password;
    bool operator==(const RepositoryPassword&) const = default;
};

/// A storage of Proxmox VE on a Backup Server, and the key that its backups are encrypted with.
struct StorageKey {
    std::string storage; ///< its name on the node
    std::string key;     ///< the file's content, as the node has it
    bool operator==(const StorageKey&) const = default;
};

/// What is wrapped.
using Escrow = std::variant<RepositoryPassword, StorageKey>;

/// A recovery code: 160 random bits and a check sum of 15, as 35 symbols of Crockford's base32 in groups of
/// five, "7G2QK-…". Nobody can make it up, and nothing keeps it: a code that is lost is lost for good.
class RecoveryCode {
  public:
    static RecoveryCode random();
    /// Reads one that a person typed: in either case, with blanks, line ends and dashes wherever they are; O
    /// is 0, I and L are 1. Throws Error{invalid}, which never quotes it, for another number of symbols, a
    /// symbol that no code has, and a check sum that is not this code's.
    static RecoveryCode parse(std::string_view typed);

    /// As it is shown.
    std::string text() const;
    std::string_view bytes() const { return bytes_; }

    RecoveryCode(const RecoveryCode&) = delete;
    RecoveryCode& operator=(const RecoveryCode&) = delete;
    RecoveryCode(RecoveryCode&&) = default;
    ~RecoveryCode(); ///< wipes it

  private:
    explicit RecoveryCode(std::string bytes) : bytes_(std::move(bytes)) {}
    std::string bytes_; ///< 20
};

/// The largest wrapped text.
inline constexpr std::size_t largest_wrapped = 32u << 10;

/// Throws Error{invalid} unless `content` is a key file as proxmox-backup-client writes it, a JSON object
/// with the key as "data", of at most 4 KiB.
void require_storage_key(std::string_view content, const std::string& name);

/// Wraps it for the host `instance`: one line of printable text, "blockhost-recovery 1 INSTANCE BASE64". It
/// tells the host's id, and within 512 bytes how long the rest is; everything else is encrypted and
/// authenticated, together with that id. The same call gives another text each time.
std::string wrap(const Escrow& escrow, const InstanceId& instance, const RecoveryCode& code);

struct Unwrapped {
    Escrow escrow;
    InstanceId instance;
};
/// The other way. Blanks and line ends around the text do not count; any other change of it is refused.
/// Throws Error{invalid} for what is no wrapped text, or a later version's; Error{denied} where the code is
/// another's, or the text or its host's id was changed: which of them nobody can tell.
Unwrapped unwrap(std::string_view text, const RecoveryCode& code);

/// The id in a wrapped text, which proves nothing. Throws Error{invalid} likewise.
InstanceId instance_of(std::string_view text);

} // namespace blockhost::backup
