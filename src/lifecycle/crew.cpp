/// See crew.hpp.

#include "lifecycle/crew.hpp"

#include <atomic>
#include <mutex>
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
                 const std::function<void(World&, std::size_t)>& work) {
    std::atomic<std::size_t> next{0};
    const auto take = [&] {
        const std::size_t i = next++;
        return i < names.size() && noted_signal() == 0 ? std::optional(i) : std::nullopt;
    };
    const std::size_t threads = std::min<std::size_t>(jobs, names.size());
    if (threads <= 1) {
        while (const auto i = take()) work(world, *i);
        return;
    }
    std::mutex talking;
    std::vector<std::unique_ptr<Place>> places;
    for (std::size_t t = 0; t < threads; ++t) places.push_back(std::make_unique<Place>(world, talking));
    std::vector<std::thread> crew;
    for (const auto& place : places)
        crew.emplace_back([&] {
            while (const auto i = take()) {
                place->voice.speak_of(names[*i]);
                work(place->own, *i);
            }
        });
    for (std::thread& thread : crew) thread.join();
}

} // namespace blockhost
