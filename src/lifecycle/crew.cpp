/// See crew.hpp.

#include "lifecycle/crew.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace blockhost {

namespace {

/// One thread's talk: its VM's name before each line, and no line within another's. Live details of several
/// VMs would overwrite each other, so there are none.
class Voice : public Talk {
  public:
    Voice(Talk& talk, std::mutex& mutex) : talk_(talk), mutex_(mutex) {}
    void speak_of(const std::string& name) { prefix_ = name + ": "; }
    void stage(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        talk_.stage(prefix_ + std::string(text));
    }
    void detail(std::string_view) override {}
    void warn(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        talk_.warn(prefix_ + std::string(text));
    }

  private:
    Talk& talk_;
    std::mutex& mutex_;
    std::string prefix_;
};

/// A thread's own voice and world.
struct Place {
    Place(const World& world, std::mutex& mutex)
        : voice(world.talk, mutex), own(world.paths, world.reality, Intent::change, voice) {}
    Voice voice;
    World own;
};

} // namespace

void for_each_vm(World& world, const std::vector<std::string>& names, unsigned jobs,
                 const std::function<void(World&, std::size_t)>& work,
                 const std::function<void(std::size_t)>& ended) {
    std::atomic<std::size_t> next{0};
    std::mutex talking;
    std::exception_ptr thrown; // guarded by talking
    const auto work_off = [&](World& own, Voice* voice) {
        for (std::size_t i = next++; i < names.size() && noted_signal() == 0; i = next++) {
            if (voice) voice->speak_of(names[i]);
            work(own, i);
            const std::lock_guard lock(talking);
            try {
                ended(i);
            } catch (...) {
                if (!thrown) thrown = std::current_exception();
            }
        }
    };
    const std::size_t threads = std::min<std::size_t>(jobs, names.size());
    std::vector<std::unique_ptr<Place>> places;
    std::vector<std::thread> crew;
    if (threads > 1)
        for (std::size_t t = 0; t < threads; ++t) places.push_back(std::make_unique<Place>(world, talking));
    try {
        for (const auto& place : places)
            crew.emplace_back([&work_off, &place = *place] { work_off(place.own, &place.voice); });
    } catch (const std::system_error&) {
        // A host that gives no more threads: fewer do the work.
    }
    if (crew.empty()) work_off(world, nullptr);
    for (std::thread& thread : crew) thread.join();
    if (thrown) std::rethrow_exception(thrown);
}

} // namespace blockhost
