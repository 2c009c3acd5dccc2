#pragma once
/// What we have to remember of limits we set: `<journal>/<name>.limits`, replaced durably before a limit is
/// set, so that a dead process's limit ends too.
///
/// One part for each limit and side (running, definition): the setting before ours, the settings of ours that
/// may be there now, and the moment at which ours ends, if it does. What is found there later and isn't one
/// of ours was set by somebody else (or vanished with a restart of the VM), and stays.
/// The file is outside text: names, never paths; what it says is checked when it is read.

#include "base/boot_clock.hpp"
#include "base/files.hpp"
#include "base/lock.hpp"
#include "lifecycle/limits.hpp"
#include "model/names.hpp"

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace blockhost {

struct LimitPart {
    Setting before{};
    std::vector<Setting> ours;
    std::optional<LateMoment> until; ///< nothing: until it is taken back by hand
    /// A setting of ours without an end, over which one with an end stands: it comes back then, not `before`.
    std::optional<Setting> lasting = {};

    bool covers(const Setting& current) const;
    bool operator==(const LimitPart&) const = default;
};

/// All that is remembered of one VM.
struct LimitNotes {
    std::string uuid; ///< of its domain
    std::map<std::pair<TuningOf, Limit>, LimitPart> parts;

    const LimitPart* find(TuningOf which, Limit limit) const;
    /// Some part's time is over.
    bool due(const Moment& now) const;
    /// Some part's end was counted in an earlier boot.
    bool of_earlier_boot(const Moment& now) const;
};
std::string to_text(const LimitNotes& notes);
/// Throws Error{config} naming `name`.
LimitNotes limit_notes(const std::string& text, const std::string& name);

/// The file of one VM, held: no other process sets limits of that VM meanwhile.
class LimitFile {
  public:
    /// Nothing when another process holds it until `deadline`. Throws Error{io} when the folder cannot be
    /// used.
    static std::optional<LimitFile> take(const std::filesystem::path& journal, const VmName& name,
                                         const Deadline& deadline);
    LimitFile(LimitFile&&) = default;
    ~LimitFile();

    /// What it says; empty when there is none.
    LimitNotes read() const;
    /// Durable; without parts, the file is removed.
    void write(const LimitNotes& notes) const;

    /// Whether there is one, or a dead process's lock.
    static bool exists(const std::filesystem::path& journal, const VmName& name);
    /// Without taking it; nothing when there is none.
    static std::optional<LimitNotes> peek(const std::filesystem::path& journal, const VmName& name);
    /// The VMs that have one, sorted.
    static std::vector<VmName> names(const std::filesystem::path& journal);

  private:
    LimitFile(Folder folder, VmName name, FileLock lock);
    Folder folder_;
    VmName name_;
    std::unique_ptr<FileLock> lock_; ///< nothing: moved from
};

} // namespace blockhost
