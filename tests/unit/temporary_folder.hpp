#pragma once
/// A folder of the test's own, gone with it.

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

struct TemporaryFolder {
    std::filesystem::path path;
    TemporaryFolder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "blockhost-test-XXXXXX").native();
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
