// SPDX-License-Identifier: MIT
/// Joins, watches and leaves the provisioning lock.

#include "operations/provisioning_lock.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/files/lock.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"

#include <condition_variable>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace blockhost::operations {

namespace {

using namespace std::chrono_literals;

constexpr const char* lock_file = "provisioning.lock";
constexpr const char* mutex_file = "provisioning.mutex";
constexpr const char* presence_folder = "provisioning.d";
constexpr auto watch_period = 1s;

std::string own_pid() {
    return std::to_string(getpid());
}

/// Whether this is a process id as we write it; other text names no process.
bool is_pid(std::string_view text) {
    constexpr std::size_t longest = 10;
    return !text.empty() && text.size() <= longest && text[0] != '0' &&
           text.find_first_not_of("0123456789") == text.npos;
}

/// Whether the create of process `pid` still holds its presence file.
bool is_present(const Folder& presences, const std::string& pid) {
    if (!is_pid(pid) || presences.kind(pid) != Folder::Kind::file) return false;
    Fd fd = presences.open_file(pid, O_RDWR);
    return fd && !FileLock::try_take(fd);
}

} // namespace

/// One create's presence: its file with a flock, and a thread that keeps the lock file true meanwhile.
class ProvisioningLock::Presence {
  public:
    explicit Presence(std::filesystem::path run_folder) : run_folder_(std::move(run_folder)) {
        with_folder([&](const Folder& run) { join(run); });
        watcher_ = std::thread([this] { watch(); });
    }

    ~Presence() {
        {
            const std::lock_guard guard(mutex_);
            leaving_ = true;
        }
        wake_.notify_all();
        watcher_.join();
        try {
            with_folder([&](const Folder& run) { leave(run); });
        } catch (const Error&) {
            // The folder went away: nothing is left that names this process.
        }
    }

  private:
    /// Runs `work` with the folder open and its mutex held.
    template<class Work>
    void with_folder(Work work) {
        auto run = Folder::open(run_folder_);
        if (!run) throw Error(Code::io, "there is no folder " + run_folder_.string());
        const auto guard = FileLock::take_named(*run, mutex_file, 0660, Deadline::in(5s));
        if (!guard) throw Error(Code::busy, "another create holds the provisioning lock's mutex");
        work(*run);
    }

    void join(const Folder& run) {
        const Folder presences = run.make_sub(presence_folder, 0770);
        Fd fd = presences.open_file(own_pid(), O_RDWR | O_CREAT, 0640);
        auto lock = FileLock::try_take(fd);
        if (!lock) throw Error(Code::busy, "another process holds our presence file");
        presence_ = std::make_unique<FileLock>(std::move(*lock));
        name_a_live_one(run, presences);
    }

    /// What the lock file says; empty when no create wrote it: it is empty, too long, or a link.
    static std::string named_in(const Folder& run) {
        constexpr std::size_t longest = 64;
        try {
            return std::string(text::trim(run.read(lock_file, longest).value_or("")));
        } catch (const Error&) {
            return {};
        }
    }

    /// Leaves the lock file alone while the process that it names is present; else names this one.
    void name_a_live_one(const Folder& run, const Folder& presences) {
        if (is_present(presences, named_in(run))) return;
        run.replace_unsynced(lock_file, own_pid(), {.mode = 0644, .uid = {}, .gid = {}});
    }

    void leave(const Folder& run) {
        const auto presences = run.sub(presence_folder);
        if (!presences) return;
        presences->remove(own_pid());
        presence_.reset();
        for (const std::string& other : presences->names()) {
            if (is_present(*presences, other)) {
                run.replace_unsynced(lock_file, other, {.mode = 0644, .uid = {}, .gid = {}});
                return;
            }
            if (presences->kind(other) != Folder::Kind::folder) presences->remove(other);
        }
        run.remove(lock_file);
        run.remove_temporaries(lock_file);
        run.remove_tree(presence_folder);
        run.remove(mutex_file);
    }

    void watch() {
        std::unique_lock guard(mutex_);
        while (!wake_.wait_for(guard, watch_period, [&] { return leaving_; })) {
            try {
                with_folder([&](const Folder& run) {
                    const auto presences = run.sub(presence_folder);
                    if (presences && presence_->still_named(presences->fd(), own_pid()))
                        name_a_live_one(run, *presences);
                    else
                        join(run); // the folder was made anew
                });
            } catch (const Error&) {
                // The next look comes in a second.
            }
        }
    }

    std::filesystem::path run_folder_;
    std::unique_ptr<FileLock> presence_;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool leaving_ = false;
    std::thread watcher_;
};

ProvisioningLock::ProvisioningLock(const std::filesystem::path& run_folder, Progress& progress) {
    try {
        presence_ = std::make_unique<Presence>(run_folder);
    } catch (const Error& error) {
        progress.warn(fmt::format("going on without {}: {}; reconcilers will not see that a create runs",
                                  (run_folder / lock_file).string(), error.message()));
    }
}

ProvisioningLock::~ProvisioningLock() = default;

} // namespace blockhost::operations
