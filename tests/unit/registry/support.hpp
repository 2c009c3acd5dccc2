// SPDX-License-Identifier: MIT
#pragma once
/// What the registry's tests share: a folder of their own and Debian's Python, the reference for what JSON is
/// here.

#include "base/process.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace test {

/// A new folder under the system's temporary one, removed with everything in it.
class Folder {
  public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "registry-test-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()));
        path_ = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  private:
    std::filesystem::path path_;
};

inline void put(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

inline std::string content(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

/// Runs a Python program; its output.
inline std::string python(const std::string& program, const std::vector<std::string>& arguments = {},
                          const std::string& input = {}) {
    blockhost::ProcessSpec spec{.program = "/usr/bin/python3",
                                .arguments = {"-c", program},
                                .environment = {},
                                .input = input,
                                .deadline = std::chrono::minutes(2),
                                .output_cap = 64u << 20};
    spec.arguments.insert(spec.arguments.end(), arguments.begin(), arguments.end());
    const auto result = blockhost::run(spec);
    INFO(result.err);
    REQUIRE(result.ok());
    return result.out;
}

} // namespace test
