/// See fuzz.hpp.

#include "tests/fuzz/fuzz.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace fuzz {

namespace {

constexpr double longest_run_s = 3; ///< about one without sanitizers

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
    while (kind == "hang" && cpu_seconds() >= 0) {
    }
}

} // namespace

void finding(std::string_view what) {
    std::fprintf(stderr, "FINDING: %.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}

int run(const std::uint8_t* data, std::size_t size, void (*target)(std::string_view)) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    static const char* const planted = std::getenv("BLOCKHOST_FUZZ_PLANT");
    if (planted) plant(planted, input);
    const double began = cpu_seconds();
    target(input);
    check(cpu_seconds() - began < longest_run_s, "an input of 64 KiB is dealt with in a second");
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
