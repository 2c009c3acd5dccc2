// SPDX-License-Identifier: MIT
#pragma once
/// What the simulated world consists of, in a folder that several processes share.
///
///   lock                     held for each call
///   behaviour.json           how the world misbehaves, for tests (see Behaviour); looked at in each call
///   domains/NAME.xml, .json  definition and state of a domain (see DomainFile); a test may edit both
///   pools/NAME.xml           pool definitions; the volumes are the files in their folders
///   filters/NAME.xml         network filters
///   guests/NAME.passwd       /etc/passwd of a domain's guest, once something ran in it
///   pending/*.json           calls of processes that died in them, still to take effect
///   events                   one line each: "NAME lifecycle"
///   suspended/NAME           libvirt's hook is installed here: such a file keeps a domain of ours off
///   templates/, …            blockhost-base.qcow2, an empty image of 2 GiB; the rest is the callers'

#include "base/files/lock.hpp"
#include "hypervisor/simulated/disk_content.hpp"
#include "hypervisor/simulated/limits.hpp"
#include "hypervisor/views.hpp"
#include "hypervisor/xml/backup.hpp"
#include "hypervisor/xml/domain.hpp"
#include "model/vm.hpp"

#include <boost/json/object.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::simulated {

/// Milliseconds on the monotonic clock, the same for every process until the host restarts.
using Millis = std::int64_t;
Millis millis_now();

/// behaviour.json: any of these keys, each with its default. Those that tell of a domain may also stand in
/// "of": {NAME: {…}}, for that one alone.
struct Behaviour {
    /// "silent": connected, but it answers nothing; "absent": never connected; "slow": each answer takes
    /// agent_ms. What others send instead of a reply: "garbage", "half" a document, "deep" nesting, "wrong"
    /// types, "huge" (10 MiB), an error that "escapes" its line on a terminal.
    std::string agent = "ok";
    std::string agent_at; ///< the one command that the agent misbehaves at, but for "absent"; empty: at all
    Millis agent_ms = 1000;
    std::int64_t passwd_locked = 0; ///< so many of a connection's first usermods find /etc/passwd locked
    /// "busy": what QEMU would tell is missing; "hangs": the first call is never answered, and the domain is
    /// busy from then on
    std::string stats = "ok";
    double cpu_load = 0.1;                ///< of each virtual CPU, while it runs
    std::uint64_t disk_rate = 1 << 20;    ///< bytes written and half of it read a second, 4 KiB a request
    std::uint64_t network_rate = 1 << 16; ///< bytes received and half of it sent a second
    double memory_used = 0.5;             ///< of all, as the guest tells; below 0: it does not tell
    std::int64_t connections = 3;
    std::string cloud_init = "done"; ///< "running" (never done), "disabled", "failed", "errors" (done, with
                                     ///< errors), "waits" (silent between two stages: systemd has yet to run
                                     ///< one), "stopped" (silent, and none is to run)
    std::string login =
        "made";          ///< what becomes of the user that user-data names: "missing", "keyless", "other's"
    Millis login_ms = 0; ///< from start to the user's being there, if that is later than cloud-init's end
    std::string shutdown = "obeys"; ///< "ignores"; one that obeys ends its agent at once
    std::string disk = "ok";        ///< "full": whatever runs is paused at once, with an I/O error
    std::string redefine = "ok";    ///< "refused"
    std::string store = "ok";       ///< "loses": of a backup the last chunk, and says that all is well
    std::string tune_refuses; ///< a subsystem ("cpu", "network", "disk") whose running limits cannot be set
    std::string tune_forgets; ///< one whose limits, running or defined, are taken and stay as they were
    bool down = false;        ///< nothing listens
    Millis boot_ms = 200;     ///< from start to cloud-init's end; the agent connects halfway
    Millis shutdown_ms = 100; ///< from the request to off
    Millis commit_ms = 0;     ///< from the begin of a commit until all is there
    Millis store_ms = 0;      ///< for how long a backup is stored
    std::uint64_t host_memory_mib = 65536;
    unsigned host_cpus = 16;
    std::uint64_t pool_available = 1ull << 40; ///< bytes
};

/// domains/NAME.json.
struct DomainFile {
    std::string uuid;
    PowerState state = PowerState::off;
    std::string reason;
    bool persistent = true;
    Millis started = 0;                             ///< of the last start
    Millis ends = 0;                                ///< it goes off by itself then; 0: it doesn't
    bool frozen = false;                            ///< its guest's file systems, in this run
    std::optional<std::string> backup_scratch = {}; ///< of the backup under way
    std::string backup_socket = {};
    std::vector<std::string> checkpoints = {}; ///< that libvirt knows, the oldest first
    /// Those of its disk, as QEMU has them in memory while it runs. Of a domain that is off they are in the
    /// image; what is here then says no more than that there may be some.
    Bitmaps bitmaps = {};
    Tuning running = unlimited(), definition = unsaid(); ///< its limits; the running ones end with a run
    std::string committing; ///< the file that its disk's uppermost layer is committed into; empty: none
    Millis committed = 0;   ///< when all of it is there
};

