// Looks at the host's own files; nothing here loads, connects or asks a name service.
#include "host/capability.hpp"

#include "base/files.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <grp.h>
#include <memory>
#include <pwd.h>
#include <string_view>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <vector>

namespace blockhost::host {

namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
    std::error_code ignored;
    return fs::exists(path, ignored);
}

/// The words of the first "flags" line of /proc/cpuinfo.
std::vector<std::string> cpu_flags(const fs::path& cpuinfo) {
    auto content = files::read(cpuinfo);
    if (!content) return {};
    for (const std::string& line : text::split(*content, '\n')) {
        std::size_t colon = line.find(':');
        if (colon != line.npos && text::trim(std::string_view(line).substr(0, colon)) == "flags")
            return text::split(line.substr(colon + 1), ' ');
    }
    return {};
}

using Stream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

Stream open_stream(const char* path) {
    return {std::fopen(path, "re"), std::fclose};
}

std::optional<Account> account(std::string_view name) {
    auto users = open_stream("/etc/passwd");
    if (!users) return std::nullopt;
    std::array<char, 16384> strings{};
    struct passwd entry {};
    struct passwd* found = nullptr;
    while (fgetpwent_r(users.get(), &entry, strings.data(), strings.size(), &found) == 0)
        if (name == found->pw_name) return Account{found->pw_uid, found->pw_gid};
    return std::nullopt;
}

} // namespace

bool kvm_works(const fs::path& root) {
    if (!is_there(root / "dev/kvm")) return false;
    auto flags = cpu_flags(root / "proc/cpuinfo");
    return std::any_of(flags.begin(), flags.end(),
                       [](const std::string& flag) { return flag == "vmx" || flag == "svm"; });
}

CpuWeightScale cpu_weight_scale(const fs::path& root) {
    const bool unified = is_there(root / "sys/fs/cgroup/cgroup.controllers");
    return unified ? CpuWeightScale{1, 100} : CpuWeightScale{2, 1024};
}

std::optional<fs::path> file_below(const fs::path& device) {
    struct stat found {};
    if (stat(device.c_str(), &found) != 0 || !S_ISBLK(found.st_mode)) return std::nullopt;
    const std::string number =
        std::to_string(major(found.st_rdev)) + ":" + std::to_string(minor(found.st_rdev));
    const auto file = files::read(fs::path("/sys/dev/block") / number / "loop/backing_file");
    if (!file) return std::nullopt;
    return fs::path(text::trim(*file));
}

std::optional<Account> qemu_account() {
    return account("libvirt-qemu");
}

std::optional<Account> blockhost_account() {
    return account("blockhost");
}

std::optional<gid_t> group_id(const std::string& name) {
    auto groups = open_stream("/etc/group");
    if (!groups) return std::nullopt;
    std::vector<char> strings(1 << 18); // a line names every member of its group
    struct group entry {};
    struct group* found = nullptr;
    while (fgetgrent_r(groups.get(), &entry, strings.data(), strings.size(), &found) == 0)
        if (name == found->gr_name) return found->gr_gid;
    return std::nullopt;
}

} // namespace blockhost::host
