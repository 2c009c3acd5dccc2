/// See clock_guard.hpp.

#include "lifecycle/clock_guard.hpp"

#include "base/json.hpp"
#include "host/clock.hpp"
#include "lifecycle/memory.hpp"

#include <array>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost {

namespace {

constexpr const char* memory_file = "gc.json";
constexpr auto longest_pause = std::chrono::hours(24 * 35);

std::optional<Instant> written_at(const std::filesystem::path& path) {
    struct stat file {};
    if (lstat(path.c_str(), &file) != 0) return std::nullopt;
    const auto since_epoch =
        std::chrono::seconds(file.st_mtim.tv_sec) + std::chrono::nanoseconds(file.st_mtim.tv_nsec);
    return Instant(std::chrono::duration_cast<Instant::duration>(since_epoch));
}

/// The simulated world's clock is synchronised unless a file says otherwise.
bool synchronised(const World& world) {
    if (world.reality == Reality::real) return host::clock_is_synchronised();
    return !std::filesystem::exists(world.paths.world / "clock-unsynchronised");
}

} // namespace

std::optional<std::string> clock_doubt(const World& world) {
    if (!synchronised(world)) return "the kernel says that its clock is not synchronised";
    const auto ran = parse_instant(json::string_or(recall(world, memory_file), "last_run", ""));
    struct Trace {
        std::optional<Instant> at;
        std::string what;
    };
    const auto event = world.registry.read().newest_event();
    const std::array<Trace, 4> traces{
        {{event ? std::optional(event->at) : std::nullopt, event ? event->what + " is" : ""},
         {ran, "gc ran last at"},
         {written_at(world.registry.file()), "the VM database was written at"},
         {written_at(world.journal.path() / "history"), "the journal was written at"}}};
    const Instant when = now(); // after all looks: what is written meanwhile is not from the future
    for (const auto& [at, what] : traces)
        if (at && when < *at)
            return fmt::format("it is {} by this clock, but {} {}", format_instant(when), what,
                               format_instant(*at));
    if (ran && when > *ran + longest_pause)
        return fmt::format("gc ran last at {}, more than 35 days ago by this clock", format_instant(*ran));
    return std::nullopt;
}

void remember_gc_run(const World& world, Instant when) {
    remember(world, memory_file, {{"last_run", format_instant(when)}});
}

} // namespace blockhost
