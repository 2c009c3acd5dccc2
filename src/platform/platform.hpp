// SPDX-License-Identifier: MIT
#pragma once
/// Where guests live: libvirt on this host, a node of Proxmox VE, or a simulated one. Everything that looks
/// at guests or changes them does so through this interface.

#include "base/error.hpp"
#include "base/time.hpp"
#include "platform/backups.hpp"
#include "platform/outage.hpp"
#include "platform/permit.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace blockhost::platform {

/// What the platform will show in place of its present certificate, once its front end is started anew.
struct NextCertificate {
    std::string fingerprint; ///< "sha256:" and 64 hex digits, as a pin is written
    std::int64_t expiry = 0; ///< Unix time
    /// Whether a pin fits it; nothing where no pin is asked.
    std::optional<bool> is_pinned;
};

/// Facts of the host.
struct Host {
    std::string platform; ///< "libvirt", "proxmox", "simulated"
    std::string name;     ///< the node's
    std::string version;  ///< of the platform: "9.2.11"
    std::string kernel;
    std::optional<std::int64_t> uptime_s, clock; ///< clock: Unix time as the host has it
    std::optional<std::int64_t> memory_mib, memory_free_mib;
    std::optional<int> cpus;
    std::optional<double> load;                     ///< of the last minute
    std::optional<std::int64_t> certificate_expiry; ///< Unix time, where the platform is reached by TLS
    std::optional<NextCertificate> next_certificate;
};

/// Something that a feature needs and that is not there, found before anything is tried.
struct Lack {
    std::string feature; ///< "backup", "snapshot", "guest agent"
    std::string what;    ///< "VM.Backup on /vms/140": one clause
    std::string remedy;  ///< a command to run, or what to do
};

/// One for each cause, in the order of the first of each; its feature names all that the cause keeps from
/// working.
std::vector<Lack> by_cause(const std::vector<Lack>& lacks);

/// All guests that could be seen.
struct Guests {
    std::vector<Guest> seen;
    /// Why more guests may exist than are seen ("the token may not audit /vms"); empty: these are all. While
    /// it is not empty, nothing follows from a guest's absence.
    std::string doubt;
};

/// What the platform gave to find an action again, durable before anybody waits for it: a task's handle, an
/// operation's id. One line of printable ASCII.
using Handle = std::string;

/// What has to be on disk before an action begins, so that it can be found again if its answer gets lost. One
/// line of printable ASCII.
using Note = std::string;

/// What tells of an action whose answer got lost.
struct Trace {
    enum class Kind {
        begun,  ///< the platform took it: `handle`
        done,   ///< no record of it is left, and the guest is as nothing but the action would have left it
        nothing ///< nothing tells of it; the platform may still begin it
    } kind = Kind::nothing;
    Handle handle;
    GuestId guest; ///< of create and restore, where it is known
};

/// How an action stands.
struct ActionState {
    enum class Phase {
        waiting, ///< queued behind something else, `detail` says what
        running,
        done,    ///< to its real end; `warnings` may tell more
        failed,  ///< `error`; nothing was changed, or what was is told there
        unknown, ///< the platform cannot tell any more: only the guest does
    } phase = Phase::running;
    std::string detail;
    std::vector<std::string> warnings;
    std::optional<Error> error;
    GuestId guest; ///< of create and restore, once it is known
};

/// One look at many guests: what they have in common is read once, and may be older than what is read later.
/// For one thread.
class Reading {
  public:
    virtual ~Reading() = default;
    /// Which guests there are. What else is told of one may be less than Platform::guests tells; then it is
    /// partial, and `guest` tells the rest.
    virtual Guests list() = 0;
    /// As Platform::guest.
    virtual std::optional<Guest> guest(const GuestId& id) = 0;
};

class Platform {
  public:
    virtual ~Platform() = default;

    /// Throws when the host itself cannot be read: then there is no report.
    virtual Host host() = 0;
    /// What lacks, for each feature; looks, and changes nothing.
    virtual std::vector<Lack> preflight() = 0;

    /// One look at all guests. A guest that cannot be read is in it with the reason. Throws when the list
    /// itself cannot be had.
    virtual Guests guests() = 0;
    /// One guest with its configuration; nothing when the platform says that there is none of that id. Throws
    /// when it cannot be read.
    virtual std::optional<Guest> guest(const GuestId& id) = 0;

