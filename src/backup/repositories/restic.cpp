// SPDX-License-Identifier: MIT
// Runs restic, and reads what it answers.
#include "backup/repositories/restic.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <charconv>
#include <fmt/format.h>

namespace blockhost::backup {

namespace {

namespace bj = boost::json;
using namespace std::chrono_literals;

constexpr auto usual_patience = 30min;
constexpr auto longest_run = 48h;
constexpr std::size_t largest_answer = 64u << 20;
constexpr const char* no_such_file = "cannot dump file"; ///< as restic says it

} // namespace

Restic::Restic(Access access, std::function<void()> check)
    : access_(std::move(access)), check_(std::move(check)) {}

Restic Restic::by_key(const std::string& id) const {
    Access access = access_;
    access.key = id;
    return Restic(std::move(access), check_);
}

ProcessSpec Restic::as_user(std::string program, std::vector<std::string> words) const {
    ProcessSpec spec{.program = "/usr/bin/nice", .arguments = {"-n", "10"}};
    if (access_.user) {
        const std::vector<std::string> as{"/usr/bin/setpriv",
                                          fmt::format("--reuid={}", access_.user->uid),
                                          fmt::format("--regid={}", access_.user->gid),
                                          "--clear-groups",
                                          "--inh-caps=-all",
                                          "--no-new-privs",
                                          "--pdeathsig=KILL",
                                          "--"};
        spec.arguments.insert(spec.arguments.end(), as.begin(), as.end());
    }
    spec.arguments.push_back(std::move(program));
    spec.arguments.insert(spec.arguments.end(), words.begin(), words.end());
    spec.deadline = usual_patience;
    spec.output_cap = 1u << 20;
    spec.check = check_;
    spec.folder = "/";
    return spec;
}

/// ssh and rclone find their settings and keys in the home of restic's user. ssh asks nobody: it would wait
/// for an answer on a terminal that it does not get.
std::vector<std::string> Restic::environment() const {
    std::vector<std::string> all{"RESTIC_PROGRESS_FPS=1", "SSH_ASKPASS=/bin/false",
                                 "SSH_ASKPASS_REQUIRE=force"};
    if (access_.user) all.push_back("HOME=" + access_.user->home);
    return all;
}

ProcessSpec Restic::spec(std::vector<std::string> words) const {
    std::vector<std::string> all{"--repo=" + access_.repository,
                                 access_.cache.empty() ? "--no-cache"
                                                       : "--cache-dir=" + access_.cache.string()};
    if (!access_.key.empty()) all.push_back("--key-hint=" + access_.key);
    all.insert(all.end(), words.begin(), words.end());
    ProcessSpec spec = as_user(access_.program, std::move(all));
    spec.environment = environment();
    spec.input = access_.password + "\n";
    return spec;
}

ProcessResult Restic::call(const ProcessSpec& spec) const {
    ProcessResult result;
    try {
        result = run(spec);
    } catch (const Error& error) {
        if (error.code() != Code::io) throw;
        throw Error(Code::program, error.message());
    }
    if (result.exit_status == 127 || (result.exit_status == 126 && result.out.empty()))
        throw Error(Code::program, access_.program + " cannot be run", "install restic");
    if (result.timed_out)
        throw Error(Code::io, fmt::format("restic does not end within {} minutes", usual_patience.count()),
                    "see whether the repository " + text::printable(access_.repository) + " can be reached");
    return result;
}

void Restic::require_success(const ProcessResult& result, std::string_view doing) const {
    if (!result.ok()) throw failure_of(result, access_.repository, doing);
}

/// Of a lock restic itself judges whether its process is dead.
ProcessResult Restic::locked_call(const ProcessSpec& wanted, std::string_view doing) const {
    ProcessResult result = call(wanted);
    if (!result.ok() && is_locked(result)) {
        require_success(call(spec({"--quiet", "unlock"})), "restic cannot remove locks");
        result = call(wanted);
    }
    require_success(result, doing);
    return result;
}

/// restic waits 0.2 s for each lock, and who looks changes nothing.
ProcessSpec Restic::looking(std::vector<std::string> words) const {
    words.insert(words.begin(), {"--quiet", "--no-lock"});
    return spec(std::move(words));
}

/// What a prune moves while it is looked for is found again by its new index.
ProcessResult Restic::answer_to(const ProcessSpec& wanted, std::string_view doing) const {
    ProcessResult result = call(wanted);
    if (!result.ok() && failure_of(result, access_.repository, doing).code() == Code::program &&
        !says(result, no_such_file))
        result = call(wanted);
    require_success(result, doing);
    return result;
}

std::string Restic::version() const {
    ProcessSpec wanted{.program = access_.program, .arguments = {"version"}};
    wanted.check = check_;
    ProcessResult result;
    try {
        result = run(wanted);
    } catch (const Error& error) {
        if (error.code() != Code::io) throw;
        throw Error(Code::program, error.message(), "install restic");
    }
    return parse_version(result);
}

void Restic::make() const {
    require_success(call(spec({"--quiet", "init"})), "restic cannot make the repository");
}

std::string Restic::repository_id() const {
    const auto result = answer_to(looking({"--json", "cat", "config"}), "restic cannot read the repository");
    return parse_repository_id(result.out);
}

std::vector<Snapshot> Restic::snapshots() const {
    ProcessSpec wanted = looking({"--json", "snapshots"});
    wanted.output_cap = largest_answer;
    const auto result = answer_to(wanted, "restic cannot list the snapshots");
    // restic leaves out what it cannot read, and calls that a success.
    if (says(result, "could not load snapshot"))
        throw Error(Code::io, "not every snapshot of the repository can be read: " + words_of(result),
                    "see 'blockhost-libvirt backup check', and whether restic's user may read all of it");
    return parse_snapshots(result.out);
}

Snapshot Restic::list(const std::string& snapshot, const std::function<void(Node)>& each) const {
    ProcessSpec wanted = looking({"--json", "ls", snapshot});
    wanted.deadline = longest_run;
    wanted.output_cap = 1u << 16;
    std::optional<Snapshot> listed;
    wanted.on_line = [&](std::string_view line) {
        if (!line.starts_with('{')) return; // what restic says on stderr
        if (auto node = parse_node(line))
            each(std::move(*node));
        else
            listed = parse_listed_snapshot(line);
    };
    require_success(call(wanted), "restic cannot list a snapshot");
    if (!listed) throw strange_answer("a list of files of no snapshot");
    return *listed;
}

std::string Restic::file(const std::string& snapshot, const std::string& path, std::size_t most) const {
    ProcessSpec wanted = looking({"dump", snapshot, path});
    wanted.output_cap = std::max<std::size_t>(most + 1, 1u << 16); // of stderr, too
    try {
        std::string content = answer_to(wanted, "restic cannot read a file").out;
        if (content.size() > most)
            throw Error(Code::invalid,
                        fmt::format("{} of snapshot {} is larger than {}", path, snapshot.substr(0, 8),
                                    text::human_bytes(most)),
                        "the snapshot is not one of this program's; leave it alone");
        return content;
    } catch (const Error& error) {
        if (error.code() != Code::program || error.message().find(no_such_file) == std::string::npos) throw;
        throw Error(Code::not_found, fmt::format("snapshot {} has no {}", snapshot.substr(0, 8), path),
                    "it is not one of this program's backups");
    }
}

void Restic::verify_words(std::vector<std::string> words) const {
    ProcessSpec wanted = spec(std::move(words));
    wanted.deadline = longest_run;
    try {
        locked_call(wanted, "the repository is damaged");
    } catch (const Error& error) {
        if (error.code() != Code::program) throw;
        throw Error(
            Code::io, error.message(),
            "keep what is there, and see 'restic check' for what is damaged; the next backups store it anew");
    }
}

void Restic::verify(std::optional<unsigned> percent) const {
    std::vector<std::string> words{"--quiet", "check"};
    if (percent) words.push_back(fmt::format("--read-data-subset={}%", *percent));
    verify_words(std::move(words));
}

void Restic::verify_part(unsigned part, unsigned of) const {
    verify_words({"--quiet", "check", fmt::format("--read-data-subset={}/{}", part, of)});
}

void Restic::remove_by(const ProcessSpec& wanted, std::string_view doing) const {
    ProcessResult result = call(wanted);
    if (says(result, "403 Forbidden") || says(result, "method not allowed"))
        throw Error(Code::denied,
                    fmt::format("the repository {} lets nobody remove anything: it is append-only",
                                text::printable(access_.repository)),
                    "its keeper forgets and prunes there; say \"append_only\": true in backup.json");
    if (!result.ok() && is_locked(result)) result = locked_call(wanted, doing);
    require_success(result, doing);
}

void Restic::forget(const std::vector<std::string>& snapshots) const {
    constexpr std::size_t most_at_once = 500; // of their ids in one command line
    for (std::size_t done = 0; done < snapshots.size(); done += most_at_once) {
        std::vector<std::string> words{"--quiet", "forget"};
        const auto first = snapshots.begin() + static_cast<std::ptrdiff_t>(done);
        const auto count = static_cast<std::ptrdiff_t>(std::min(most_at_once, snapshots.size() - done));
        words.insert(words.end(), first, first + count);
        remove_by(spec(std::move(words)), "restic cannot forget snapshots");
    }
}

void Restic::prune() const {
    ProcessSpec wanted = spec({"--quiet", "prune"});
    wanted.deadline = longest_run;
    remove_by(wanted, "restic cannot prune the repository");
}

std::vector<Key> Restic::keys() const {
    const auto result = answer_to(looking({"--json", "key", "list"}), "restic cannot list the keys");
    return parse_keys(result.out);
}

void Restic::add_key(const std::filesystem::path& pipe, const std::function<void()>& feed) const {
    ProcessSpec wanted = spec({"--quiet", "key", "add", "--new-password-file=" + pipe.string()});
    wanted.check = [&] {
        if (check_) check_();
        feed();
    };
    locked_call(wanted, "restic cannot add a key");
}

void Restic::remove_key(const std::string& id) const {
    locked_call(spec({"--quiet", "key", "remove", id}), "restic cannot remove the key");
}

std::string Restic::master_key() const {
    return answer_to(looking({"--json", "cat", "masterkey"}), "restic cannot read the master key").out;
}

/// restic reads each file in `keys`, so that the file comes there whole.
void Restic::put_key_file(const std::string& id, const std::string& content) const {
    constexpr const char* script = R"(umask 277 && cd "$0" && rm -f new-key && cat >new-key && sync new-key &&
                                      mv new-key "keys/$1" && sync keys)";
    ProcessSpec wanted = as_user("/bin/sh", {"-c", script, access_.repository, id});
    wanted.input = content;
    const ProcessResult result = call(wanted);
    if (!result.ok())
        throw Error(Code::io, "the repository's key cannot be written: " + words_of(result),
                    "see that restic's user may write to " + access_.repository);
}

