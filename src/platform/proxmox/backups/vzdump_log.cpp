// SPDX-License-Identifier: MIT
#include "platform/proxmox/backups/vzdump_log.hpp"

#include "base/text/text.hpp"

#include <algorithm>

namespace blockhost::platform::proxmox {

namespace {

constexpr std::string_view info = "INFO: ";

/// What stands behind `before`, up to `after`; nothing where the text does not begin with it.
std::optional<std::string> behind(std::string_view text, std::string_view before, std::string_view after) {
    if (!text.starts_with(before)) return std::nullopt;
    text.remove_prefix(before.size());
    const std::size_t end = after.empty() ? text.size() : text.find(after);
    if (end == text.npos) return std::nullopt;
    return std::string(text.substr(0, end));
}

/// " 37% (1.2 GiB of 32.0 GiB) in 3s, …"
std::optional<int> percent_in(std::string_view text) {
    const std::size_t sign = text.find("% (");
    if (sign == text.npos) return std::nullopt;
    const auto percent = text::parse_int(text::trim(text.substr(0, sign)));
    return percent && *percent >= 0 && *percent <= 100 ? std::optional(static_cast<int>(*percent))
                                                       : std::nullopt;
}

/// One guest's part of a log.
class Reader {
  public:
    void read(std::string_view line) {
        if (!line.starts_with(info)) return;
        line.remove_prefix(info.size());
        if (line.starts_with("Starting Backup of VM ")) {
            course_ = {}, runs_ = is_vm_ = froze_ = false;
            is_vm_ = line.find("(qemu)") != line.npos;
        } else if (line.starts_with("status = running")) {
            runs_ = true;
        } else if (line.starts_with("mode failure - ")) {
            course_.fallback = line.substr(std::string_view("mode failure - ").size());
        } else if (const auto mode = behind(line, "backup mode: ", "")) {
            course_.mode = text::printable(text::trim(*mode), 40);
        } else if (line.starts_with("issuing guest-agent 'fs-freeze'")) {
            froze_ = true;
        } else if (const auto percent = percent_in(line)) {
            course_.percent = percent;
        } else {
            read_resumption(line);
        }
    }

    BackupCourse course() const {
        BackupCourse told = course_;
        if (told.mode.empty()) return told;
        if (!runs_ || told.mode == "stop")
            told.consistency = Consistency::off;
        else
            told.consistency = froze_ ? Consistency::frozen : Consistency::crash;
        return told;
    }

  private:
    /// A VM may run on once the copying before each write has begun; what held it is then over, too.
    void read_resumption(std::string_view line) {
        const bool job_has_begun = is_vm_ && line.starts_with("started backup task '");
        if (job_has_begun && runs_ && course_.mode == "snapshot") course_.guest_may_run_on = true;
        if (line == "resuming VM again") course_.guest_may_run_on = true;
        for (const std::string_view before : {"resuming VM again after ", "guest is online again after "})
            if (const auto seconds = behind(line, before, " seconds")) {
                course_.guest_may_run_on = true;
                course_.held_s = text::printable(*seconds, 20);
            }
    }

    BackupCourse course_;
    bool runs_ = false, is_vm_ = false, froze_ = false;
};

} // namespace

DumpLog read_dump_log(const std::vector<std::string>& lines) {
    DumpLog log;
    Reader reader;
    for (const std::string& line : lines) reader.read(line);
    log.course = reader.course();
    const auto begun = [](const std::string& line) {
        return line.find("starting new backup job") != line.npos;
    };
    const auto waits = [](const std::string& line) {
        return line.find("trying to get global lock") != line.npos;
    };
    log.is_queued = std::ranges::any_of(lines, waits) && std::ranges::none_of(lines, begun);
    return log;
}

std::optional<Refusal> refusal_of_dump(const std::vector<std::string>& lines) {
    constexpr std::string_view start = "ERROR: Backup of VM ", before = " failed - ";
    std::optional<Refusal> refusal;
    for (const std::string& line : lines)
        if (const std::size_t at = line.find(before); line.starts_with(start) && at != line.npos) {
            refusal = refusal_in(line.substr(at + before.size()));
            break;
        }
    const auto is_full = [](const std::string& line) {
        return line.find("No space left on device") != line.npos ||
               line.find("Disk quota exceeded") != line.npos;
    };
    if (refusal && refusal->kind == RefusalKind::other && std::ranges::any_of(lines, is_full))
        refusal->kind = RefusalKind::no_room;
    return refusal;
}

} // namespace blockhost::platform::proxmox
