// SPDX-License-Identifier: MIT
/// See libvirt_installation.hpp.

#include "host/libvirt_installation.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace blockhost::host {
namespace {

namespace fs = std::filesystem;

/// The ELF header up to the machine field; nothing when it is not an ELF file.
using Kind = std::array<unsigned char, EI_NIDENT + 4>;
std::optional<Kind> kind_of(const fs::path& path) {
    const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    Kind kind{};
    if (!fd || ::read(fd.get(), kind.data(), kind.size()) != static_cast<ssize_t>(kind.size()))
        return std::nullopt;
    const std::string_view magic(reinterpret_cast<const char*>(kind.data()), SELFMAG);
    return magic == ELFMAG ? std::optional(kind) : std::nullopt;
}

bool is_for_this_machine(const fs::path& library) {
    static const auto own = kind_of("/proc/self/exe");
    const auto found = kind_of(library);
    constexpr std::size_t machine = EI_NIDENT + 2; // behind the identification and e_type
    return found &&
           (!own || ((*found)[EI_CLASS] == (*own)[EI_CLASS] && (*found)[machine] == (*own)[machine] &&
                     (*found)[machine + 1] == (*own)[machine + 1]));
}

std::vector<fs::path> library_folders(const fs::path& root) {
    std::vector<fs::path> folders;
    if (const char* first = std::getenv("LD_LIBRARY_PATH"))
        for (const std::string& folder : text::split(first, ':'))
            if (!folder.empty()) folders.emplace_back(folder);
    for (const char* folder : {"usr/local/lib", "usr/lib", "usr/lib64"}) {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(root / folder, ignored))
            if (entry.path().filename().native().find("-linux-gnu") != std::string::npos)
                folders.push_back(entry.path()); // Debian's multiarch: one folder per architecture
        folders.push_back(root / folder);
    }
    return folders;
}

Instant instant_of(const timespec& time) {
    return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_nsec / 1000));
}

bool has_socket(const fs::path& path) {
    std::error_code ignored;
    return fs::is_socket(path, ignored);
}

} // namespace

std::optional<fs::path> find_library(const std::string& file_name, const fs::path& root) {
    for (const fs::path& folder : library_folders(root))
        if (is_for_this_machine(folder / file_name)) return folder / file_name;
    return std::nullopt;
}

std::optional<fs::path> daemon_socket(const std::string& uri, const fs::path& root) {
    constexpr std::string_view key = "socket=";
    if (const auto at = uri.find(key); at != uri.npos) {
        const auto begin = at + key.size();
        const fs::path named = uri.substr(begin, uri.find('&', begin) - begin);
        return has_socket(named) ? std::optional(named) : std::nullopt;
    }
    for (const char* name : {"virtqemud-sock", "libvirt-sock"}) // in the order of libvirt's library
        if (const auto path = root / "run/libvirt" / name; has_socket(path)) return path;
    return std::nullopt;
}

std::optional<Instant> daemon_started(const fs::path& root) {
    for (const std::string name : {"libvirtd", "virtqemud"}) {
        try {
            const auto file = root / "run" / (name + ".pid");
            const auto content = files::read(file);
            const auto pid = content ? text::parse_int(text::trim(*content)) : std::nullopt;
            const auto command =
                pid ? files::read(root / "proc" / std::to_string(*pid) / "comm") : std::nullopt;
            struct stat found {};
            if (command && text::trim(*command) == name && ::stat(file.c_str(), &found) == 0)
                return instant_of(found.st_mtim);
        } catch (const Error&) { // unreadable: the same as missing
        }
    }
    return std::nullopt;
}

VetoHook veto_hook(std::optional<Instant> asked, const fs::path& root) {
    VetoHook hook{VetoHook::State::absent, root / "etc/libvirt/hooks/qemu.d/blockhost"};
    struct stat entry {
    }, program{};
    const bool there = ::lstat(hook.path.c_str(), &entry) == 0 && ::stat(hook.path.c_str(), &program) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR)
        throw errno_error("cannot look at", hook.path.native(), errno);
    if (!there) return hook;
    hook.state = VetoHook::State::unusable;
    constexpr mode_t executable = 0111;
    if (!S_ISREG(program.st_mode) || (program.st_mode & executable) == 0) return hook;
    // A daemon that starts later reads its hooks then.
    const auto started = daemon_started(root);
    const bool noticed = !started || instant_of(entry.st_ctim) <= *started || (asked && *asked >= *started);
    hook.state = noticed ? VetoHook::State::ready : VetoHook::State::unnoticed;
    return hook;
}

std::optional<Instant> changed_at(const Folder& folder, std::string_view name) {
    struct stat found {};
    return fstatat(folder.fd(), std::string(name).c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0
               ? std::optional(instant_of(found.st_mtim))
               : std::nullopt;
}

} // namespace blockhost::host
