// The tests' fault knob: counting points, failing or dying at one of them.
#include "base/fault.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace blockhost::fault {

namespace {

enum class Mode { off, fail, kill, count };

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
                "write fail@N, kill@N or count@FILE");
}

void hit(std::string_view where) {
    std::int64_t number = ++passed;
    Mode now = mode;
    if (now == Mode::count || number != target) return;
    if (now == Mode::kill) ::kill(::getpid(), SIGKILL);
    throw Error(Code::internal,
                "injected fault at " + std::string(where) + ", point " + std::to_string(number));
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
    if (!number || *number < 1 || (verb != "fail" && verb != "kill")) refuse(specification);
    target = *number;
    mode = verb == "fail" ? Mode::fail : Mode::kill;
}

void arm_from_environment() {
    if (const char* fault = std::getenv("BLOCKHOST_FAULT"); fault && *fault) arm(fault);
}

void point(std::string_view where) {
    if (mode.load(std::memory_order_relaxed) != Mode::off) [[unlikely]]
        hit(where);
}

} // namespace blockhost::fault
