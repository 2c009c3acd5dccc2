// SPDX-License-Identifier: MIT
#pragma once
/// The private key of an account: it stays in a file, and is in memory only while it is used.

#include "base/files/state_folder.hpp"
#include "chain/evm/address.hpp"
#include "chain/evm/transaction.hpp"

#include <filesystem>
#include <functional>
#include <sys/types.h>
#include <vector>

namespace blockhost::chain {

/// Who may own the file, and which groups may read it, besides root.
struct KeyKeepers {
    std::vector<uid_t> owners;
    std::vector<gid_t> groups;
};
/// Owners: this process's user, and the owner of the state folder. Groups: that folder's only, since anybody
/// may be in the caller's own.
KeyKeepers key_keepers(const StateFolder& state);

using SecretBytes = std::array<std::uint8_t, 32>;

/// A file of 64 hex digits; "0x" before them and blanks behind them are allowed. Each use reads the key anew,
/// in the vault (chain/evm/vault.hpp), and forgets it. Throws Error{config} when the file is missing, empty
/// or no key, and when others than its keepers may read or change it. No message quotes it.
class KeyFile {
  public:
    KeyFile(std::filesystem::path path, KeyKeepers keepers)
        : path_(std::move(path)), keepers_(std::move(keepers)) {}

    /// The address that belongs to the key.
    Address account() const;
    /// Signs for `account` (RFC 6979). Throws Error{config} when the file holds another account's key by now.
    Signature sign(const Hash& hash, const Address& account) const;
    /// Calls `use` with the key, in the vault.
    void with_key(const std::function<void(const SecretBytes&)>& use) const;

  private:
    std::filesystem::path path_;
    KeyKeepers keepers_;
};

} // namespace blockhost::chain
