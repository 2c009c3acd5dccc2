// SPDX-License-Identifier: MIT
#pragma once
/// The two interfaces behind which a hypervisor stands: Observer looks, Hypervisor also changes.
///
/// What is asked for is given as types; XML is text here only where it is libvirt's own. All calls throw
/// Error.

#include "base/error.hpp"
#include "base/patience.hpp"
#include "hypervisor/views.hpp"
#include "hypervisor/xml/metadata.hpp"
#include "hypervisor/xml/settings.hpp"
#include "model/vm.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

struct BackupSpec;
struct DomainSpec;
struct FilterBinding;
struct FilterSpec;
struct FrozenExport;
struct TrialSpec;
struct VolumeSpec;

/// How long this thread has spent in calls of the interfaces below. A call that makes others counts once.
class AskingTime {
  public:
    AskingTime() { ++depth; }
    ~AskingTime() {
        if (--depth == 0) spent += std::chrono::steady_clock::now() - began_;
    }
    AskingTime(const AskingTime&) = delete;
    AskingTime& operator=(const AskingTime&) = delete;
    static inline thread_local std::chrono::nanoseconds spent{};

    /// Time within a call that does not count.
    class Pause {
      public:
        Pause() = default;
        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;
        ~Pause() { spent -= std::chrono::steady_clock::now() - began_; }

      private:
        const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
    };

  private:
    static inline thread_local int depth = 0;
    const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};
inline std::chrono::nanoseconds time_asking() {
    return AskingTime::spent;
}

/// Looking. No call changes anything; each has a deadline (10 s at most before Error{no_answer}).
class Observer {
  public:
    virtual ~Observer() = default;

    /// From now on no call of this object lasts beyond `end`; once that has passed, a second. The caller
    /// waits for all of them together, and has given up by then.
    virtual void answer_by(const Deadline& end) { end_ = end; }

    /// The state alone; nothing when libvirt says there is no such domain.
    std::optional<PowerState> state(const std::string& name) {
        const auto found = power(name);
        return found ? std::optional(found->state) : std::nullopt;
    }
    /// The same with its reason.
    virtual std::optional<Power> power(const std::string& name) = 0;
    /// What keeps the disks of a running or paused domain from being read or written, for people ("no space
    /// left for vda"); empty when nothing does, and for one that is off or does not exist.
    virtual std::string disk_trouble(const std::string& name, std::chrono::milliseconds limit) = 0;
    /// The domains that run without a definition: each is gone when it goes off.
    virtual std::vector<std::string> undefined() = 0;
    virtual std::optional<DomainView> find(const std::string& name) = 0;
    /// The definitions of a domain beside the one that find() shows: what it runs with, and what it was saved
    /// with. Empty for one that is off and not saved, and for one that does not exist.
    virtual std::vector<std::string> other_definitions(const std::string& name) = 0;
    /// All domains, one call.
    virtual std::vector<DomainState> states() = 0;
    /// A hint that states() comes next: where it can, libvirt is put to work already. Whatever goes wrong
    /// shows in states().
    virtual void expect_states() {}
    /// What every domain, running or not, may take.
    virtual std::vector<DomainUse> uses() = 0;
    virtual std::optional<PoolView> find_pool(const std::string& name) = 0;
    /// A volume by its path. Nothing when an active pool holds its folder and knows no such volume, or when
    /// there is no such file; Error{hypervisor} when there is a file but no active pool that could answer for
    /// it.
    virtual std::optional<VolumeView> find_volume(const std::string& path) = 0;
    virtual HostView host() = 0;
    /// One guest agent command and its reply text. `seconds` bounds the agent's answer and, before it, the
    /// hypervisor's own greeting of the agent. Throws Error{guest} when no agent is connected or it does not
    /// answer (the message has "is not responding" in it), when it refuses, and when its reply is larger than
    /// the hypervisor takes (4 MiB); Error{wrong_state} when the domain does not run. A command of more than
    /// some 200 KiB never arrives.
    /// `limit`, when given, ends the call whatever libvirt waits for (its own greeting, other conversations
    /// with the same agent); a call that it ended leaves this connection without answers: Error{no_answer}.
    virtual std::string agent(const std::string& name, const std::string& command, int seconds,
                              std::optional<std::chrono::milliseconds> limit = {}) = 0;
    /// The figures of the domains named (those that do not exist are left out), or of all when `names` is
    /// empty, in one call. A domain whose QEMU is busy or hangs need not answer: `complete` is false then.
    /// A call that `limit` ended leaves this connection without answers: Error{no_answer}.
    virtual std::vector<DomainStats> stats(const std::vector<std::string>& names,
                                           std::chrono::milliseconds limit) = 0;
    /// The job on the disk `target` of a domain; nothing when there is none, and for one that is off.
    /// Error{not_found}.
    virtual std::optional<BlockJob> block_job(const std::string& name, const std::string& target) = 0;
    /// The limits of a domain. Fields that this host cannot tell, and those of devices that it does not have,
    /// stay empty. Error{not_found}; Error{wrong_state} for the running ones of a domain that is off, and for
    /// the definition of one that has none.
    virtual Tuning tuning(const std::string& name, TuningOf which) = 0;
    /// The socket at which the backup under way of a domain is served; empty for one that is served
    /// elsewhere, nothing where there is none. Error{not_found}.
    virtual std::optional<std::string> backup_under_way(const std::string& name) = 0;
    /// All checkpoints of a domain, whoever made them, each behind those that it follows. Error{not_found}.
    virtual std::vector<CheckpointView> checkpoints(const std::string& name) = 0;
    /// Waits for the next event of that domain since watch() or the last wait(); never longer than `span`.
    virtual void watch(const std::string& name) = 0;
    virtual Wake wait(std::chrono::milliseconds span) = 0;

