// SPDX-License-Identifier: MIT
/// See fuzz.hpp.

#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <limits>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace fuzz {

namespace {

// Sanitizers make a run some five times slower, and CPU time itself varies by half on a busy host. Up to
// `noticeable_s` no question is asked, then how the time grows decides.
constexpr double noticeable_s = 3;
constexpr double longest_run_s = 10;
constexpr double most_growth = 3; ///< from an input to twice it: 2 is linear, 4 quadratic

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void write_whole(int fd, std::string_view content) {
    if (ftruncate(fd, 0) != 0) finding("a file in memory cannot be cut");
    if (pwrite(fd, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size()))
        finding("a file in memory cannot be written");
}

/// Proof that findings are found; tests/fuzz/test_fuzz.py asks for it.
void plant(std::string_view kind, std::string_view input) {
    static volatile std::size_t right = 0; // each character is a step that coverage shows
    for (right = 0; right < 4; right = right + 1)
        if (input.size() <= right || input[right] != "BUG!"[right]) return;
    if (kind == "abort") finding("planted");
    if (kind == "throw") throw std::runtime_error("planted");
    if (kind == "overflow") {
        volatile int largest = 0x7fffffff;
        largest = largest + 1;
    }
    const double size = static_cast<double>(input.size()) / 65536, began = cpu_seconds();
    const double seconds = kind == "hang"        ? std::numeric_limits<double>::infinity()
                           : kind == "linear"    ? 3.2 * size
                           : kind == "quadratic" ? 3.2 * size * size
                                                 : 0;
    while (cpu_seconds() - began < seconds) {
    }
}

/// CPU seconds of one run.
double time_of(std::string_view input, void (*target)(std::string_view)) {
    static const char* const planted = std::getenv("BLOCKHOST_FUZZ_PLANT");
    const double began = cpu_seconds();
    if (planted) plant(planted, input);
    target(input);
    return cpu_seconds() - began;
}

} // namespace

void finding(std::string_view what) {
    std::fprintf(stderr, "FINDING: %.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}

int run(const std::uint8_t* data, std::size_t size, void (*target)(std::string_view)) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    double whole = time_of(input, target);
    if (whole < noticeable_s) return 0;
    check(whole < longest_run_s, "an input of 64 KiB is dealt with in two seconds without sanitizers");
    // Not half of it: what is cut is refused sooner, and would look as if the whole took too long.
    const std::string doubled = std::string(input) + std::string(input);
    double twice = time_of(doubled, target);
    if (twice < most_growth * whole) return 0;
    whole = std::min(whole, time_of(input, target));
    twice = std::min(twice, time_of(doubled, target));
    check(twice < most_growth * whole, "twice the input takes at most thrice the time");
    return 0;
}

std::vector<std::string> parts_of(std::string_view input) {
    constexpr std::string_view separator = "\n---\n";
    std::vector<std::string> parts;
    for (std::size_t at; (at = input.find(separator)) != input.npos;
         input.remove_prefix(at + separator.size()))
        parts.emplace_back(input.substr(0, at));
    parts.emplace_back(input);
    return parts;
}

char take_selector(std::string_view& input) {
    if (input.empty()) return 0;
    const char first = input.front();
    input.remove_prefix(1);
    return first;
}

MemoryFile::MemoryFile() : fd_(memfd_create("fuzz", MFD_CLOEXEC)) {
    if (fd_ < 0) finding("no file in memory can be made");
    path_ = "/proc/self/fd/" + std::to_string(fd_);
}

void MemoryFile::set(std::string_view content) {
    write_whole(fd_, content);
}

MemoryFolder::MemoryFolder() {
    std::string pattern = "/dev/shm/blockhost-fuzz-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) finding("no folder in memory can be made");
    path_ = pattern;
}

MemoryFolder::~MemoryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void MemoryFolder::set(const std::string& name, std::string_view content) const {
    const int fd = ::open((path_ / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (fd < 0) finding("a file in memory cannot be opened");
    write_whole(fd, content);
    ::close(fd);
}

} // namespace fuzz
