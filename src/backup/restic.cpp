// SPDX-License-Identifier: MIT
// Runs restic, and reads what it answers.
#include "backup/restic.hpp"

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

// restic's exit statuses; before 0.17 everything but success and an incomplete backup is `failed`.
constexpr int incomplete = 3, no_repository = 10, locked = 11, wrong_password = 12;

Error strange(std::string_view what) {
    return Error(Code::program, "restic answers otherwise than expected: " + text::printable(what),
                 "restic " + std::string(oldest_restic) + " or later is driven; see 'restic version'");
}

bj::value parsed(std::string_view text) {
    try {
        return json::parse(text, "restic's answer");
    } catch (const Error& error) {
        throw strange(error.message());
    }
}

bool is_hex(std::string_view text, std::size_t least, std::size_t most) {
    return text.size() >= least && text.size() <= most &&
           std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::array<unsigned, 3> parts_of(std::string_view version) {
    std::array<unsigned, 3> parts{};
    const char *at = version.data(), *end = at + version.size();
    for (unsigned& part : parts) {
        const auto [next, wrong] = std::from_chars(at, end, part);
        if (wrong != std::errc()) break;
        at = next;
        if (at == end || *at != '.') break;
        ++at;
    }
    return parts;
}

/// restic's last words, without its question whether there is a repository at all.
std::string words_of(const ProcessResult& result) {
    std::string said;
    for (const std::string& line : text::last_lines(result.err, 6, 400)) {
        if (line.starts_with("Is there a repository at the following location?")) break;
        said = line;
        if (line.starts_with("Fatal: ") || line.find("already locked") != line.npos) break;
    }
    for (std::string_view prefix : {"Fatal: ", "error: ", "unable to create lock in backend: "})
        if (said.starts_with(prefix)) said.erase(0, prefix.size());
    return said.empty() ? fmt::format("it ended with status {} and no word", result.exit_status) : said;
}

bool says(const ProcessResult& result, std::string_view words) {
    return result.err.find(words) != result.err.npos;
}

bool is_locked(const ProcessResult& result) {
    return result.exit_status == locked || says(result, "repository is already locked");
}

std::uint64_t count_of(const bj::value& document, std::string_view key) {
    const auto count = json::count_in(document, key);
    if (!count) throw strange(fmt::format("its summary has no count \"{}\"", key));
    return *count;
}

Snapshot snapshot_of(const bj::value& value) {
    Snapshot snapshot;
    snapshot.id = json::string_or(value, "id", "");
    const auto taken_at = parse_instant(json::string_or(value, "time", ""));
    if (!is_hex(snapshot.id, 64, 64) || !taken_at) throw strange("a snapshot without id or time");
    snapshot.taken_at = *taken_at;
    snapshot.host = json::string_or(value, "hostname", "");
    snapshot.tags = json::strings_in(value, "tags");
    return snapshot;
}

} // namespace

std::optional<std::string> Snapshot::tag(std::string_view key) const {
    std::optional<std::string> found;
    for (const std::string& each : tags) {
        if (!each.starts_with(std::string(key) + "=")) continue;
        if (found) return std::nullopt;
        found = each.substr(key.size() + 1);
    }
    return found;
}

std::vector<Snapshot> parse_snapshots(std::string_view text) {
    const bj::value document = parsed(text);
    if (document.is_null()) return {};
    if (!document.is_array()) throw strange("its list of snapshots is no list");
    std::vector<Snapshot> all;
    for (const bj::value& each : document.get_array()) all.push_back(snapshot_of(each));
    return all;
}

std::optional<Node> parse_node(std::string_view line) {
    const bj::value document = parsed(line);
    const std::string kind = json::string_or(document, "struct_type", "");
    if (kind == "snapshot") return std::nullopt;
    Node node{json::string_or(document, "path", ""), json::string_or(document, "type", "") == "file",
              json::count_in(document, "size").value_or(0)};
    if (kind != "node" || !node.path.starts_with('/')) throw strange("a file without a path");
    return node;
}

bool read_backup_line(std::string_view line, const std::function<void(const Progressed&)>& progress) {
    if (!line.starts_with('{')) return false;
    const bj::value document = parsed(line);
    const std::string type = json::string_or(document, "message_type", "");
    if (type == "status" && progress) {
        Progressed how{json::count_in(document, "bytes_done").value_or(0),
                       json::count_in(document, "total_bytes").value_or(0)};
        if (const auto left = json::count_in(document, "seconds_remaining"))
            how.left = std::chrono::seconds(std::min<std::uint64_t>(*left, 1u << 30));
        progress(how);
    }
    return type == "summary";
}

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

