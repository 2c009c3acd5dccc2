// SPDX-License-Identifier: MIT
// Counts fault points, and fails or kills the process at one of them.
#include "base/fault.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fnmatch.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::fault {

namespace {

enum class Mode { off, fail, hang, kill, count };

// Armed once, before work begins; read at every point.
std::atomic<Mode> mode{Mode::off};
std::atomic<std::int64_t> passed{0};
std::int64_t target = 0;
std::string count_file;

void write_count() {
    if (mode != Mode::count) return;
    std::FILE* out = std::fopen(count_file.c_str(), "we");
    if (!out) return;
    std::fprintf(out, "%lld\n", static_cast<long long>(passed.load()));
    std::fclose(out);
}

[[noreturn]] void refuse(std::string_view specification) {
    throw Error(Code::invalid,
                "fault specification \"" + text::printable(specification) + "\" cannot be read",
                "write fail@N, hang@N, kill@N or count@FILE");
}

void hit(std::string_view where) {
    std::int64_t number = ++passed;
    Mode now = mode;
    if (now == Mode::count || number != target) return;
    if (now == Mode::kill) ::kill(::getpid(), SIGKILL);
    const std::string place = " at " + std::string(where) + ", point " + std::to_string(number);
    if (now == Mode::hang) throw Error(Code::no_answer, "injected silence" + place);
    throw Error(Code::internal, "injected fault" + place);
}

} // namespace

void arm(std::string_view specification) {
    auto at = specification.find('@');
    if (at == std::string_view::npos || at + 1 == specification.size()) refuse(specification);
    std::string_view verb = specification.substr(0, at), operand = specification.substr(at + 1);
    passed = 0;
    if (verb == "count") {
        static const int registered = std::atexit(write_count) + std::at_quick_exit(write_count);
        if (registered != 0) throw Error(Code::internal, "no room to register the fault counter");
        count_file = operand;
        mode = Mode::count;
        return;
    }
    auto number = text::parse_int(operand);
    if (!number || *number < 1 || (verb != "fail" && verb != "hang" && verb != "kill")) refuse(specification);
    target = *number;
    mode = verb == "fail" ? Mode::fail : verb == "hang" ? Mode::hang : Mode::kill;
}

void arm_from_environment() {
    static std::atomic<bool> done{false}; // a second world in this process continues the count
    const char* fault = std::getenv("BLOCKHOST_FAULT");
    if (fault && *fault && !done.exchange(true)) arm(fault);
}

void point(std::string_view where) {
    if (mode.load(std::memory_order_relaxed) != Mode::off) [[unlikely]]
        hit(where);
}

#ifdef BLOCKHOST_CAN_LEAVE_OUT

bool left_out(std::string_view what, std::string_view name) {
    static const char* const wished = std::getenv("BLOCKHOST_LEAVE_OUT");
    if (!wished) return false;
    const std::string_view wish = wished;
    return wish.starts_with(what) && wish.substr(what.size(), 1) == " " &&
           fnmatch(wished + what.size() + 1, std::string(name).c_str(), 0) == 0;
}

bool left_out(std::string_view what, int fd) {
    if (!std::getenv("BLOCKHOST_LEAVE_OUT")) return false;
    std::error_code unknown;
    std::string path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), unknown).string();
    struct stat of_file {};
    if (fstat(fd, &of_file) == 0 && S_ISDIR(of_file.st_mode)) path += '/';
    return left_out(what, path);
}

#endif

} // namespace blockhost::fault
