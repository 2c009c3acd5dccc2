#pragma once
/// The VM database: one JSON file that other programs write too (docs/contract.md, "VM database").

#include "base/files.hpp"
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

/// What registering a VM writes, with the keys and order of the contract.
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

/// The parsed database. Reading never changes it; the changing members are for use inside Registry::change.
/// Every member but the constructor throws Error{registry} where a top-level key it needs has a wrong type.
class Database {
  public:
    /// Any top-level key may be missing. Throws Error{registry} when the document, or its "vms", is no
    /// object.
    explicit Database(JsonTree tree);
    /// What a new file starts with.
    static Database empty();

    /// A record by name; nothing when absent. Throws Error{registry} for one that is not an object or whose
    /// status is none of ours.
    std::optional<VmRecord> find(const VmName& name) const;
    /// All records in file order; those whose key is no VM name or that cannot be read are named in `bad`,
    /// made printable. A date that cannot be read is left empty and makes no record bad.
    std::vector<VmRecord> records(std::vector<std::string>* bad = nullptr) const;

    /// Name and status of the same records: much less to read.
    std::vector<std::pair<VmName, RecordStatus>> statuses() const;

    bool holds(const Ipv4& ip) const; ///< in allocated_ips, or in a record that is not destroyed
    bool holds(const Ipv6& ip) const;

    /// Adds each address to its list unless it is there in any spelling.
    void allocate(const Addresses& addresses);
    /// Whether a record that is not destroyed, other than `name`'s, has the address.
    bool held_by_another(const VmName& name, const Ipv4& ip) const;
    bool held_by_another(const VmName& name, const Ipv6& ip) const;
    /// Removes the address from its list, in every spelling. Whether it may go is the caller's to know.
    void release(const Ipv4& ip);
    void release(const Ipv6& ip);
    /// Adds the record and allocates its addresses, replacing a destroyed one whole; throws Error{exists} for
    /// a live one, and for an address
    /// that another live record has.
    void add(const NewRecord& record);
    /// Removes the record when name, address and creation instant agree; false when there is no such record.
    bool remove_exactly(const VmName& name, const Ipv4& ip, Instant created_at);
    /// status, destroyed_at, both addresses out of the lists unless another live record has them. A record
    /// that is destroyed already stays as it is: its addresses may belong to a create that has no record yet.
    /// Throws Error{not_found} when there is no record.
    void mark_destroyed(const VmName& name, Instant at);

    /// status suspended, suspended_at. A suspended record stays as it is. Throws Error{not_found} without a
    /// record, Error{wrong_state} for a destroyed one.
    void mark_suspended(const VmName& name, Instant at);
    /// status active with that expiry, suspended_at gone. Throws like mark_suspended.
    void mark_active(const VmName& name, Instant expires_at);
    /// Only expires_at. Throws like mark_suspended.
    void set_expiry(const VmName& name, Instant expires_at);

    /// The latest that any record says happened to it, and which record's which key says so.
    struct Event {
        Instant at;
        std::string what; ///< "created_at of web-1", made printable
    };
    std::optional<Event> newest_event() const;
    /// The allocated IPv4 addresses that no record has which is not destroyed, in file order.
    std::vector<Ipv4> unclaimed() const;

    const JsonTree& tree() const { return tree_; }

  private:
    JsonTree& live_record(const VmName& name);

    JsonTree tree_;
};

/// Picks the first free addresses without writing anything. Never handed out: what the database holds, the
/// pool's gateway, network and broadcast address, `taken4` and `taken6` (the host's own, and what operations
/// under way have noted); of the prefix its first two addresses (network and gateway) and whatever lies
/// outside of it. Throws Error{no_room} "No IPv4 addresses available in pool"; IPv6 is left out when the
/// prefix is exhausted.
Addresses choose_addresses(const Database& database, const Ipv4Pool& pool, const std::vector<Ipv4>& taken4,
                           const std::vector<Ipv6>& taken6, const std::optional<Ipv6Prefix>& prefix,
                           std::uint64_t ipv6_first, std::uint64_t ipv6_last);

/// How long an access to the file may take; the defaults are the contract's.
struct RegistryWaits {
    std::chrono::milliseconds lock{30'000};   ///< for the lock, in all
    int torn_retries = 10;                    ///< further reads of a text that is not JSON
    std::chrono::milliseconds torn_pause{50}; ///< between two of them
    std::function<bool()> give_up = {}; ///< looked at in each wait; true ends it with Error{interrupted}
};

/// Access to the file. Reads take no lock; changes hold flock(2) on `<file>.lock` for the read-change-replace
/// only. Every error names the file. As root, what is made or replaced stays usable for the blockhost user.
class Registry {
  public:
    explicit Registry(std::filesystem::path file, RegistryWaits waits = {});

    /// Absent file: an empty database. Empty, torn or malformed text is read again (RegistryWaits), then
    /// Error{registry}; never taken for an empty database.
    Database read() const;

    /// Reads, lets `mutate` change it, writes it back durably (an existing file keeps owner and mode), all in
    /// one critical section; what killed writers of ours left beside the file goes. When `mutate` throws, or
    /// leaves the text as it was, nothing is written. Throws Error{registry} when the lock is not had in
    /// time, the text is torn, or the file cannot be written.
    void change(const std::function<void(Database&)>& mutate) const;

    /// Throws Error{registry} when a change could not be written: folder missing or not writable, lock not
    /// openable.
    void check_writable() const;

    const std::filesystem::path& file() const { return file_; }

  private:
    void write(const std::string& text) const;
    void pause(std::chrono::milliseconds span) const;

    std::filesystem::path file_;
    RegistryWaits waits_;
};

} // namespace blockhost
