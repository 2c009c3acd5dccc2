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

ReadAhead::ReadAhead(NbdDisk disk, const Disk& plan) : disk_(std::move(disk)), plan_(&plan) {}

std::uint64_t ReadAhead::end_of(const backup::TimedRun& run) const {
    return std::min((run.run.first + run.run.count) * plan_->chunk_bytes, disk_.bytes());
}

const backup::TimedRun& ReadAhead::run_with(std::uint64_t at) const {
    const backup::TimedRun* run = backup::run_with(plan_->times, at / plan_->chunk_bytes);
    if (run == nullptr) throw Error(Code::invalid, "bytes were asked for that no chunk has");
    return *run;
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
    const std::uint64_t to = std::min(at + window_bytes, end_of(run_with(at)));
    free->question = disk_.ask(free->bytes.get(), static_cast<std::size_t>(to - at), at);
    free->from = at;
    free->to = to;
    return *free;
}

void ReadAhead::ask_for_what_follows(const Window& window) {
    const backup::TimedRun& run = run_with(window.from);
    std::uint64_t next = window.to;
    if (next == end_of(run)) {
        const auto* end = plan_->times.data() + plan_->times.size();
        const auto* other = std::find_if(&run + 1, end, [&](const auto& each) { return each.at == run.at; });
        if (other == end) return;
        next = other->run.first * plan_->chunk_bytes;
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
