// SPDX-License-Identifier: MIT
// Runs another program under a deadline.
#include "base/process.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace blockhost {

namespace {

struct Pipe {
    Fd read_end, write_end;
};

Pipe make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw errno_error("cannot make", "a pipe", errno);
    return Pipe{Fd(ends[0]), Fd(ends[1])};
}

/// The child's stdin: /dev/null, or a pipe that this process writes to.
Pipe make_input(bool some) {
    if (some) return make_pipe();
    Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null) throw errno_error("cannot open", "/dev/null", errno);
    return Pipe{std::move(null), Fd()};
}

void set_nonblocking(const Fd& fd) {
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
}

/// posix_spawn's file actions and attributes, freed together.
struct SpawnPlan {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    SpawnPlan() {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;
};

/// Gives the child its own process group, no blocked signal, and every signal at its default (this process
/// ignores SIGPIPE, the child must not).
void plan_attributes(posix_spawnattr_t& attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    out.reserve(words.size() + 1);
    for (std::string& word : words) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
}

/// A started child; the destructor kills and reaps it if nobody waited for it.
class Child {
  public:
    Child(const ProcessSpec& spec, int in, int out, int err) {
        std::vector<std::string> words{spec.program};
        words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
        std::vector<std::string> environment{
            "LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
        environment.insert(environment.end(), spec.environment.begin(), spec.environment.end());
        SpawnPlan plan;
        posix_spawn_file_actions_adddup2(&plan.actions, in, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&plan.actions, out, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&plan.actions, err, STDERR_FILENO);
        if (!spec.folder.empty()) posix_spawn_file_actions_addchdir_np(&plan.actions, spec.folder.c_str());
        plan_attributes(plan.attributes);
        int error = posix_spawn(&pid_, spec.program.c_str(), &plan.actions, &plan.attributes,
                                pointers(words).data(), pointers(environment).data());
        if (error != 0) throw errno_error("cannot run", spec.program, error);
        ended_ = Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
        if (!ended_) {
            int reason = errno;
            kill_group();
            wait();
            throw errno_error("cannot watch", spec.program, reason);
        }
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        if (reaped_) return;
        kill_group();
        wait();
    }

    /// Readable once it has ended.
    int ended_fd() const { return ended_.get(); }
    /// Only before wait(): while the child is not reaped, its group's number cannot be reused.
    void kill_group() const { kill(-pid_, SIGKILL); }
    /// The exit status; 255 when it is lost, because our parent left SIGCHLD ignored.
    int wait() {
        int status = 0;
        pid_t waited;
        do waited = waitpid(pid_, &status, 0);
        while (waited < 0 && errno == EINTR);
        reaped_ = true;
        if (waited < 0) return 255;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }

  private:
    pid_t pid_ = -1;
    Fd ended_;
    bool reaped_ = false;
};

/// Writes what the pipe takes now; closes it when all is written or nobody reads it.
void feed(Fd& to, std::string_view& input) {
    while (!input.empty()) {
        ssize_t n = write(to.get(), input.data(), input.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) break;
        input.remove_prefix(static_cast<std::size_t>(n));
    }
    to = Fd();
}

constexpr std::size_t longest_line = 4096;

/// One output stream of the program: kept up to a cap, and passed line by line to on_line.
class Stream {
  public:
    Stream(Fd from, std::string& kept, const ProcessSpec& spec)
        : from_(std::move(from)), kept_(kept), spec_(spec) {
        set_nonblocking(from_);
    }

    int fd() const { return from_.get(); }

    /// Reads what is there now, up to a bound, so that a program that never stops writing cannot keep run()
    /// from checking the deadline. Closes the stream at its end.
    void drain() {
        std::array<char, 16384> buffer;
        for (int rounds = 0; from_ && rounds < 64; ++rounds) {
            ssize_t n = read(from_.get(), buffer.data(), buffer.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return;
            if (n <= 0) from_ = Fd();
            if (n > 0) take({buffer.data(), static_cast<std::size_t>(n)});
        }
    }

    /// Shows a last line that has no line end.
    void finish() {
        if (!line_.empty()) show();
    }

  private:
    void take(std::string_view bytes) {
        kept_.append(bytes.substr(0, spec_.output_cap - kept_.size()));
        if (!spec_.on_line) return;
        for (char byte : bytes) {
            if (byte != '\n') line_ += byte;
            if (byte == '\n' || line_.size() == longest_line) show();
        }
    }
    void show() {
        if (spec_.on_line) spec_.on_line(line_);
        line_.clear();
    }

    Fd from_;
    std::string& kept_;
    const ProcessSpec& spec_;
    std::string line_;
};

/// Blocks SIGPIPE in this thread while a child may close its stdin early, and discards one raised meanwhile.
class PipeSignalBlocked {
  public:
    PipeSignalBlocked() {
        sigemptyset(&only_pipe_);
        sigaddset(&only_pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &only_pipe_, &before_);
    }
    ~PipeSignalBlocked() {
        timespec at_once{};
        while (sigtimedwait(&only_pipe_, nullptr, &at_once) > 0) {
        }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    PipeSignalBlocked(const PipeSignalBlocked&) = delete;
    PipeSignalBlocked& operator=(const PipeSignalBlocked&) = delete;

  private:
    sigset_t only_pipe_, before_;
};

} // namespace

ProcessResult run(const ProcessSpec& spec) {
    if (!spec.program.starts_with('/'))
        throw Error(Code::internal, "program " + spec.program + " is not named by an absolute path");
    PipeSignalBlocked no_pipe_signal;
    Deadline deadline = Deadline::in(spec.deadline);
    // In this order: with our standard streams closed, no end may land where a later dup2 goes.
    Pipe in = make_input(!spec.input.empty()), out = make_pipe(), err = make_pipe();
    set_nonblocking(in.write_end);
    Child child(spec, in.read_end.get(), out.write_end.get(), err.write_end.get());
    for (Fd* theirs : {&in.read_end, &out.write_end, &err.write_end}) *theirs = Fd();

    ProcessResult result;
    Stream out_stream(std::move(out.read_end), result.out, spec);
    Stream err_stream(std::move(err.read_end), result.err, spec);
    std::string_view input = spec.input;
    bool ended = false;
    while (!ended && !result.timed_out) {
        feed(in.write_end, input);
        std::array<pollfd, 4> waits{{{child.ended_fd(), POLLIN, 0},
                                     {in.write_end.get(), POLLOUT, 0},
                                     {out_stream.fd(), POLLIN, 0},
                                     {err_stream.fd(), POLLIN, 0}}};
        constexpr std::int64_t check_period = 200, longest_wait = 60'000;
        auto left = static_cast<int>(
            std::min<std::int64_t>(deadline.left().count(), spec.check ? check_period : longest_wait));
        if (poll(waits.data(), waits.size(), left) < 0 && errno != EINTR)
            throw errno_error("cannot wait for", spec.program, errno);
        out_stream.drain();
        err_stream.drain();
        if (spec.check) spec.check();
        ended = waits[0].revents != 0;
        result.timed_out = !ended && deadline.passed();
    }
    child.kill_group(); // at the deadline all of it, else what the program left behind
    result.exit_status = child.wait();
    for (Stream* stream : {&out_stream, &err_stream}) {
        stream->drain();
        stream->finish();
    }
    return result;
}

} // namespace blockhost
