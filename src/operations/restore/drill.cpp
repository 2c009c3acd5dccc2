// SPDX-License-Identifier: MIT
/// Restores, boots, looks, and throws away.

#include "operations/restore/drill.hpp"

#include "base/files/lock.hpp"
#include "base/text/text.hpp"
#include "config/templates.hpp"
#include "guest/exec.hpp"
#include "host/capability.hpp"
#include "operations/admission.hpp"
#include "operations/create/settings.hpp"
#include "operations/restore/contents.hpp"
#include "vm/trial.hpp"

#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr std::string_view domain_prefix = "blockhost-drill-";
constexpr std::int64_t most_memory_mib = 2048;
constexpr int agent_seconds = 10;
constexpr auto check_patience = 120s;

/// A folder that one drill has to itself.
class Bench {
  public:
    explicit Bench(World& world) : folder_(make(world)), lock_(take(folder_)) {
        end_lost_trials(world.hypervisor(), domain_prefix, folder_, world.progress);
        clear();
        require_reachable_by_qemu(world.paths, {folder_.path()}, host::Way::open);
    }
    ~Bench() {
        try {
            clear();
        } catch (const Error&) {
            // The next drill does it.
        }
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    const Folder& folder() const { return folder_; }

  private:
    static Folder make(const World& world) {
        Folder::open_or_make(world.paths.cache.parent_path(), 0755);
        return Folder::open_or_make(world.paths.cache, 0711).make_sub("drill", 0711);
    }
    static FileLock take(const Folder& folder) {
        auto lock = FileLock::take_named(folder, "lock", 0600);
        if (!lock) throw Error(Code::busy, "another drill is under way", "wait for its end");
        return std::move(*lock);
    }
    void clear() const {
        for (const char* name : {trial_disk, trial_console}) folder_.remove(name);
    }

    Folder folder_;
    FileLock lock_;
};

struct Drill {
    World& world;
    const backup::Restic& restic;
    const backup::Backup& backup;
    const DrillRequest& request;
    const Interruption& interruption;
    const Bench& bench;
    backup::LastDrill& told;

