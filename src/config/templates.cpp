// SPDX-License-Identifier: MIT
// Finds the current template; the lock that keeps it.
#include "config/templates.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost {

std::filesystem::path template_image(const Paths& paths) {
    for (const char* name : {template_stand_in, template_link}) {
        std::error_code error;
        auto real = std::filesystem::canonical(paths.templates.string(name), error);
        if (!error) return real;
        if (error != std::errc::no_such_file_or_directory)
            throw Error(Code::config,
                        "cannot use template " + paths.templates.string(name) + ": " + error.message());
    }
    throw Error(Code::not_found, "Template not found: " + paths.templates.string(template_link),
                "build it with blockhost-build-template");
}

std::optional<std::filesystem::path> template_version(const Paths& paths, std::string_view version) {
    const std::string file = std::string(version) + ".qcow2";
    const bool is_plain = !version.empty() && file.find('/') == file.npos && !file.starts_with('.');
    const auto folder = is_plain ? paths.templates.open() : std::nullopt;
    if (!folder || folder->kind(file) != Folder::Kind::file) return std::nullopt;
    return folder->path() / file;
}

namespace {

[[noreturn]] void not_roots(const std::filesystem::path& path, const std::string& why) {
    const std::string shown = text::printable(path.string());
    throw Error(Code::denied, shown + " " + why,
                "templates are root's alone: look at it, then 'chown root " + shown + "' and 'chmod go-w " +
                    shown + "'");
}

struct stat look_at(int fd, const std::filesystem::path& path) {
    struct stat seen {};
    if (fstat(fd, &seen) != 0) throw errno_error("cannot look at", path.string(), errno);
    return seen;
}

/// Throws when somebody has the file open for writing: taking the file does not end that.
void require_no_writer(int fd, const std::filesystem::path& path) {
    const bool refused = fcntl(fd, F_SETLEASE, F_RDLCK) != 0;
    if (refused && errno == EAGAIN) not_roots(path, "is open for writing");
    if (!refused) fcntl(fd, F_SETLEASE, F_UNLCK);
}

/// If `loser`, not this user, owns the file, takes it over with `mode`; else only denies others writing.
void take(int fd, const std::filesystem::path& path, uid_t loser, mode_t mode) {
    constexpr mode_t all = 07777, writable_by_others = S_IWGRP | S_IWOTH;
    const struct stat seen = look_at(fd, path);
    const bool lost = seen.st_uid == loser && loser != geteuid();
    const mode_t wanted = lost ? mode : seen.st_mode & all & ~writable_by_others;
    if (lost && fchown(fd, geteuid(), getegid()) != 0) not_roots(path, "is not root's");
    if ((seen.st_mode & all) != wanted && fchmod(fd, wanted) != 0)
        not_roots(path, "can be written to by others");
    if (lost && S_ISREG(seen.st_mode)) require_no_writer(fd, path);
}

Folder open_state(const Paths& paths) {
    auto state = paths.state.open();
    if (!state) throw Error(Code::not_found, "there is no folder " + paths.state.string());
    return std::move(*state);
}

constexpr std::size_t manifest_max = 1 << 20;

/// Accounts of base-passwd, systemd, and the packages in Debian's cloud images and the project's recipe.
constexpr std::string_view usual_accounts =
    "_apt _chrony _ssh adm audio backup bin cdrom crontab daemon dialout dip disk fax floppy "
    "games gnats input irc kmem kvm list lp mail man messagebus mlocate netdev news nobody "
    "nogroup ntp ntpsec operator plocate plugdev polkitd proxy rdma render root sasl sgx "
    "shadow src ssh sshd staff sudo sync sys syslog systemd-coredump systemd-journal "
    "systemd-network systemd-oom systemd-resolve systemd-timesync tape tcpdump tty users "
    "utmp uucp uuidd video voice www-data";

std::set<std::string> as_set(const std::vector<std::string>& names) {
    return {names.begin(), names.end()};
}

} // namespace

Folder take_templates(const Paths& paths) {
    const Folder state = open_state(paths);
    const std::filesystem::path spelled = paths.templates.string();
    struct stat link {};
    const bool is_link = fstatat(state.fd(), spelled.filename().c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0 &&
                         S_ISLNK(link.st_mode);
    if (is_link && link.st_uid != geteuid()) not_roots(spelled, "is a link");
    auto templates = paths.templates.open();
    if (!templates) throw Error(Code::not_found, "there is no folder " + spelled.string());
    take(templates->fd(), spelled, look_at(state.fd(), paths.state.string()).st_uid, 0755);
    if (look_at(templates->fd(), spelled).st_uid != geteuid()) not_roots(spelled, "is not root's");
    return std::move(*templates);
}

void take_image(const Paths& paths, const Folder& templates, const std::string& name) {
    const Fd file = templates.open_file(name, O_RDONLY);
    if (!file) throw Error(Code::not_found, "there is no image " + (templates.path() / name).string());
    if (look_at(file.get(), templates.path() / name).st_nlink != 1)
        not_roots(templates.path() / name, "has another name too");
    take(file.get(), templates.path() / name, look_at(open_state(paths).fd(), paths.state.string()).st_uid,
         0444);
}

std::set<std::string> template_accounts(const Paths& paths, const std::filesystem::path& image) {
    auto manifest = image;
    const auto place = paths.state.file_at(manifest.replace_extension(".json"));
    const auto content = place ? place->folder.read(place->name, manifest_max) : std::nullopt;
    const auto document = content ? json::parse(*content, manifest.string()) : boost::json::value();
    const auto names = json::strings_in(document, "accounts");
    return as_set(names.empty() ? text::split(usual_accounts, ' ') : names);
}

FileLock hold_templates(const Paths& paths, FileLock::Mode mode, const Deadline& deadline,
                        const Interruption& interruption) {
    const auto state = paths.state.open(); // exists: every verb that changes something makes it
    if (!state) throw Error(Code::io, "there is no folder " + paths.state.string());
    auto lock = FileLock::take(state->open_file("templates.lock", O_RDWR | O_CREAT, 0660), mode, deadline,
                               [&] { return interruption.reason() != Interruption::Reason::none; });
    if (lock) return std::move(*lock);
    interruption.check();
    throw Error(Code::busy,
                mode == FileLock::Mode::shared ? "template versions are being removed by another process"
                                               : "a create is making a disk on a template",
                "try again in a moment");
}

} // namespace blockhost
