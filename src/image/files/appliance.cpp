// SPDX-License-Identifier: MIT
#include "image/files/appliance.hpp"

#include "base/accounts.hpp"
#include "base/error.hpp"
#include "base/files/given_file.hpp"
#include "base/module.hpp"
#include "base/text/text.hpp"
#include "host/capability.hpp"
#include "image/programs.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::image {

namespace {

using namespace std::chrono_literals;

constexpr const char* script_name = "copy-out.pl";
constexpr const char* scratch_name = "t";
constexpr const char* user_name = "nobody";
constexpr Tool shell{"/bin/sh", "dash"}, perl{"/usr/bin/perl", "perl"},
    qemu_nbd{"/usr/bin/qemu-nbd", "qemu-utils"};
/// guestfs-tools needs libguestfs and its module for Perl.
constexpr Tool guestfs{"/usr/bin/virt-customize", "guestfs-tools"};
constexpr auto patience = 900s;
constexpr std::uint64_t most_memory = 4ull << 30;
constexpr std::uint64_t kept_free = 64u << 20;

/// A shell script. Root serves the image $1 read-only on a socket in the folder $0. The folder is then
/// mounted as /tmp, and the remaining arguments are the program to run. The end of the PID namespace ends
/// everything.
constexpr const char* behind_socket = R"(umask 000
qemu-nbd --fork --persistent --read-only --format=qcow2 --shared=8 --socket="$0/disk.sock" "$1" || exit
umask 077
shift
mount --bind "$0" /tmp && exec "$@")";

/// A number of the report.
std::uint64_t number(std::string_view word) {
    const auto value = text::parse_int(word);
    if (!value || *value < 0) throw Error(Code::program, "libguestfs answers " + text::printable(word));
    return static_cast<std::uint64_t>(*value);
}

std::string from_hex(std::string_view digits) {
    constexpr int base = 16;
    std::string bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        const std::string two(digits.substr(i, 2));
        if (!text::is_hex(two, 2, 2))
            throw Error(Code::program, "libguestfs answers " + text::printable(digits));
        bytes += static_cast<char>(std::stoi(two, nullptr, base));
    }
    return bytes;
}

void require_one_system(std::uint64_t count) {
    if (count == 1) return;
    throw Error(Code::invalid,
                count == 0 ? "no operating system is found on the disk"
                           : fmt::format("{} operating systems are on the disk", count),
                "'blockhost-libvirt backup extract' restores the disk as an image");
}

Error missing(const std::string& path, const std::vector<std::string>& unmounted) {
    return Error(Code::not_found, "the backup has no " + text::printable(path),
                 unmounted.empty()
                     ? "see how it is spelt; another backup may have it"
                     : fmt::format("the guest's {} cannot be mounted; 'blockhost-libvirt backup extract' "
                                   "restores the disk as an image",
                                   text::printable(text::join(unmounted, ", "))));
}

GuestPath path_of(const std::vector<std::string>& words, const std::string& path) {
    const std::string& kind = words[1];
    if (kind == "other")
        throw Error(Code::wrong_state,
                    text::printable(path) + " is neither a file nor a folder nor a symbolic link",
                    "devices, pipes and sockets are not restored");
    if (kind == "folder" && words.size() == 2) return {.kind = GuestPath::Kind::folder};
    if (kind == "link" && words.size() == 3)
        return {.kind = GuestPath::Kind::link, .target = from_hex(words[2])};
    if (kind == "file" && words.size() == 5)
        return {.kind = GuestPath::Kind::file,
                .bytes = number(words[2]),
                .mode = static_cast<mode_t>(number(words[3])),
                .mtime = text::parse_int(words[4]).value_or(0)};
    throw Error(Code::program, "libguestfs answers " + text::printable(text::join(words, " ")));
}

/// The folder that the unprivileged user sees as /tmp.
Folder make_scratch(const Folder& bench) {
    const auto user = account_named(user_name);
    if (!user) throw Error(Code::config, std::string("there is no user ") + user_name, "make it anew");
    Folder scratch = bench.make_sub(scratch_name, 0700);
    const Folder contents = scratch.make_sub(contents_folder, 0700);
    for (const Folder* each : {&contents, static_cast<const Folder*>(&scratch)})
        if (fchown(each->fd(), user->uid, user->gid) != 0)
            throw errno_error("cannot give away", each->path().string(), errno);
    return scratch;
}

