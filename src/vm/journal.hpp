// SPDX-License-Identifier: MIT
#pragma once
/// The journal: one file per VM with an operation under way, and the lock that proves its owner alive.
///
/// `<journal>/<name>.journal` starts with one line of fixed width ("give-up 0"), whose digit another
/// operation may turn to 1. JSON lines follow: the header, then a line before a step starts, when it has
/// learned something, after it is done, and when the operation has ended. Each is synced before the next
/// thing happens, "done" together with the next line. The process that works on the VM holds a flock(2) on
/// the file; a free lock on a file with a header means that its owner died. Closing removes the file. The
/// blockhost user can write the folder, so that it is outside text for root: names, never paths.

#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "base/files/state_folder.hpp"
#include "base/interrupt.hpp"
#include "base/time.hpp"
#include "model/address.hpp"
#include "model/names.hpp"
#include "vm/state.hpp"

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

/// The key of a create's note that names the image backing its disk.
inline constexpr const char* template_note = "template";

/// What an open entry says.
struct EntryView {
    OperationId operation;
    VmName name;
    std::string verb;
    int pid = 0;
    Instant since;
    boost::json::object parameters;   ///< as the operation decided them
    boost::json::object notes;        ///< what its steps learned (addresses taken, …)
    std::vector<std::string> started; ///< steps, in order
    std::vector<std::string> done;

    std::optional<Instant> last_start; ///< when the step in flight began
    /// The boot of the host in which the entry was written, and when in it the last step began (before the
    /// first step: the operation), in milliseconds since that boot. Empty or nothing where the entry does not
    /// say.
    std::string boot = {};
    std::optional<std::int64_t> last_uptime_ms = {};
    /// The addresses that the entry notes as taken.
    std::optional<Ipv4> ip() const;
    std::optional<Ipv6> ipv6() const;
    /// The step that was begun and not finished; empty when there is none.
    std::string in_flight() const;
    /// The journal's side of an observation.
    EntrySeen seen() const;
};

class Journal;

/// A held entry: the right to work on one VM. Dropping it without end() leaves its content for recovery.
class JournalEntry {
  public:
    JournalEntry(JournalEntry&&) = default;
    ~JournalEntry();

    /// What a dead owner left in the entry before it was taken; nothing when the entry was clean.
    const std::optional<EntryView>& left() const { return left_; }

    /// Writes the header of a new operation. The entry must be clean (or closed by end()).
    void begin(const OperationId& operation, const std::string& verb, const boost::json::object& parameters);
    /// When a line is on the disk: at once, or together with the next line.
    enum class Synced { now, with_the_next };
    void step_started(std::string_view step, Synced synced = Synced::now);
    void step_done(std::string_view step);

    void note(const boost::json::object& notes);
    /// Notes that the addresses are taken for this VM, so that other operations know whose they are.
    void note_addresses(const Ipv4& ip, const std::optional<Ipv6>& ipv6);

    /// Ends the operation, for good once this returns; when it throws, the entry is as open as before. The
    /// lock stays held.
    void end();

    /// The steps begun through this object, in order.
    const std::vector<std::string>& started() const { return started_; }

    /// Whether another operation asked the owner of this entry to give up.
    bool asked_to_give_up() const;

    const VmName& name() const { return name_; }

  private:
    friend class Journal;
    JournalEntry(const Journal& journal, VmName name, FileLock lock);
    void append(const boost::json::object& line, Synced synced = Synced::now);
    void reset();

    const Journal* journal_;
    VmName name_;
    std::unique_ptr<FileLock> lock_;
    std::optional<EntryView> left_;
    std::vector<std::string> started_;
    off_t end_ = 0;
    bool open_ = false;
};

class Journal {
  public:
    explicit Journal(StatePlace place) : place_(std::move(place)) {}

    /// How the taker treats a live holder.
    enum class Manner {
        wait,           ///< waits for it
        ask_to_give_up, ///< asks it to give up, then waits
    };
    /// Takes the entry of `name`. Throws Error{busy} ("NAME is busy: create since …, process …") when
    /// `deadline` passes, Error{interrupted} when `interruption` says so, Error{io} when the folder cannot be
    /// used.
    JournalEntry take(const VmName& name, Manner manner, const Deadline& deadline,
                      const Interruption& interruption) const;

    /// The names that have an entry file, sorted.
    std::vector<VmName> names() const;
    /// What the entry says, without taking it; nothing when there is no entry, or it has no header.
    std::optional<EntryView> peek(const VmName& name) const;
    /// Whether a process holds the entry's lock now.
    bool held(const VmName& name) const;

    /// The addresses that open entries of VMs other than `name` have noted as taken.
    struct Claims {
        std::vector<Ipv4> ip;
        std::vector<Ipv6> ipv6;
    };
    Claims claims_of_others(const VmName& name) const;
    Claims all_claims() const;

    /// Remembers that an operation was rolled back, so that its late arrivals are recognised. `ip` is the
    /// IPv4 address that it had allocated and gave back.
    void remember_rolled_back(const OperationId& operation, const VmName& name,
                              const std::optional<Ipv4>& ip) const;
    bool was_rolled_back(const OperationId& operation) const;
    /// When the last rolled-back operation that had allocated `ip` was closed; nothing when there is none.
    std::optional<Instant> given_back_at(const Ipv4& ip) const;

    /// Serialises admission with a flock on the folder itself, held while a create counts what is promised
    /// and writes its own header.
    FileLock take_admission(const Deadline& deadline, const Interruption& interruption) const;

    const StatePlace& place() const { return place_; }

  private:
    friend class JournalEntry;
    Folder folder() const;
    std::string history() const;
    Claims claims_but(const std::optional<VmName>& name) const;

    StatePlace place_;
};

} // namespace blockhost
