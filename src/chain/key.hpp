#pragma once
/// The private key of an account: in a file, and in memory only while it is used.

#include "chain/address.hpp"
#include "chain/transaction.hpp"

#include <filesystem>
#include <functional>
#include <sys/types.h>
#include <vector>

namespace blockhost::chain {

/// Who may own the file, and whose group may read it, besides root.
struct KeyKeepers {
    std::vector<uid_t> owners;
    std::vector<gid_t> groups;
};
/// Owners: ourselves, and whom `state_folder` belongs to. Groups: that folder's alone, since the caller's own
/// may have anybody in it.
KeyKeepers key_keepers(const std::filesystem::path& state_folder);

using SecretBytes = std::array<std::uint8_t, 32>;

/// A file of 64 hex digits, "0x" before and blanks behind allowed. Each use reads it anew, in the vault
/// (chain/vault.hpp), and forgets it. Throws Error{config} when it is missing, empty, no key, or anybody but
/// its keepers may read or change it; no message quotes it.
class KeyFile {
  public:
    KeyFile(std::filesystem::path path, KeyKeepers keepers)
        : path_(std::move(path)), keepers_(std::move(keepers)) {}

    /// The address that the key speaks for.
    Address account() const;
    /// Signs for `account` (RFC 6979). Throws Error{config} when the file holds another's key by now.
    Signature sign(const Hash& hash, const Address& account) const;
    /// Calls `use` with the key, in the vault.
    void with_key(const std::function<void(const SecretBytes&)>& use) const;

  private:
    std::filesystem::path path_;
    KeyKeepers keepers_;
};

} // namespace blockhost::chain
