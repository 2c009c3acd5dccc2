// SPDX-License-Identifier: MIT
#include "imgtree/read_ahead.hpp"

#include "base/error.hpp"

#include <algorithm>

namespace blockhost::imgtree {

namespace {

constexpr std::size_t window_bytes = std::size_t{1} << 20;

/// QEMU takes a buffer from malloc(3) for each answer, which for large ones is mapped, filled with pages and
/// unmapped again: half of what an export costs. The C library keeps such buffers once it freed a larger one
/// (mallopt(3), M_MMAP_THRESHOLD).
void warm_up(NbdDisk& disk) {
    const std::size_t larger = std::min<std::uint64_t>(2 * window_bytes, disk.bytes());
    try {
        disk.read(std::make_unique_for_overwrite<char[]>(larger).get(), larger, 0);
    } catch (const Error&) {
        // Nobody asked for these bytes.
    }
}

} // namespace

ReadAhead::ReadAhead(NbdDisk disk, const Disk& plan)
    : disk_(std::move(disk)), chunk_bytes_(plan.chunk_bytes), times_(plan.times) {}

std::uint64_t ReadAhead::end_of_run(std::size_t run) const {
    return std::min((times_[run].run.first + times_[run].run.count) * chunk_bytes_, disk_.bytes());
}

std::size_t ReadAhead::run_with(std::uint64_t at) const {
    const auto after = std::ranges::upper_bound(times_, at / chunk_bytes_, {},
                                                [](const backup::TimedRun& each) { return each.run.first; });
    if (after == times_.begin() || at >= end_of_run(static_cast<std::size_t>(after - times_.begin()) - 1))
        throw Error(Code::invalid, "bytes were asked for that no chunk has");
    return static_cast<std::size_t>(after - times_.begin()) - 1;
}

ReadAhead::Window* ReadAhead::window_with(std::uint64_t at) {
    const auto found = std::ranges::find_if(windows_, [at](const Window& each) { return each.has(at); });
    return found == windows_.end() ? nullptr : &*found;
}

void ReadAhead::settle(Window& window) {
    if (window.question) disk_.wait(*window.question);
    window.question.reset();
}

/// In the window that is furthest behind, but not in `kept`.
ReadAhead::Window& ReadAhead::ask(std::uint64_t at, const Window* kept) {
    Window* free = nullptr;
    for (Window& each : windows_)
        if (&each != kept && (free == nullptr || each.from < free->from)) free = &each;
    settle(*free);
    if (!is_warm_) warm_up(disk_);
    is_warm_ = true;
    if (!free->bytes) free->bytes = std::make_unique_for_overwrite<char[]>(window_bytes);
    free->from = free->to = 0;
    const std::uint64_t to = std::min(at + window_bytes, end_of_run(run_with(at)));
    free->question = disk_.ask(free->bytes.get(), static_cast<std::size_t>(to - at), at);
    free->from = at;
    free->to = to;
    return *free;
}

void ReadAhead::ask_for_what_follows(const Window& window) {
    const std::size_t run = run_with(window.from);
    std::uint64_t next = window.to;
    if (next == end_of_run(run)) {
        std::size_t other = run + 1;
        while (other < times_.size() && times_[other].at != times_[run].at) ++other;
        if (other == times_.size()) return;
        next = times_[other].run.first * chunk_bytes_;
    }
    if (window_with(next) == nullptr) ask(next, &window);
}

std::string_view ReadAhead::read(std::uint64_t at, std::size_t count) {
    Window* window = window_with(at);
    if (window == nullptr) window = &ask(at, nullptr);
    settle(*window);
    ask_for_what_follows(*window);
    return {window->bytes.get() + (at - window->from),
            static_cast<std::size_t>(std::min<std::uint64_t>(count, window->to - at))};
}

} // namespace blockhost::imgtree