ProcessSpec Restic::spec(std::vector<std::string> words) const {
    std::vector<std::string> all{"--repo=" + access_.repository,
                                 access_.cache.empty() ? "--no-cache"
                                                       : "--cache-dir=" + access_.cache.string()};
    if (!access_.key.empty()) all.push_back("--key-hint=" + access_.key);
    all.insert(all.end(), words.begin(), words.end());
    ProcessSpec spec = as_user(access_.program, std::move(all));
    spec.environment = {"RESTIC_PROGRESS_FPS=1"};
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

Error Restic::failure(const ProcessResult& result, std::string_view doing) const {
    const std::string where = text::printable(access_.repository), words = words_of(result);
    const auto failed = [&](Code code, std::string hint) {
        return Error(code, fmt::format("{}: {}", doing, words), std::move(hint));
    };
    if (result.exit_status == wrong_password || says(result, "wrong password or no key found"))
        return Error(Code::denied, fmt::format("the repository {} does not take the password", where),
                     "it is on the repository's recovery sheet");
    if (is_locked(result)) return failed(Code::busy, "wait until that process has ended");
    if (says(result, "no space left on device") || says(result, "disk quota exceeded"))
        return failed(Code::no_room, "make room in the repository " + where + ", or have it pruned");
    if (says(result, "permission denied"))
        return failed(Code::denied, "let restic's user enter and write the repository " + where);
    if (says(result, "config file already exists") || says(result, "already initialized"))
        return Error(Code::exists, "there is a repository at " + where + " already",
                     "give its password, or name another place");
    const bool no_file = says(result, "no such file or directory") || says(result, "does not exist");
    if (result.exit_status == no_repository || (says(result, "Is there a repository at") && no_file))
        return Error(Code::not_found, "there is no repository at " + where,
                     "mount its file system; or see 'blockhost-libvirt backup setup'");
    if (says(result, "Is there a repository at") || says(result, "unable to open repository"))
        return Error(Code::io, fmt::format("the repository {} cannot be reached: {}", where, words),
                     "see whether its host and its file system answer");
    return failed(Code::program, "see what restic says of " + where);
}

void Restic::require_success(const ProcessResult& result, std::string_view doing) const {
    if (!result.ok()) throw failure(result, doing);
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
    if (!result.ok() && failure(result, doing).code() == Code::program && !says(result, no_such_file))
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
    const auto words =
        text::split(text::last_lines(result.out, 1).empty() ? "" : text::last_lines(result.out, 1)[0], ' ');
    if (!result.ok() || words.size() < 2 || words[0] != "restic") throw strange(result.out + result.err);
    if (parts_of(words[1]) < parts_of(oldest_restic))
        throw Error(
            Code::program,
            fmt::format("restic {} is too old: {} is needed", text::printable(words[1]), oldest_restic),
            "install a later restic");
    return words[1];
}

void Restic::make() const {
    require_success(call(spec({"--quiet", "init"})), "restic cannot make the repository");
}

std::string Restic::repository_id() const {
    const auto result = answer_to(looking({"--json", "cat", "config"}), "restic cannot read the repository");
    const std::string id = json::string_or(parsed(result.out), "id", "");
    if (!is_hex(id, 64, 64)) throw strange("a repository without an id");
    return id;
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
            listed = snapshot_of(parsed(line));
    };
    require_success(call(wanted), "restic cannot list a snapshot");
    if (!listed) throw strange("a list of files of no snapshot");
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
    const bj::value document = parsed(result.out);
    if (!document.is_array()) throw strange("its list of keys is no list");
    std::vector<Key> all;
    for (const bj::value& each : document.get_array()) {
        Key key{json::string_or(each, "id", ""), json::string_or(each, "userName", ""),
                json::string_or(each, "hostName", ""), json::string_or(each, "created", "")};
        if (!is_hex(key.id, 8, 64)) throw strange("a key without an id");
        const auto* current = each.as_object().if_contains("current");
        key.is_current = current != nullptr && current->is_bool() && current->get_bool();
        all.push_back(std::move(key));
    }
    return all;
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
    if (result.exit_status == incomplete)
        throw Error(Code::io, "the backup lacks what could not be read: " + words_of(result),
                    "see why the disk cannot be read; the next backup tries again");
    require_success(result, "restic cannot store the backup");
    if (summary_line.empty()) throw strange("a backup without a summary");
    const bj::value summary = parsed(summary_line);
    Stored stored{json::string_or(summary, "snapshot_id", ""),
                  count_of(summary, "total_bytes_processed"),
                  count_of(summary, "data_added"),
                  count_of(summary, "files_new"),
                  count_of(summary, "files_changed"),
                  count_of(summary, "files_unmodified")};
    if (!is_hex(stored.snapshot, 8, 64)) throw strange("a backup without a snapshot");
    return stored;
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