ProcessSpec Restic::storing(const BackupCall& call) const {
    std::vector<std::string> words{"--json", "backup", "--host=" + call.host};
    for (const std::string& tag : call.tags) words.push_back("--tag=" + tag);
    words.push_back(call.parent.empty() ? "--force" : "--parent=" + call.parent);
    words.push_back(".");
    ProcessSpec wanted = spec(std::move(words));
    wanted.deadline = longest_run;
    wanted.output_cap = 1u << 16;
    wanted.folder.clear();
    return wanted;
}

Stored Restic::stored(const ProcessResult& result, const std::string& summary_line) const {
    if (is_incomplete(result))
        throw Error(Code::io, "the backup lacks what could not be read: " + words_of(result),
                    "see why the disk cannot be read; the next backup tries again");
    require_success(result, "restic cannot store the backup");
    return parse_stored(summary_line);
}

DiskLook Restic::look(const FrozenDisk& disk, const std::function<void()>& check) const {
    return backup::look({disk}, check).front();
}

bool Restic::shows_views() const {
    return can_mount_views();
}

Stored Restic::store(View view, const BackupCall& call, const std::function<void()>& check) const {
    view.user = access_.user;
    ProcessSpec inside = storing(call);
    std::string summary;
    inside.on_line = [&](std::string_view line) {
        if (read_backup_line(line, call.progress)) summary = line;
    };
    inside.check = check;
    const ProcessResult result = run(within_view(view, std::move(inside)));
    const std::string trouble = helper_words(result);
    if (!view.copy_to.empty() && trouble.find("No space left on device") != trouble.npos)
        throw Error(Code::no_room, trouble, "make room there, or give this host /dev/fuse");
    if (!trouble.empty())
        throw Error(Code::io,
                    fmt::format("the disk {} cannot be read: {}", view.disks.front().file.string(), trouble),
                    "see that nobody else has it open");
    return stored(result, summary);
}

ProcessSpec Restic::dumping(const std::string& snapshot) const {
    ProcessSpec wanted = spec({"--quiet", "dump", "--archive=tar", snapshot, "/"});
    wanted.deadline = longest_run;
    wanted.output_cap = 1u << 16;
    return wanted;
}

std::string Restic::fill(const std::string& snapshot, View view, const std::function<void()>& check) const {
    view.user = access_.user;
    ProcessSpec inside = dumping(snapshot);
    inside.check = check;
    const ProcessResult result = run(filling(view, std::move(inside)));
    std::string trouble = helper_words(result);
    if (trouble.empty()) require_success(result, "restic cannot read the backup");
    return trouble;
}

} // namespace blockhost::backup
