// SPDX-License-Identifier: MIT
#pragma once
/// A relocated root of a test's own.

#include "base/error.hpp"
#include "config/paths.hpp"
#include "tests/unit/base/scratch.hpp"

#include <cstdlib>

namespace blockhost::test {

struct Root {
    Scratch scratch;
    Paths paths = [this] {
        setenv("BLOCKHOST_ROOT", scratch.path().c_str(), 1);
        Paths made = paths_from_environment();
        unsetenv("BLOCKHOST_ROOT");
        return made;
    }();
};

/// The message of the Error{config} that `work` throws; empty when it throws none.
template<typename Work>
std::string config_error(Work work) {
    try {
        work();
    } catch (const Error& e) {
        return e.code() == Code::config ? e.message() : "another code: " + e.message();
    }
    return "";
}

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

} // namespace blockhost::test
