// SPDX-License-Identifier: MIT
/// See parallel.hpp.

#include "expiry/parallel.hpp"

#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace blockhost::expiry {

namespace {

/// One thread's talk: puts its VM's name before each line, and no line within another's. There are no live
/// details, since those of several VMs would overwrite each other.
class Voice : public Progress {
  public:
    Voice(Progress& progress, std::mutex& mutex) : talk_(progress), mutex_(mutex) {}
    void speak_of(const std::string& name) { prefix_ = name + ": "; }
    void stage(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        talk_.stage(prefix_ + std::string(text));
    }
    void say(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        talk_.say(prefix_ + std::string(text));
    }
    void detail(std::string_view) override {}
    void warn(std::string_view text) override {
        const std::lock_guard lock(mutex_);
        talk_.warn(prefix_ + std::string(text));
    }

  private:
    Progress& talk_;
    std::mutex& mutex_;
    std::string prefix_;
};

/// A thread's own talk and world.
struct Place {
    Place(const World& world, std::mutex& mutex)
        : voice(world.progress, mutex), own(world.paths, world.reality, Intent::change, voice) {}
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
        // The host gives no more threads: fewer do the work.
    }
    if (crew.empty()) work_off(world, nullptr);
    for (std::thread& thread : crew) thread.join();
    if (thrown) std::rethrow_exception(thrown);
}

} // namespace blockhost::expiry