    std::function<void()> check() const {
        return [this] { interruption.check(); };
    }
};

void require_room(const Drill& drill, const Contents& contents, const std::string& domain) {
    const std::uint64_t needed = backup::data_bytes(contents.disk());
    const Folder& folder = drill.bench.folder();
    const std::uint64_t free = files::room_on(folder.fd(), folder.path().string()).free;
    if (needed > free)
        throw Error(Code::no_room,
                    fmt::format("the backup has {} of data, and {} has room for {}",
                                text::human_bytes(needed), folder.path().string(), text::human_bytes(free)),
                    "free room on its file system");
    check_room(drill.world,
               {.name = VmName(domain), .memory_mib = std::min(contents.record.memory_mib, most_memory_mib)});
}

/// The template's version is held until the drill's domain is gone: nothing else says that it is in use.
void make_disk(const Drill& drill, const Contents& contents) {
    World& world = drill.world;
    world.progress.stage("restoring the disk");
    const std::filesystem::path base = former_template(world, contents.manifest.base);
    const std::filesystem::path disk = drill.bench.folder().path() / trial_disk;
    backup::make_image(disk, contents.disk().bytes, base);
    backup::fill_disk(drill.restic, drill.backup, contents.manifest, disk,
                      base.empty() ? backup::StandsOn::nothing : backup::StandsOn::another_image,
                      drill.check());
}

bool wants_kvm(const World& world) {
    return world.config.domain_type == DomainType::kvm ||
           (world.config.domain_type == DomainType::automatic && host::kvm_works());
}

TrialSpec spec_of(const Drill& drill, const Contents& contents, const std::string& domain) {
    const std::filesystem::path place = drill.bench.folder().path();
    drill.bench.folder().open_file(trial_console, O_WRONLY | O_CREAT, 0640);
    return {.name = domain,
            .uuid = Uuid::random(),
            .kvm = wants_kvm(drill.world),
            .memory_mib = std::min(contents.record.memory_mib, most_memory_mib),
            .disk_path = (place / trial_disk).string(),
            .console_path = (place / trial_console).string(),
            .kernel = drill.world.config.boot_kernel,
            .initrd = drill.world.config.boot_initrd,
            .kernel_arguments = drill.world.config.boot_arguments};
}

/// Prints what is wrong, a line each.
constexpr std::string_view look_at_file_systems =
    "awk '$1 ~ \"^/dev/\" && $4 ~ /(^|,)ro(,|$)/ && $3 !~ /^(squashfs|iso9660|erofs)$/ "
    "{ print $2 \" is mounted read-only\" }' /proc/mounts\n"
    "place=/var/tmp; [ -d $place ] || place=/\n"
    "file=$(mktemp \"$place/.drill.XXXXXX\") && echo drill >\"$file\" && sync && rm \"$file\" || "
    "echo \"$place takes no file\"\n"
    "dmesg 2>/dev/null | grep -E 'EXT4-fs error|XFS .*[Cc]orrupt|BTRFS (error|critical)|"
    "mounting fs with errors|Buffer I/O error' | head -n 3\n"
    ":\n";

std::string first_words(const std::string& text) {
    return text::join(text::last_lines(text, 3, 200), " | ");
}

guest::Outcome ask(const Drill& drill, Trial& trial, const guest::Program& program) {
    return guest::exec(
        [&](const std::string& command) {
            drill.interruption.check();
            return trial.agent(command, agent_seconds);
        },
        program, check_patience);
}

void look_inside(const Drill& drill, Trial& trial) {
    drill.world.progress.stage("looking at what came up");
    const auto wrong = ask(drill, trial, {"/bin/sh", {"-c", std::string(look_at_file_systems)}});
    if (wrong.status() != 0 || !text::trim(wrong.out).empty())
        throw Error(Code::guest, "its file systems are not well: " +
                                     first_words(wrong.out.empty() ? wrong.err : wrong.out));
    for (const ExpectedFile& file : drill.request.files) {
        const auto seen = ask(drill, trial, {"/bin/sh", {"-c", "exec sha256sum -- \"$1\"", "sh", file.path}});
        if (seen.status() != 0)
            throw Error(Code::guest, fmt::format("{} cannot be read: {}", file.path, first_words(seen.err)));
        if (!seen.out.starts_with(file.sha256))
            throw Error(Code::guest, file.path + " is another file than was expected");
    }
    if (!drill.request.command) return;
    const auto end = ask(drill, trial, {"/bin/sh", {"-c", *drill.request.command}});
    if (end.status() != 0)
        throw Error(Code::guest, fmt::format("the command ended with status {}: {}", end.status(),
                                             first_words(end.err.empty() ? end.out : end.err)));
}

/// Whole seconds since `since`, which is now afterwards.
std::int64_t lap(Clock::time_point& since) {
    const auto now = Clock::now();
    const auto span = std::chrono::round<std::chrono::seconds>(now - since);
    since = now;
    return span.count();
}

void carry_out(Drill& drill) {
    const Contents contents = read_contents(drill.restic, drill.backup);
    const std::string domain = std::string(domain_prefix) + random_hex(8);
    require_room(drill, contents, domain);
    const FileLock kept =
        hold_templates(drill.world.paths, FileLock::Mode::shared, Deadline::in(60s), drill.interruption);
    auto since = Clock::now();
    make_disk(drill, contents);
    drill.told.restore_s = lap(since);
    drill.world.progress.stage("booting it");
    Trial trial(drill.world.hypervisor(), spec_of(drill, contents, domain), drill.bench.folder(),
                drill.world.progress, drill.check());
    trial.await_agent(drill.request.boot_timeout);
    drill.told.boot_s = lap(since);
    look_inside(drill, trial);
    drill.told.check_s = lap(since);
}

/// Whether a failure says something of the backup, and not of this host at this moment.
bool is_verdict(Code code) {
    return code == Code::invalid || code == Code::not_found || code == Code::io || code == Code::program ||
           code == Code::guest;
}

} // namespace

std::vector<ExpectedFile> parse_expected_files(std::string_view text, std::string_view name) {
    constexpr std::size_t digits = 64, gap = 2;
    std::vector<ExpectedFile> files;
    for (const std::string& line : text::split(text, '\n')) {
        if (line.empty()) continue;
        const std::string digest = line.substr(0, digits);
        const std::string path = line.size() > digits + gap ? line.substr(digits + gap) : "";
        if (!text::is_hex(digest, digits, digits) || !path.starts_with('/'))
            throw Error(Code::invalid,
                        fmt::format("{}: {} is no line of sha256sum's", name, text::printable(line)),
                        "each line is a SHA-256, two blanks, and the absolute path of a file in the guest");
        files.push_back({path, digest});
    }
    return files;
}

backup::LastDrill drill(World& world, const backup::Restic& restic, const backup::Backup& backup,
                        const DrillRequest& request, const Interruption& interruption) {
    const Bench bench(world);
    backup::LastDrill told{.snapshot = backup.id, .taken_at = backup.taken_at, .at = now()};
    Drill under_way{world, restic, backup, request, interruption, bench, told};
    try {
        carry_out(under_way);
        told.passed = true;
    } catch (const Error& error) {
        if (!is_verdict(error.code())) throw;
        told.reason = error.message();
    }
    told.at = now();
    backup::write_last_drill(world.paths, backup.vm, told);
    return told;
}

} // namespace blockhost::operations
