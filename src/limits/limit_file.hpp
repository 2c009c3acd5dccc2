// SPDX-License-Identifier: MIT
#pragma once
/// What is remembered of the limits that throttle set: `<journal>/<name>.limits`, replaced durably before a
/// limit is set, so that a dead process's limit ends too.
///
/// The file has one part for each limit and side (running, definition): the setting before throttle's, the
/// settings of throttle that may be there now, and the moment at which throttle's ends, if it does. A setting
/// found later that is not one of throttle's was set by somebody else (or throttle's vanished with a restart
/// of the VM), and stays. The file is outside text: names, never paths; its content is checked when it is
/// read.

#include "base/boot_clock.hpp"
#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "base/files/state_folder.hpp"
#include "limits/limits.hpp"
#include "model/names.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace blockhost::limits {

struct LimitPart {
    Setting before{};
    std::vector<Setting> ours;
    std::optional<LateMoment> until; ///< nothing: until it is taken back by hand
    /// A setting of throttle without an end that one with an end has replaced: it comes back then, not
    /// `before`.
    std::optional<Setting> lasting = {};

    bool covers(const Setting& current) const;
    bool operator==(const LimitPart&) const = default;
};

/// Everything that is remembered of one VM.
struct LimitNotes {
    std::string uuid; ///< of its domain
    std::map<std::pair<TuningOf, Limit>, LimitPart> parts;

    const LimitPart* find(TuningOf which, Limit limit) const;
    /// Whether some part's time is over.
    bool due(const Moment& now) const;
    /// Whether some part's end was counted in an earlier boot.
    bool of_earlier_boot(const Moment& now) const;
};
std::string to_text(const LimitNotes& notes);
/// Throws Error{config}, naming `name`.
LimitNotes limit_notes(const std::string& text, const std::string& name);

/// The file of one VM, held: no other process sets limits of that VM meanwhile.
class LimitFile {
  public:
    /// Nothing when another process holds it until `deadline`. Throws Error{io} when the folder cannot be
    /// used.
    static std::optional<LimitFile> take(const StatePlace& journal, const VmName& name,
                                         const Deadline& deadline);
    LimitFile(LimitFile&&) = default;
    ~LimitFile();

    /// What the file says; empty when there is none.
    LimitNotes read() const;
    /// Durable; removes the file when there are no parts.
    void write(const LimitNotes& notes) const;

    /// Whether there is a file, or a lock that a dead process may have left.
    static bool exists(const StatePlace& journal, const VmName& name);
    /// Reads the file without taking it; nothing when there is none.
    static std::optional<LimitNotes> peek(const StatePlace& journal, const VmName& name);
    /// The VMs that have a file, sorted.
    static std::vector<VmName> names(const StatePlace& journal);

  private:
    LimitFile(Folder folder, VmName name, FileLock lock);
    Folder folder_;
    VmName name_;
    std::unique_ptr<FileLock> lock_; ///< nothing: moved from
};

} // namespace blockhost::limits
