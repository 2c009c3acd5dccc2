/// Joining, watching over and leaving the provisioning lock.

#include "lifecycle/provisioning_lock.hpp"

#include "base/error.hpp"
#include "base/files.hpp"
#include "base/lock.hpp"
#include "base/text.hpp"
#include "base/time.hpp"

#include <condition_variable>
#include <fcntl.h>
#include <fmt/format.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace blockhost {

namespace {

using namespace std::chrono_literals;

constexpr const char* lock_file = "provisioning.lock";
constexpr const char* mutex_file = "provisioning.mutex";
constexpr const char* presence_folder = "provisioning.d";
constexpr auto watch_period = 1s;

std::string own_pid() {
    return std::to_string(getpid());
}

/// Whether the create of process `pid` still holds its presence file.
bool is_present(const Folder& presences, const std::string& pid) {
    Fd fd = presences.open_file(pid, O_RDWR);
    return fd && !FileLock::try_take(fd);
}

} // namespace

/// One create's presence: its flocked file, and a thread that keeps the lock file true while it lives.
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
            // The folder went away: there is nothing left that names us.
        }
    }

  private:
    /// Runs `work` with the folder open and its mutex held.
    template<class Work>
    void with_folder(Work work) {
        auto run = Folder::open(run_folder_);
        if (!run) throw Error(Code::io, "there is no folder " + run_folder_.string());
        const Deadline deadline = Deadline::in(5s);
        while (true) {
            auto guard = FileLock::take(run->open_file(mutex_file, O_RDWR | O_CREAT, 0660),
                                        FileLock::Mode::exclusive, deadline);
            if (!guard) throw Error(Code::busy, "another create holds the provisioning lock's mutex");
            if (!guard->still_named(run->fd(), mutex_file)) continue; // the last one left meanwhile
            work(*run);
            return;
        }
    }

    void join(const Folder& run) {
        const Folder presences = run.make_sub(presence_folder, 0770);
        Fd fd = presences.open_file(own_pid(), O_RDWR | O_CREAT, 0640);
        auto lock = FileLock::try_take(fd);
        if (!lock) throw Error(Code::busy, "another process holds our presence file");
        presence_ = std::make_unique<FileLock>(std::move(*lock));
        name_a_live_one(run, presences);
    }

    /// Leaves the lock file alone while the process it names is present; else names ourselves.
    void name_a_live_one(const Folder& run, const Folder& presences) {
        const auto named = run.read(lock_file, 64);
        if (named && is_present(presences, std::string(text::trim(*named)))) return;
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
            presences->remove(other);
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
                // Looked at again in a second.
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

ProvisioningLock::ProvisioningLock(const std::filesystem::path& run_folder, Talk& talk) {
    try {
        presence_ = std::make_unique<Presence>(run_folder);
    } catch (const Error& error) {
        talk.warn(fmt::format("going on without {}: {}; reconcilers will not see that a create runs",
                              (run_folder / lock_file).string(), error.message()));
    }
}

ProvisioningLock::~ProvisioningLock() = default;

} // namespace blockhost