    /// Looks why a guest that is off went off. `seen_running`: this host saw it run, and has looked at it
    /// ever since; then that nobody switched it off means more than that nothing is known. Throws when it
    /// cannot be read. A platform that does not say otherwise cannot tell.
    virtual Outage outage(const Guest&, bool /*seen_running*/) { return {}; }
    /// For looks at many guests; it ends before this object does. Throws as guests().
    virtual std::unique_ptr<Reading> read();

    /// Why this platform can have no guest of that id and kind; nothing: it can. Asks nobody.
    virtual std::optional<Error> misfit(const GuestId&, Kind) const { return std::nullopt; }
    /// Why this platform carries out no such action on any guest of that kind; nothing: nothing speaks
    /// against it beforehand. Asks nobody, so that a plan can tell before anything is tried. `note` or
    /// `begin` throws the same.
    virtual std::optional<Error> refusal(const Action&, Kind) const { return std::nullopt; }

    /// Whether storage of the host (storage_target) is mounted there, now and after each start; nothing: the
    /// platform mounts none. Throws when that cannot be seen.
    virtual std::optional<bool> is_mounted(const Target& /*storage*/, const std::string& /*point*/) {
        return std::nullopt;
    }

    /// Whether the guest's agent answers now; nothing: the guest has none set up, or this platform does not
    /// ask. Changes nothing. Throws when it may not be asked.
    virtual std::optional<bool> agent_answers(const Guest&) { return std::nullopt; }

    /// For looks at the backups that the platform keeps; it lives as long as this object. Null: it keeps
    /// none, those of its guests are this program's own (src/backup/).
    virtual BackupKeeper* backup_keeper() { return nullptr; }

    /// Looks at what `trace` has to know of the time before the action. Changes nothing.
    virtual Note note(const Target& target, const Action& action) = 0;

    /// The one door: begins the permitted action on its target, and returns as soon as the platform has
    /// accepted it; `accepted` is called with the handle first. What it throws is passed on, and the action
    /// goes on all the same. `note` is that of this target and action, and serves one begin. The permit is
    /// spent, unless this throws and certainly began nothing (may_have_begun). Throws Error{exists} when a
    /// new guest's id is taken; Error{internal} for a permit that is spent; Error{wrong_state} when the id
    /// now belongs to another incarnation; Error{hypervisor_down} when the platform was not reached;
    /// Error{no_answer} when nobody knows whether the platform accepted it: never begin it again, trace it.
    void begin(Permit& permit, const Note& note, const std::function<void(const Handle&)>& accepted);

    /// Looks once for an action that was begun with `note`, and whose answer got lost, here or in a process
    /// that died.
    virtual Trace trace(const Target& target, const Action& action, const Note& note) = 0;

    /// Looks once at an action, also one that an earlier process began.
    virtual ActionState look(const Handle& handle) = 0;
    /// Asks the platform to stop it; where that is not possible, nothing happens.
    virtual void interrupt(const Handle& handle) = 0;

  protected:
    /// What begin() promises, for a permit that was not spent before.
    virtual void begin_permitted(const Permit& permit, const Note& note,
                                 const std::function<void(const Handle&)>& accepted) = 0;
};

/// Whether a begin that threw this before it told a handle may have begun something: an interrupted call may
/// have been sent, and a broken promise of ours says nothing.
bool may_have_begun(const Error& error);

/// Begins to make a guest under an id that the platform hands out, under another one when somebody else took
/// it first; that one's guest stays as it is. `noted` is called with each note before it is used: it has to
/// be on disk before it returns. Throws as Platform::begin does.
void begin_new(Platform& platform, Permit& permit, const std::function<void(const Note&)>& noted,
               const std::function<void(const Handle&)>& accepted);

/// Looks until the action ended. Throws Error{no_answer} at the deadline: it goes on. `pause` waits, and
/// throws when the caller was interrupted. `seen` is called with each look that showed no end.
ActionState await_end(Platform& platform, const Handle& handle, const Deadline& deadline,
                      const std::function<void(std::chrono::milliseconds)>& pause,
                      const std::function<void(const ActionState&)>& seen = {});

/// Finds an action again whose answer got lost, and waits for its end. `found` is called with the handle as
/// soon as there is one. Where nothing tells of the action until `deadline`, its phase is unknown: it may not
/// be begun again unless its repetition harms nothing. Never begins anything.
ActionState recover_end(Platform& platform, const Target& target, const Action& action, const Note& note,
                        const Deadline& deadline, const std::function<void(const Handle&)>& found,
                        const std::function<void(std::chrono::milliseconds)>& pause);

} // namespace blockhost::platform