  protected:
    /// How long a call may take that may take `span` where nobody's time is running out.
    std::chrono::milliseconds within(std::chrono::milliseconds span) const {
        return blockhost::within(end_, span);
    }
    const std::optional<Deadline>& end() const { return end_; }

    /// Error{not_found}.
    TunedDevices devices_of(const std::string& name);

  private:
    std::optional<Deadline> end_;
};

/// Changing. Every call may be repeated: where the wished-for end is already there, it succeeds without doing
/// anything (start of a running domain, power_off and shutdown of one that is off, power_off and undefine of
/// an absent one, delete of an absent volume). start, unpause and shutdown of a domain that does not exist
/// are Error{not_found}. Each call has a deadline (2 minutes at most); libvirt may still carry out one that
/// was given up.
class Hypervisor : public Observer {
  public:
    /// Builds, defines, starts and autostarts a dir pool. An existing one of that name is started and
    /// autostarted, but never built: Error{hypervisor} when its folder is missing, Error{config} when that is
    /// not the folder `path`.
    virtual void ensure_pool(const std::string& name, const std::string& path) = 0;
    /// Makes or updates a network filter. Error{exists} when a filter of that name has another uuid.
    virtual void ensure_filter(const FilterSpec& filter) = 0;
    /// Makes a volume in pool `pool`. Error{exists} when the name is taken. Never refreshes the pool.
    virtual VolumeView create_volume(const std::string& pool, const VolumeSpec& volume) = 0;
    /// Deletes the volume at exactly that path, a disk of the VM `owner`. One that came to be behind
    /// libvirt's back is found by refreshing its pool once, and only then; Error{hypervisor} when a file is
    /// there that no active pool knows.
    virtual void delete_volume(const std::string& path, const std::string& owner = "") = 0;
    /// Defines a persistent domain. Error{exists} when another domain has its name or uuid.
    virtual void define(const DomainSpec& domain) = 0;
    /// Gives a domain that runs without a definition one again, from what it runs with; others are left
    /// alone. Error{not_found}.
    virtual void redefine(const std::string& name) = 0;
    /// Error{wrong_state} when it is paused: that wants unpause().
    virtual void start(const std::string& name) = 0;
    /// Starts a domain that is never defined: it is gone when it stops, and the hypervisor stops it when this
    /// connection ends, however that ends. Error{exists} when another domain has its name or uuid.
    virtual void start_transient(const TrialSpec& domain) = 0;
    /// Wakes one that sleeps. Error{wrong_state} when it neither is paused nor runs.
    virtual void unpause(const std::string& name) = 0;
    /// Presses the ACPI power button; returns when that has been sent. Error{wrong_state} when it is paused:
    /// it would not hear of it.
    virtual void shutdown(const std::string& name) = 0;
    /// Returns when the domain is seen off (or gone, if it was transient).
    virtual void power_off(const std::string& name) = 0;
    /// With managed save image, snapshot and checkpoint metadata, and nvram.
    virtual void undefine(const std::string& name) = 0;
    /// Sets the fields of `wanted` that belong to one subsystem and are given in one call; the others are
    /// left alone. Error{not_found}; Error{wrong_state} as tuning(), and for a device that it does not have.
    virtual void tune(const std::string& name, Subsystem subsystem, const Tuning& wanted, TuningOf which) = 0;
    /// Puts this whole <interface> element, libvirt's own with what it lacked, in the place of that with its
    /// MAC, in the definition or in what runs; only port isolation, filter and link may differ.
    /// Error{wrong_state} as tuning().
    virtual void set_interface(const std::string& name, const std::string& element, TuningOf which) = 0;
    /// Has libvirt make a running domain's filter rules again: binds it to its tap anew.
    virtual void bind_filter(const std::string& name, const FilterBinding& binding) = 0;
    /// Writes our metadata element (nothing: removes it) into the definition and, where it runs, the running
    /// domain.
    virtual void set_metadata(const std::string& name, const std::optional<DomainMark>& mark) = 0;
    /// Writes these settings into the definition, each with a call that changes nothing else. Description and
    /// tags also into what runs; CPUs and memory a running domain has from its next start on. Some may be
    /// written when it throws. Error{not_found}; Error{wrong_state} for a domain that has no definition.
    virtual void configure(const std::string& name, const DomainSettings& settings) = 0;
    /// Makes that disk of the domain, a qcow2 file at exactly that path, so large: of a running one in QEMU,
    /// whose guest sees it at once, else as a volume. One that is as large or larger stays as it is.
    /// Error{not_found}.
    virtual void grow_disk(const std::string& name, const std::string& path,
                           std::uint64_t capacity_bytes) = 0;
    /// Freezes a disk of a running or paused domain as it is now, and makes the checkpoint, until end_backup.
    /// Both or neither. It may not be repeated: Error{wrong_state} for a domain that is off or has a backup
    /// under way, and when the record of writes since `spec.since` cannot be used.
    virtual FrozenExport begin_backup(const std::string& name, const BackupSpec& spec) = 0;
    /// Ends the backup under way, if there is one, and returns when there is none. Its scratch file is
    /// removed.
    virtual void end_backup(const std::string& name) = 0;
    /// Which part of a checkpoint is deleted: libvirt's knowledge of it alone, or with the record of writes
    /// in the disk, which wants a running or paused domain (Error{wrong_state}).
    enum class CheckpointPart { all, knowledge };
    virtual void delete_checkpoint(const std::string& name, const std::string& checkpoint,
                                   CheckpointPart part) = 0;
    /// Makes libvirt know a checkpoint again whose record of writes is in the disk. Throws when it is not.
    /// Wants a running or paused domain.
    virtual void restore_checkpoint(const std::string& name, const CheckpointView& checkpoint) = 0;
    /// Puts the qcow2 file at `path` in the place of the definition's disk `target`; libvirt finds out by
    /// itself what that stands on. What runs keeps its disk. Error{not_found} without the domain or the disk;
    /// Error{wrong_state} for a domain that has no definition.
    virtual void set_disk(const std::string& name, const std::string& target, const std::string& path) = 0;
    /// From now on a running domain writes what it writes to its disk `target` into the overlay at `path`,
    /// which is there and stands on what the disk was so far. The definition says so too. A disk that is that
    /// file already stays. Error{wrong_state} when it is off.
    virtual void add_layer(const std::string& name, const std::string& target, const std::string& path) = 0;
    /// Begins to commit the uppermost layer of a running domain's disk into `into`, the file that it stands
    /// on; block_job tells how far it is. One that is under way goes on. Error{wrong_state} when it is off.
    virtual void commit_layer(const std::string& name, const std::string& target,
                              const std::string& into) = 0;
    /// Ends the job of that disk; without one nothing is done. Error{busy} for the pivot of one that is not
    /// ready.
    virtual void end_block_job(const std::string& name, const std::string& target, JobEnd end) = 0;
    /// Stops and undefines it; folder and files stay.
    virtual void remove_pool(const std::string& name) = 0;
    virtual void remove_filter(const std::string& name) = 0;

  protected:
    /// Error{config}, as ensure_pool.
    void refuse_other_folder(const std::string& name, const std::string& path);
    /// The devices of a domain whose limits can be set. Error{not_found}, {wrong_state}, as tune.
    TunedDevices devices_of(const std::string& name, Subsystem subsystem);
    using Observer::devices_of;
};

} // namespace blockhost
