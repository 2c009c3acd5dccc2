// SPDX-License-Identifier: MIT
// Reads /proc/locks.
#include "store/lock_holder.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <charconv>
#include <fcntl.h>
#include <fmt/format.h>
#include <set>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace blockhost::store {

namespace {

template<class Number>
bool read_number(std::string_view text, Number& number, int base) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc() && end == text.data() + text.size();
}

std::string name_of_process(int pid) {
    try {
        const auto comm = files::read(std::filesystem::path(fmt::format("/proc/{}/comm", pid)), 4096);
        return comm ? text::printable(text::trim(*comm)) : std::string();
    } catch (const Error&) {
        return {}; // it has ended
    }
}

} // namespace

std::optional<HeldLock> held_write_lock(std::string_view line) {
    // 1: POSIX  ADVISORY  WRITE 4711 fd:01:1234567 120 120
    std::vector<std::string> words;
    for (std::string& word : text::split(line, ' '))
        if (!word.empty()) words.push_back(std::move(word));
    if (words.size() != 8 || words[1] != "POSIX" || words[3] != "WRITE") return std::nullopt;
    const auto file = text::split(words[5], ':');
    HeldLock lock;
    if (file.size() != 3 || !read_number(words[4], lock.pid, 10) || !read_number(file[0], lock.major, 16) ||
        !read_number(file[1], lock.minor, 16) || !read_number(file[2], lock.inode, 10) || lock.pid <= 0)
        return std::nullopt;
    return lock;
}

std::vector<std::string> lock_holders(const Folder& folder, const std::vector<std::string>& names) {
    std::optional<std::string> locks;
    try {
        locks = files::read(std::filesystem::path("/proc/locks"));
    } catch (const Error&) {
        return {}; // a message without the holder is better than none
    }
    std::set<int> pids;
    for (const std::string& line : text::split(locks.value_or(""), '\n')) {
        const auto lock = held_write_lock(line);
        for (const std::string& name : names) {
            struct stat file {};
            if (!lock || fstatat(folder.fd(), name.c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0) continue;
            if (file.st_ino == lock->inode && major(file.st_dev) == lock->major &&
                minor(file.st_dev) == lock->minor)
                pids.insert(lock->pid);
        }
    }
    std::vector<std::string> holders;
    for (const int pid : pids) {
        const std::string name = name_of_process(pid);
        const std::string_view self = pid == getpid() ? ", this process itself" : "";
        holders.push_back(name.empty() ? fmt::format("process {}{}", pid, self)
                                       : fmt::format("process {} ({}{})", pid, name, self));
    }
    return holders;
}

} // namespace blockhost::store