/// Another user, with no privilege, and only KVM's group. The kernel forgets with the change of the user that
/// the program ends with its parent.
std::vector<std::string> as_nobody() {
    const auto user = account_named(user_name);
    struct stat kvm {};
    const bool has_kvm = host::kvm_works() && stat("/dev/kvm", &kvm) == 0;
    return {"/usr/bin/unshare",
            "--net",
            "--ipc",
            "--uts",
            "--",
            "/usr/bin/setpriv",
            fmt::format("--reuid={}", user->uid),
            fmt::format("--regid={}", user->gid),
            has_kvm ? fmt::format("--groups={}", kvm.st_gid) : "--clear-groups",
            "--pdeathsig=KILL",
            "--no-new-privs",
            "--inh-caps=-all",
            "--bounding-set=-all",
            "--",
            "/usr/bin/prlimit",
            fmt::format("--as={}", most_memory),
            "--core=0",
            "--"};
}

std::string script() {
    constexpr std::size_t most = 64u << 10;
    const auto text = files::read_given(data_file(script_name).string(), most);
    if (!text)
        throw Error(Code::program, std::string("the script ") + script_name + " is missing",
                    "install the package blockhost-provisioner-libvirt anew");
    return *text;
}

Job job_for(const Folder& scratch, const std::string& image, const std::vector<std::string>& paths) {
    std::vector<std::string> words{"-c", behind_socket, scratch.path().string(), image};
    for (std::string& word : as_nobody()) words.push_back(std::move(word));
    words.insert(words.end(), {perl.path, "-", "/tmp/disk.sock", std::string("/tmp/") + contents_folder});
    words.insert(words.end(), paths.begin(), paths.end());
    Job job{
        .tool = shell,
        .arguments = std::move(words),
        .limit = patience,
        .doing = "read the file systems of the disk",
        // The virtual machine is made anew each time: what a tenant's did is not there for the next one's.
        .environment = {"LIBGUESTFS_BACKEND=direct", "TMPDIR=/tmp", "LIBGUESTFS_CACHEDIR=/tmp",
                        "XDG_RUNTIME_DIR=/tmp", "HOME=/tmp"},
        .input = script(), // that user need not be able to read where it is
        .folder = "/"};
    if (!host::kvm_works()) job.environment.emplace_back("LIBGUESTFS_BACKEND_SETTINGS=force_tcg");
    return job;
}

/// What is copied must not fill the file system.
void require_room(const Folder& bench) {
    if (files::room_on(bench.fd(), bench.path().string()).free >= kept_free) return;
    throw Error(Code::no_room, "there is no more room for what is restored in " + bench.path().string(),
                "free room on its file system, or restore fewer files");
}

} // namespace

GuestReport parse_report(std::string_view text, const std::vector<std::string>& paths) {
    std::vector<std::optional<GuestPath>> found(paths.size());
    GuestReport report;
    bool has_system = false;
    for (const std::string& line : text::split(text, '\n')) {
        const auto words = text::split(line, ' ');
        if (line.empty()) continue;
        if (words.size() < 2) throw Error(Code::program, "libguestfs answers " + text::printable(line));
        if (words[0] == "system") {
            require_one_system(number(words[1]));
            has_system = true;
        } else if (words[0] == "unmounted") {
            report.unmounted.push_back(from_hex(words[1]));
        } else {
            const std::uint64_t index = number(words[0]);
            if (index >= paths.size() || found[index])
                throw Error(Code::program, "libguestfs answers " + text::printable(line));
            if (words[1] == "missing") throw missing(paths[index], report.unmounted);
            found[index] = path_of(words, paths[index]);
        }
    }
    if (!has_system || !std::ranges::all_of(found, [](const auto& each) { return each.has_value(); }))
        throw Error(Code::program, "libguestfs did not tell of every path", "try again");
    for (auto& each : found) report.paths.push_back(std::move(*each));
    return report;
}

std::vector<GuestPath> copy_out(const Folder& bench, const std::string& image,
                                const std::vector<std::string>& paths, Progress& progress,
                                const std::function<void()>& check) {
    require({guestfs, perl, qemu_nbd});
    require_kernel();
    const Folder scratch = make_scratch(bench);
    const Run run{progress, [&] {
                      check();
                      require_room(bench);
                  }};
    const Job job = job_for(scratch, (bench.path() / image).string(), paths);
    const ProcessResult result = attempt(run, job);
    if (!result.ok())
        throw failure_of({.tool = perl, .arguments = {}, .limit = job.limit, .doing = job.doing}, result);
    GuestReport report = parse_report(result.out, paths);
    for (const std::string& point : report.unmounted)
        progress.warn(fmt::format("the guest's {} cannot be mounted, and nothing of it is restored",
                                  text::printable(point)));
    return std::move(report.paths);
}

} // namespace blockhost::image
