// SPDX-License-Identifier: MIT
/// blockhost-imgtree: shows frozen disks as a folder of chunk files to one program, and to nobody else.
///
///   blockhost-imgtree look              prints what the disks of the plan hold
///   blockhost-imgtree store PROGRAM …   runs PROGRAM in the folder, and ends with its exit status
///   blockhost-imgtree fill PROGRAM …    fills empty disks from the tar archive of such a folder that PROGRAM
///   prints
///
/// The plan is the first line of standard input; the rest is PROGRAM's input. The folder is mounted in a
/// mount namespace of this process's own: whatever kills it, no mount is left. After the mount it has no
/// privilege, and PROGRAM ends with it.

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "imgtree/copy.hpp"
#include "imgtree/fill.hpp"
#include "imgtree/tree.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
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

std::vector<NbdDisk> connect_all(const Plan& plan, NbdDisk::Use use) {
    std::vector<NbdDisk> disks;
    for (const Disk& each : plan.disks) disks.emplace_back(each, use);
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
    if (getppid() != parent) throw Error(Code::interrupted, "the process that started this is gone");
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

/// A program that this process started, and that ends with it.
class Child {
  public:
    /// Runs it in `folder` with `input`; its output goes to `output`, or where this process's goes (-1).
    Child(char** words, const std::string& folder, const std::string& input, int output) {
        constexpr std::size_t fits_a_pipe = 65536;
        if (input.size() > fits_a_pipe) throw Error(Code::invalid, "the program's input is too long");
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) throw errno_error("cannot make", "a pipe", errno);
        const Fd read_end(ends[0]);
        Fd write_end(ends[1]);
        files::write_all(write_end.get(), input, "a pipe");
        write_end = Fd();
        const pid_t self = getpid();
        pid_ = fork();
        if (pid_ < 0) throw errno_error("cannot start", words[0], errno);
        if (pid_ == 0) become(words, folder, read_end.get(), output, self);
        ended_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
        if (!ended_) {
            const int reason = errno;
            kill(pid_, SIGKILL);
            wait();
            throw errno_error("cannot watch", words[0], reason);
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (reaped_) return;
        kill(pid_, SIGKILL);
        wait();
    }

    int ended() const { return ended_.get(); } ///< readable then
    int wait() {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        reaped_ = true;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

  private:
    /// In the child: never returns.
    [[noreturn]] static void become(char** words, const std::string& folder, int input, int output,
                                    pid_t parent) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        if (getppid() != parent) _exit(failed);
        // The parent answers for the folder. It may die before this process has its user, and the signal of
        // its death is then not for it to send: nothing else may keep the folder's connection open.
        constexpr unsigned first_of_ours = 3;
        if (dup2(input, STDIN_FILENO) < 0 || (output >= 0 && dup2(output, STDOUT_FILENO) < 0) ||
            close_range(first_of_ours, ~0u, 0) != 0 || chdir(folder.c_str()) != 0) {
            std::perror("blockhost-imgtree: cannot enter the folder");
            _exit(failed);
        }
        execv(words[0], words);
        const int reason = errno;
        std::perror(words[0]);
        _exit(reason == ENOENT ? 127 : 126);
    }

    pid_t pid_ = -1;
    Fd ended_;
    bool reaped_ = false;
};

/// What PROGRAM is shown does not change any more, so that it needs nobody to answer.
int store_copy(Tree& tree, const Plan& plan, const std::string& input, char** words, pid_t parent) {
    copy_out(tree, plan.copy_to);
    show_at(plan.copy_to, plan.mount_point);
    Child child(words, plan.mount_point, input, -1);
    drop_privileges(plan, parent);
    return child.wait();
}

int store(const Plan& plan, const std::string& input, char** words, pid_t parent) {
    Tree tree(plan, connect_all(plan, NbdDisk::Use::read));
    leave_the_hosts_mounts();
    if (!plan.copy_to.empty()) return store_copy(tree, plan, input, words, parent);
    Mount mount(tree, plan.mount_point);
    Child child(words, plan.mount_point, input, -1);
    drop_privileges(plan, parent);
    mount.serve(child.ended());
    const int status = child.wait();
    if (!tree.trouble().empty()) std::cerr << "blockhost-imgtree: " << tree.trouble() << std::endl;
    return status == 0 && !tree.trouble().empty() ? failed : status;
}

int fill(const Plan& plan, const std::string& input, char** words, pid_t parent) {
    Filling filling(plan, connect_all(plan, NbdDisk::Use::write));
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw errno_error("cannot make", "a pipe", errno);
    const Fd archive(ends[0]);
    Fd printed(ends[1]);
    fcntl(archive.get(), F_SETPIPE_SZ, 1 << 20); // the usual size also works, with more waits
    Child child(words, "/", input, printed.get());
    printed = Fd();
    drop_privileges(plan, parent);
    filling.read(archive.get());
    if (const int status = child.wait(); status != 0) return status;
    filling.finish();
    return 0;
}

/// How qemu-nbd is started: in between, this process may have died.
int with(char** words) {
    end_with(static_cast<pid_t>(std::strtol(words[0], nullptr, 10)));
    execv(words[1], words + 1);
    throw errno_error("cannot run", words[1], errno);
}

int run(int count, char** words) {
    const std::string_view what = count > 1 ? words[1] : "";
    constexpr int of_with = 4;
    if (what == "with" && count >= of_with) return with(words + 2);
    if (what != "look" && ((what != "store" && what != "fill") || count < 3)) {
        std::cerr
            << "usage: blockhost-imgtree look | store PROGRAM [ARGUMENT]... | fill PROGRAM [ARGUMENT]...\n";
        return usage;
    }
    const pid_t now = getppid();
    end_with(now);
    const std::string all = standard_input();
    const std::size_t end = all.find('\n');
    const Plan plan = parse_plan(std::string_view(all).substr(0, end));
    const pid_t parent = plan.caller != 0 ? plan.caller : now;
    end_with(parent);
    if (what == "look") return look(plan);
    return (what == "store" ? store : fill)(plan, end == all.npos ? "" : all.substr(end + 1), words + 2,
                                            parent);
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
