// SPDX-License-Identifier: MIT
#pragma once
/// The VM database: one JSON file that other programs write too (docs/contract.md, "VM database").

#include "base/files/state_folder.hpp"
#include "config/config.hpp"
#include "model/vm.hpp"
#include "registry/json_tree.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

/// What registering a VM writes, with the keys and the order of the contract.
struct NewRecord {
    VmName name;
    Wallet wallet;
    Username username;
    Ipv4 ip;
    std::optional<Ipv6> ipv6;
    std::string network_mode;
    Instant created_at, expires_at;
};

/// Addresses chosen for one VM.
struct Addresses {
    Ipv4 ip;
    std::optional<Ipv6> ipv6;
};

/// The parsed database. Reading never changes it; use the changing members inside Registry::change. Every
/// member but the constructor throws Error{registry} when a top-level key that it needs has a wrong type.
class Database {
  public:
    /// Any top-level key may be missing. Throws Error{registry} when the document or its "vms" is not an
    /// object.
    explicit Database(JsonTree tree);
    /// The content of a new file.
    static Database empty();

    /// A record by name; nothing when absent. Throws Error{registry} when it is not an object or has an
    /// unknown status.
    std::optional<VmRecord> find(const VmName& name) const;
    /// All records in file order. `bad` gets the keys, made printable, of records that cannot be read or
    /// whose key is not a VM name. A date that cannot be read is left empty and does not make a record bad.
    std::vector<VmRecord> records(std::vector<std::string>* bad = nullptr) const;

    /// Name and status of the same records; reads much less.
    std::vector<std::pair<VmName, RecordStatus>> statuses() const;

    bool holds(const Ipv4& ip) const; ///< in allocated_ips, or in a record that is not destroyed
    bool holds(const Ipv6& ip) const;

    /// Adds each address to its list, unless the list has it in any spelling.
    void allocate(const Addresses& addresses);
    /// Whether a record other than `name`'s has the address and is not destroyed.
    bool held_by_another(const VmName& name, const Ipv4& ip) const;
    bool held_by_another(const VmName& name, const Ipv6& ip) const;
    /// Removes the address from its list, in every spelling. The caller must know that it may be removed.
    void release(const Ipv4& ip);
    void release(const Ipv6& ip);
    /// Adds the record, replacing a destroyed one as a whole, and allocates its addresses. Throws
    /// Error{exists} when the existing record is live, or another live record has one of the addresses.
    void add(const NewRecord& record);
    /// Removes the record if name, address and creation instant agree; false when there is no such record.
    bool remove_exactly(const VmName& name, const Ipv4& ip, Instant created_at);
    /// Sets status and destroyed_at, and releases both addresses unless another live record has them. A
    /// record that is destroyed already stays as it is: its addresses may belong to a create that has no
    /// record yet. Throws Error{not_found} when there is no record.
    void mark_destroyed(const VmName& name, Instant at);

    /// Sets status suspended and suspended_at. A suspended record stays as it is. Throws Error{not_found}
    /// when there is no record, Error{wrong_state} for a destroyed one.
    void mark_suspended(const VmName& name, Instant at);
    /// Sets status active and expires_at, and removes suspended_at. Throws like mark_suspended.
    void mark_active(const VmName& name, Instant expires_at);
    /// Sets expires_at alone. Throws like mark_suspended.
    void set_expiry(const VmName& name, Instant expires_at);

    /// The latest event in any record, and the key and record that tell it.
    struct Event {
        Instant at;
        std::string what; ///< "created_at of web-1", made printable
    };
    std::optional<Event> newest_event() const;
    /// The allocated IPv4 addresses that no live record has, in file order.
    std::vector<Ipv4> unclaimed() const;

    const JsonTree& tree() const { return tree_; }

  private:
    JsonTree& live_record(const VmName& name);

    JsonTree tree_;
};

/// Chooses the first free addresses; writes nothing. Never chosen: addresses that the database holds; the
/// pool's gateway, network and broadcast address; `taken4` and `taken6` (the host's own, and those that
/// operations in progress have noted); the first two addresses of the prefix (network and gateway) and any
/// outside of it. Throws Error{no_room} "No IPv4 addresses available in pool". There is no IPv6 address when
/// the prefix is exhausted.
Addresses choose_addresses(const Database& database, const Ipv4Pool& pool, const std::vector<Ipv4>& taken4,
                           const std::vector<Ipv6>& taken6, const std::optional<Ipv6Prefix>& prefix,
                           std::uint64_t ipv6_first, std::uint64_t ipv6_last);

/// How long an access to the file may take; the defaults are the contract's.
struct RegistryWaits {
    std::chrono::milliseconds lock{30'000};   ///< for the lock, in all
    std::optional<Deadline> end = {};         ///< ends all waiting for the lock, when it is earlier
    int torn_retries = 10;                    ///< further reads of a text that is not JSON
    std::chrono::milliseconds torn_pause{50}; ///< between two of these reads
    std::function<bool()> give_up = {};       ///< called in each wait; true ends it with Error{interrupted}
};

/// Access to the file. Reads take no lock; changes hold flock(2) on `<file>.lock` while they read, change and
/// replace. Every error names the file. What root makes or replaces stays usable for the blockhost user. A
/// link in its place is followed, and stays, if root or the caller made it; any other is refused.
class Registry {
  public:
    /// `state`: the state folder, in which the file may lie.
    explicit Registry(std::filesystem::path file, RegistryWaits waits = {}, StateFolder state = {});

    /// An absent file is an empty database. Empty, torn or malformed text is read again (RegistryWaits), and
    /// then is Error{registry}; it never counts as an empty database.
    Database read() const;

    /// Reads the file, calls `mutate`, and writes the result back durably (an existing file keeps owner and
    /// mode), all in one critical section. Removes what killed writers of this program left beside the file.
    /// Writes nothing when `mutate` throws or leaves the text as it was. Throws Error{registry} when the lock
    /// is not obtained in time, the text is torn, or the file cannot be written.
    void change(const std::function<void(Database&)>& mutate) const;

    /// Throws Error{registry} when a change could not be written: folder missing or not writable, lock cannot
    /// be opened.
    void check_writable() const;

    const std::filesystem::path& file() const { return file_; }

  private:
    using Place = std::optional<StateFolder::File>;
    Database read(const Place& place) const;
    void write(const StateFolder::File& place, const std::string& text) const;
    void pause(std::chrono::milliseconds span) const;

    std::filesystem::path file_;
    RegistryWaits waits_;
    StateFolder state_;
};

} // namespace blockhost
