// SPDX-License-Identifier: MIT
#pragma once
/// What the tests of backups share.

#include "base/error.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <fstream>
#include <functional>
#include <sys/stat.h>

/// What a call is refused with: code and sentence. Every refusal says what to do.
inline std::pair<blockhost::Code, std::string> refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const blockhost::Error& error) {
        CHECK_FALSE(error.hint().empty());
        return {error.code(), error.message()};
    }
    FAIL("nothing was refused");
    return {};
}

inline void write(const std::filesystem::path& path, const std::string& content, mode_t mode = 0644) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << content;
    REQUIRE(chmod(path.c_str(), mode) == 0);
}