/// The folder, made with its template at first need.
class Store {
  public:
    explicit Store(std::filesystem::path world);

    /// The world to ourselves until it goes out of scope. What is due by then has happened: late calls of
    /// dead processes, shutdowns. Throws Error{no_answer} when others keep it for 10 s,
    /// Error{hypervisor_down} when the behaviour says so.
    FileLock enter() const;
    Behaviour behaviour() const;
    /// The same for one domain.
    Behaviour behaviour_of(const std::string& name) const;

    // All of the following want the world entered.
    std::vector<std::string> domains() const;
    std::optional<DomainFile> domain(const std::string& name) const;
    void put(const std::string& name, const DomainFile& domain) const;
    std::string domain_xml(const std::string& name) const;
    void put_xml(const std::string& name, const std::string& xml) const;
    void define(const std::string& xml) const;
    void start(const std::string& name) const;
    void start_transient(const std::string& xml) const;
    void power_off(const std::string& name, const std::string& reason) const;
    void set_disk(const std::string& name, const std::string& target, const std::string& path) const;
    void add_layer(const std::string& name, const std::string& target, const std::string& path) const;
    void undefine(const std::string& name) const;
    /// What its guest writes finds no room, where the behaviour says so.
    void meet_full_disk(const std::string& name) const;
    /// Its guest, which runs, writes to its disk, and QEMU records it. Throws Error{io}.
    void guest_writes(const std::string& name, std::uint64_t cluster, const std::string& text) const;

    // Backups and checkpoints; see Hypervisor. A frozen disk is a file with that content, and with the bitmap
    // that was asked for.
    void begin_backup(const std::string& name, const BackupSpec& spec) const;
    void end_backup(const std::string& name) const;
    std::vector<CheckpointView> checkpoints(const std::string& name) const;
    void delete_checkpoint(const std::string& name, const std::string& checkpoint,
                           bool knowledge_alone) const;
    void restore_checkpoint(const std::string& name, const CheckpointView& checkpoint) const;
    /// The guest's file systems are frozen, or thawed; the first cluster of the disk tells which. Returns how
    /// many it were. Throws Error{io} when that cannot be written: a guest that thaws then has thawed.
    int set_frozen(const std::string& name, bool frozen) const;

    /// /etc/passwd of the domain's guest; nothing before it was put. It goes with the domain.
    std::optional<std::string> guest_passwd(const std::string& name) const;
    void put_guest_passwd(const std::string& name, const std::string& content) const;

    /// Of the pool's definition; nothing when there is no such pool.
    std::optional<std::string> pool_folder(const std::string& name) const;
    void put_pool(const std::string& name, const std::string& path) const;
    void remove_pool(const std::string& name) const;
    /// The pool whose folder holds `path` exists.
    bool pool_holds(const std::string& path) const;
    /// Where the volume lies. Throws Error{not_found} without the pool.
    std::string volume_path(const std::string& pool, const std::string& name) const;
    void create_volume(const std::string& pool, const VolumeSpec& volume) const;

    bool filter(const std::string& name) const;
    void put_filter(const std::string& name, const std::string& xml) const;
    void remove_filter(const std::string& name) const;

    /// Notes that a call is under way; should this process die before done_with, it takes effect a little
    /// later all the same, as libvirtd carries out a dead client's last call. Returns the note's name.
    std::string note_pending(boost::json::object call) const;
    void done_with(const std::string& note) const;
    /// Carries out one of the calls that can be pending: "call" is define ("xml"), start ("name"),
    /// create_volume ("pool", "name", "capacity_bytes", "backing"), set_disk or add_layer ("name", "target",
    /// "path"), begin_backup ("name", and the members of a BackupSpec), freeze ("name").
    void carry_out(const boost::json::object& call) const;

    /// The events so far, in bytes of the file; and the names among the lines from there on.
    std::size_t events_end() const;
    std::vector<std::string> events_since(std::size_t& position) const;

    /// Whether nobody's look has hung on that run of the domain before: the first one holds its monitor.
    bool first_hang(const std::string& name, const DomainFile& domain) const;

    /// Something happened to that domain.
    void tell(const std::string& name) const;

  private:
    void catch_up() const;
    std::filesystem::path disk_of(const std::string& name) const;
    void open_bitmaps(const std::string& name, DomainFile& domain) const;
    void close_bitmaps(const std::string& name, const DomainFile& domain) const;
    std::filesystem::path file(const char* folder, const std::string& name, const char* suffix) const;

    std::filesystem::path world_;
};

} // namespace blockhost::simulated
