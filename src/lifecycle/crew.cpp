/// See crew.hpp.

#include "lifecycle/crew.hpp"

#include <atomic>
#include <thread>

namespace blockhost {

void SharedTalk::stage(std::string_view text) {
    const std::lock_guard lock(mutex_);
    talk_.stage(text);
}

void SharedTalk::warn(std::string_view text) {
    const std::lock_guard lock(mutex_);
    talk_.warn(text);
}

void for_each_index(World& world, std::size_t count, unsigned jobs,
                    const std::function<void(World&, std::size_t)>& work) {
    std::atomic<std::size_t> next{0};
    const auto work_off = [&](World& own) {
        for (std::size_t i = next++; i < count && noted_signal() == 0; i = next++) work(own, i);
    };
    const std::size_t threads = std::min<std::size_t>(jobs, count);
    if (threads <= 1) {
        work_off(world);
        return;
    }
    SharedTalk talk(world.talk);
    std::vector<std::thread> crew;
    std::vector<std::unique_ptr<World>> worlds;
    for (std::size_t i = 0; i < threads; ++i)
        worlds.push_back(std::make_unique<World>(world.paths, world.reality, Intent::change, talk));
    for (auto& own : worlds) crew.emplace_back([&work_off, &own] { work_off(*own); });
    for (std::thread& thread : crew) thread.join();
}

} // namespace blockhost
