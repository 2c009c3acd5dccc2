// SPDX-License-Identifier: MIT
#pragma once
/// What the fuzz targets share. A target's only good ends are a return and a blockhost::Error: every other
/// exception, a broken promise, more than ten seconds of CPU time (about two without sanitizers), and more
/// than three of them where twice the input takes more than thrice the time are findings.

#include "base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

/// Ends the process; libFuzzer keeps the input.
[[noreturn]] void finding(std::string_view what);
inline void check(bool holds, std::string_view promise) {
    if (!holds) finding(promise);
}

/// Calls `body`; false when it threw an Error, which is an answer too.
template<class Body>
bool answered(Body body) {
    try {
        body();
        return true;
    } catch (const blockhost::Error& error) {
        check(!error.message().empty(), "an error says what is wrong");
        return false;
    }
}

/// One run of a target. With BLOCKHOST_FUZZ_PLANT set, an input that begins with "BUG!" is a finding of the
/// kind it names: abort, throw, overflow, hang, quadratic (3.2 s for 64 KiB), or none: linear (3.2 s, too).
int run(const std::uint8_t* data, std::size_t size, void (*target)(std::string_view));

/// The parts of an input, which lines of three dashes separate; at least one.
std::vector<std::string> parts_of(std::string_view input);

/// Takes the first character off an input: which of several parsers it is for; 0 when there is none.
char take_selector(std::string_view& input);

/// A file that lives in memory, under a path.
class MemoryFile {
  public:
    MemoryFile();
    void set(std::string_view content);
    const std::filesystem::path& path() const { return path_; }

  private:
    int fd_;
    std::filesystem::path path_;
};

/// A folder in memory, removed when the process ends.
class MemoryFolder {
  public:
    MemoryFolder();
    ~MemoryFolder();
    void set(const std::string& name, std::string_view content) const;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

} // namespace fuzz

/// The function that libFuzzer calls.
#define FUZZ_TARGET(function)                                                           \
    extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
        return fuzz::run(data, size, function);                                         \
    }
