// SPDX-License-Identifier: MIT
/// See clock_check.hpp.

#include "vm/clock_check.hpp"

#include "base/text/json.hpp"
#include "config/templates.hpp"
#include "host/clock.hpp"
#include "vm/remembered.hpp"

#include <array>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace blockhost {

namespace {

constexpr const char* memory_file = "gc.json";
constexpr auto longest_pause = std::chrono::hours(24 * 35);

std::optional<Instant> written_at(const std::optional<Folder>& folder, const std::string& name) {
    struct stat file {};
    if (!folder || fstatat(folder->fd(), name.c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
    const auto since_epoch =
        std::chrono::seconds(file.st_mtim.tv_sec) + std::chrono::nanoseconds(file.st_mtim.tv_nsec);
    return Instant(std::chrono::duration_cast<Instant::duration>(since_epoch));
}

/// The simulated world's clock is synchronised unless a file says otherwise.
bool synchronised(const World& world) {
    if (world.reality == Reality::real) return host::clock_is_synchronised();
    return !std::filesystem::exists(world.paths.world / "clock-unsynchronised");
}

void warn_of(const World& world, const ClockDoubt& doubt) {
    world.progress.warn(doubt.what + ": the VM expires by a clock that gc will not believe");
}

} // namespace

std::optional<ClockDoubt> clock_doubt(const World& world) {
    using Kind = ClockDoubt::Kind;
    const bool kept = synchronised(world);
    const auto ran = parse_instant(json::string_or(recall(world, memory_file), "last_run", ""));
    struct Trace {
        std::optional<Instant> at;
        std::string what;
    };
    const std::filesystem::path& database = world.registry.file();
    const auto event = world.registry.read().newest_event();
    const std::array<Trace, 6> traces{
        {{event ? std::optional(event->at) : std::nullopt, event ? event->what + " is" : ""},
         {ran, "gc ran last at"},
         {written_at(world.paths.state.at(database.parent_path()), database.filename().string()),
          "the VM database was written at"},
         {written_at(world.journal.place().open(), "history"), "the journal was written at"},
         {written_at(world.paths.state.open(), "instance-id"), "this instance's id was made at"},
         {written_at(world.paths.templates.open(), template_link), "the template was set at"}}};
    const Instant when = now(); // after all looks, so that nothing written meanwhile is from the future
    for (const auto& [at, what] : traces)
        if (at && when < *at)
            return ClockDoubt{Kind::behind,
                              fmt::format("it is {} by this clock, but {} {}", format_instant(when), what,
                                          format_instant(*at)),
                              kept};
    if (ran && when > *ran + longest_pause)
        return ClockDoubt{
            Kind::long_pause,
            fmt::format("gc ran last at {}, more than 35 days ago by this clock", format_instant(*ran)),
            kept};
    if (!kept)
        return ClockDoubt{Kind::unsynchronised, "the kernel says that its clock is not synchronised", kept};
    return std::nullopt;
}

void check_clock_for_sale(const World& world, ClockTrust trust) {
    const auto doubt = clock_doubt(world);
    if (!doubt) return;
    if (doubt->kind == ClockDoubt::Kind::behind && !doubt->synchronised && trust == ClockTrust::judged)
        throw Error(
            Code::clock,
            fmt::format(
                "the clock is not to be trusted: {}; a VM made now would be suspended as soon as it is "
                "right, so nothing was made",
                doubt->what),
            "set the clock right (timedatectl set-ntp true, or install chrony); if it is right, "
            "--force-clock "
            "goes on");
    warn_of(world, *doubt);
}

void warn_of_clock(const World& world) {
    if (const auto doubt = clock_doubt(world)) warn_of(world, *doubt);
}

void remember_gc_run(const World& world, Instant when) {
    remember(world, memory_file, {{"last_run", format_instant(when)}});
}

} // namespace blockhost
