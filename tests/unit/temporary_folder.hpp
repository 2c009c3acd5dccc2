// SPDX-License-Identifier: MIT
#pragma once
/// A folder of the test's own, gone with it.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

struct TemporaryFolder {
    std::filesystem::path path;
    explicit TemporaryFolder(const std::filesystem::path& parent = std::filesystem::temp_directory_path(),
                             const std::string& name = "blockhost-test") {
        std::string pattern = (parent / (name + "-XXXXXX")).native();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
};
