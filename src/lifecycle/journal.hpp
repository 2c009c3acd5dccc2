#pragma once
/// The journal: one file per VM with an operation under way, and the lock that proves its owner alive.
///
/// `<journal>/<name>.journal` starts with one fixed-width line ("give-up 0"), which another operation may
/// turn to 1; JSON lines follow: the header, then one line before a step starts, when it has learned
/// something, after it is done, and when all is over; each is synced before the next thing happens, "done"
/// together with the line behind it. Whoever works on the VM holds a flock(2) on the file; a free lock on a
/// file with a header means that its owner died. Closing removes the file. The folder is outside text for
/// root (the blockhost user can write it): names, never paths.

#include "base/files.hpp"
#include "base/interrupt.hpp"
#include "base/lock.hpp"
#include "base/time.hpp"
#include "lifecycle/state.hpp"
#include "model/address.hpp"
#include "model/names.hpp"

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace blockhost {

/// The note of a create that names the image its disk stands on.
inline constexpr const char* template_note = "template";

/// What an open entry says.
struct EntryView {
    OperationId operation;
    VmName name;
    std::string verb;
    int pid = 0;
    Instant since;
    boost::json::object parameters;   ///< as its operation decided them
    boost::json::object notes;        ///< what its steps learned (addresses taken, …)
    std::vector<std::string> started; ///< steps, in order
    std::vector<std::string> done;

    std::optional<Instant> last_start; ///< when the last started step began, if it isn't done
    /// The addresses noted as taken.
    std::optional<Ipv4> ip() const;
    std::optional<Ipv6> ipv6() const;
    /// The step that was begun and not finished; empty when there is none.
    std::string in_flight() const;
    /// Its side of an observation.
    EntrySeen seen() const;
};

class Journal;

/// A held entry: the right to work on one VM. Dropping it without close() leaves what it says for recovery.
class JournalEntry {
  public:
    JournalEntry(JournalEntry&&) = default;
    ~JournalEntry();

    /// What a dead owner left here, when this entry was taken; nothing when it was clean.
    const std::optional<EntryView>& left() const { return left_; }

    /// Writes the header of a new operation. The entry must be clean (or closed by end()).
    void begin(const OperationId& operation, const std::string& verb, const boost::json::object& parameters);
    /// When what was written is on the disk: at once, or together with the line behind it.
    enum class Synced { now, with_the_next };
    void step_started(std::string_view step, Synced synced = Synced::now);
    void step_done(std::string_view step);

    void note(const boost::json::object& notes);
    /// Notes that the addresses are taken for this VM: other operations then know whose they are.
    void note_addresses(const Ipv4& ip, const std::optional<Ipv6>& ipv6);

    /// The operation has ended, for good once this returns; when it throws, the entry is as open as before.
    /// The lock stays held.
    void end();

    /// The steps begun through this object, in order.
    const std::vector<std::string>& started() const { return started_; }

    /// Another operation asked the owner of this entry to give up.
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
    explicit Journal(std::filesystem::path folder) : path_(std::move(folder)) {}

    /// How a taker behaves towards a live holder.
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
    /// What the entry says, without taking it; nothing when there is none, or it has no header.
    std::optional<EntryView> peek(const VmName& name) const;
    /// Whether somebody holds the entry's lock now.
    bool held(const VmName& name) const;

    /// The addresses that open entries of other VMs than `name` have noted as taken.
    struct Claims {
        std::vector<Ipv4> ip;
        std::vector<Ipv6> ipv6;
    };
    Claims claims_of_others(const VmName& name) const;
    Claims all_claims() const;

    /// Remembers that an operation was rolled back, so that what of it arrives late is known for what it is.
    /// `ip`: the IPv4 address it had allocated and gave back.
    void remember_rolled_back(const OperationId& operation, const VmName& name,
                              const std::optional<Ipv4>& ip) const;
    bool was_rolled_back(const OperationId& operation) const;
    /// When the last rolled back operation that had allocated `ip` was closed; nothing when there is none.
    std::optional<Instant> given_back_at(const Ipv4& ip) const;

    /// Serialises admission (a flock on the folder itself): held while a create counts what is promised and
    /// writes its own header.
    FileLock take_admission(const Deadline& deadline, const Interruption& interruption) const;

    const std::filesystem::path& path() const { return path_; }

  private:
    friend class JournalEntry;
    Folder folder() const;
    std::string history() const;
    Claims claims_but(const std::optional<VmName>& name) const;

    std::filesystem::path path_;
};

} // namespace blockhost
