// SPDX-License-Identifier: MIT
#pragma once
/// The journal of mints: a folder that says what will be sent, before anything is sent.
///
/// `<identity>.open` is a mint under way: the signed transaction and what it is for, synced before its first
/// byte leaves the host. When the mint has ended, this file is renamed to `<transaction>.closed`, and stays
/// until the chain cannot take the transaction back any more. `<identity>.done` is the last token of that
/// identity. A process that works on an identity, or chooses a nonce of an account, holds a `.lock` beside
/// them (flock(2)). For root the folder is outside text: files are opened by name, never by path.

#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "base/files/state_folder.hpp"
#include "base/time.hpp"
#include "chain/evm/address.hpp"

#include <functional>
#include <memory>

namespace blockhost::chain {

/// What makes two mints the same.
struct MintIdentity {
    std::uint64_t chain_id = 0;
    Address contract, recipient;
    Bytes data; ///< of the call

    std::string name() const; ///< 64 hex digits
    bool operator==(const MintIdentity&) const = default;
};

/// A mint that was signed.
struct MintEntry {
    MintIdentity identity;
    Address account; ///< who signed
    std::uint64_t nonce = 0;
    U256 most; ///< what it can cost, in wei
    Hash hash{};
    Bytes raw; ///< what is sent, always these bytes
    Instant signed_at;
};
std::string to_text(const MintEntry& entry);
/// Throws Error{config} naming `name`, also when the hash is not that of the bytes.
MintEntry mint_entry(const std::string& text, const std::string& name);

/// A token that was minted.
struct MintedToken {
    Hash hash{}; ///< of the transaction
    U256 token;
    std::uint64_t block = 0;
};
std::string to_text(const MintedToken& token);
/// Throws Error{config} naming `name`.
MintedToken minted_token(const std::string& text, const std::string& name);

/// An entry as it lies in the ledger.
struct KeptMint {
    MintEntry entry;
    enum class State { open, closed } state = State::open;
    std::string path; ///< for messages
};

/// Called while a lock is waited for; may throw.
using WaitCheck = std::function<void()>;

/// A held lock file that says who holds it; it is removed with the lock.
class LedgerLock {
  public:
    LedgerLock(LedgerLock&&) = default;
    ~LedgerLock();

  private:
    friend class Ledger;
    LedgerLock(const Folder& folder, std::string name, FileLock lock)
        : folder_(&folder), name_(std::move(name)), lock_(std::make_unique<FileLock>(std::move(lock))) {}
    const Folder* folder_;
    std::string name_;
    std::unique_ptr<FileLock> lock_;
};

/// The ledger outlives the locks taken from it. Throws Error{io}.
class Ledger {
  public:
    /// Makes the folder when it is missing.
    explicit Ledger(const StatePlace& place);
    /// Nothing when there is no folder.
    static std::optional<Ledger> existing(const StatePlace& place);

    /// Throws Error{busy} that says who holds the lock, when `deadline` passes.
    LedgerLock take_identity(const std::string& identity, const Deadline& deadline,
                             const WaitCheck& check) const;
    std::optional<LedgerLock> try_identity(const std::string& identity) const;
    LedgerLock take_account(std::uint64_t chain_id, const Address& account, const Deadline& deadline,
                            const WaitCheck& check) const;

    /// What the two files of an identity say.
    std::optional<MintEntry> open_entry(const std::string& identity) const;
    std::optional<MintedToken> last_token(const std::string& identity) const;
    /// Every transaction signed for the account that is still kept, by rising nonce. None is missed because
    /// it is closed meanwhile.
    std::vector<KeptMint> signed_by(std::uint64_t chain_id, const Address& account) const;
    /// The path of an identity's open entry, for messages.
    std::string open_path(const std::string& identity) const;

    /// The caller holds the identity's lock.
    void write(const MintEntry& entry) const;
    /// Ends the mint: from now on the entry is not open. A mint whose process dies before that is continued.
    /// `token`: what the mint made; nothing: it made none, and the identity's last token stays.
    void close(const MintEntry& entry, const std::optional<MintedToken>& token) const;
    /// Removes a closed entry.
    void forget(const MintEntry& closed) const;

  private:
    explicit Ledger(Folder folder) : folder_(std::move(folder)) {}
    LedgerLock take(const std::string& file, const std::string& what, const Deadline& deadline,
                    const WaitCheck& check) const;
    std::optional<LedgerLock> try_lock(const std::string& file) const;
    std::optional<MintEntry> entry_in(const std::string& file) const;
    std::vector<KeptMint> kept(KeptMint::State state) const;
    Folder folder_;
};

} // namespace blockhost::chain
