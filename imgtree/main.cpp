// SPDX-License-Identifier: MIT
/// blockhost-imgtree: shows frozen disks as a folder of chunk files to one program, and to nobody else.
///
///   blockhost-imgtree look              prints what the disks of the plan hold
///   blockhost-imgtree store PROGRAM …   runs PROGRAM in the folder, and ends with its exit status
///
/// The plan is the first line of standard input; the rest is PROGRAM's input. The folder is mounted in a
/// mount namespace of this process's own: whatever kills it, no mount is left. After the mount it has no
/// privilege, and PROGRAM ends with it.

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "imgtree/tree.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <iostream>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace blockhost;
using namespace blockhost::imgtree;

constexpr int usage = 2, failed = 1;

std::string standard_input() {
    std::string all;
    char part[65536];
    for (ssize_t n; (n = read(STDIN_FILENO, part, sizeof part)) != 0;) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw errno_error("cannot read", "standard input", errno);
        all.append(part, static_cast<std::size_t>(n));
    }
    return all;
}

std::vector<NbdDisk> connect_all(const Plan& plan) {
    std::vector<NbdDisk> disks;
    for (const Disk& each : plan.disks) disks.emplace_back(each);
    return disks;
}

int look(const Plan& plan) {
    boost::json::array all;
    for (const Disk& each : plan.disks) {
        NbdDisk disk(each);
        boost::json::array looks;
        for (const backup::ChunkLook& run : disk.look())
            looks.push_back(boost::json::array{run.run.first, run.run.count, run.data, run.dirty});
        all.push_back(
            boost::json::object{{"name", each.name}, {"bytes", disk.bytes()}, {"looks", std::move(looks)}});
    }
    std::cout << boost::json::serialize(boost::json::object{{"disks", std::move(all)}}) << std::endl;
    return std::cout ? 0 : failed;
}

/// From here on no mount of this process is anybody else's.
void leave_the_hosts_mounts() {
    if (unshare(CLONE_NEWNS) != 0) throw errno_error("cannot have", "mounts of its own", errno);
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        throw errno_error("cannot part from", "the host's mounts", errno);
}

/// From here on this process ends with the one that started it.
void end_with(pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) throw Error(Code::interrupted, "whoever started this is gone");
}

/// The kernel forgets with whom a process ends when its user changes.
void drop_privileges(const Plan& plan, pid_t parent) {
    if (plan.uid != 0 && (setgroups(0, nullptr) != 0 || setresgid(plan.gid, plan.gid, plan.gid) != 0 ||
                          setresuid(plan.uid, plan.uid, plan.uid) != 0))
        throw errno_error("cannot become", "restic's user", errno);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); // PROGRAM has the same user
    end_with(parent);
}

/// In the child: never returns.
[[noreturn]] void become(char** words, const std::string& folder, int input, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) _exit(failed);
    if (dup2(input, STDIN_FILENO) < 0 || chdir(folder.c_str()) != 0) {
        std::perror("blockhost-imgtree: cannot enter the tree");
        _exit(failed);
    }
    execv(words[0], words);
    const int reason = errno;
    std::perror(words[0]);
    _exit(reason == ENOENT ? 127 : 126);
}

int wait_for(pid_t child) {
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int store(const Plan& plan, const std::string& input, char** words, pid_t parent) {
    Tree tree(plan, connect_all(plan));
    leave_the_hosts_mounts();
    Mount mount(tree, plan.mount_point);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw errno_error("cannot make", "a pipe", errno);
    Fd read_end(ends[0]), write_end(ends[1]);
    if (input.size() > 65536) throw Error(Code::invalid, "the program's input is too long");
    files::write_all(write_end.get(), input, "a pipe");
    write_end = Fd();
    const pid_t self = getpid(), child = fork();
    if (child < 0) throw errno_error("cannot start", words[0], errno);
    if (child == 0) become(words, plan.mount_point, read_end.get(), self);
    read_end = Fd();
    const Fd ended(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
    try {
        if (!ended) throw errno_error("cannot watch", words[0], errno);
        drop_privileges(plan, parent);
    } catch (...) {
        kill(child, SIGKILL);
        throw;
    }
    mount.serve(ended.get());
    const int status = wait_for(child);
    if (!tree.trouble().empty()) std::cerr << "blockhost-imgtree: " << tree.trouble() << std::endl;
    return status == 0 && !tree.trouble().empty() ? failed : status;
}

int run(int count, char** words) {
    const pid_t parent = getppid();
    end_with(parent);
    const std::string_view what = count > 1 ? words[1] : "";
    if (what != "look" && (what != "store" || count < 3)) {
        std::cerr << "usage: blockhost-imgtree look | store PROGRAM [ARGUMENT]...\n";
        return usage;
    }
    const std::string all = standard_input();
    const std::size_t end = all.find('\n');
    const Plan plan = parse_plan(std::string_view(all).substr(0, end));
    if (what == "look") return look(plan);
    return store(plan, end == all.npos ? "" : all.substr(end + 1), words + 2, parent);
}

} // namespace

int main(int count, char** words) {
    try {
        return run(count, words);
    } catch (const Error& error) {
        std::cerr << "blockhost-imgtree: " << error.what() << std::endl;
        return error.code() == Code::not_found ? 4 : failed;
    } catch (const std::exception& error) {
        std::cerr << "blockhost-imgtree: " << error.what() << std::endl;
        return failed;
    }
}
