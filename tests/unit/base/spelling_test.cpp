// SPDX-License-Identifier: MIT
#include "base/files/spelling.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::test;

TEST_CASE("a path has one plain spelling") {
    const auto [given, plain] = GENERATE(table<std::string, std::string>({
        {"/srv/x", "/srv/x"},
        {"/srv/x/", "/srv/x"},
        {"//srv///x//", "/srv/x"},
        {"/srv/./x/.", "/srv/x"},
        {"/srv/link/../x", "/srv/link/../x"},
        {"/", "/"},
        {"//", "/"},
        {"srv/x/", "srv/x"},
    }));
    CHECK(files::plain(given).native() == plain);
}

TEST_CASE("a folder is the same under every name, and another one is not") {
    Scratch scratch;
    std::filesystem::create_directories(scratch / "real");
    std::filesystem::create_directories(scratch / "other");
    std::filesystem::create_symlink(scratch / "real", scratch / "link");
    CHECK(files::is_same_folder(scratch / "real", scratch / "link"));
    CHECK(files::is_same_folder(scratch / "link//", scratch / "./real/"));
    CHECK_FALSE(files::is_same_folder(scratch / "real", scratch / "other"));
    CHECK(files::is_same_folder(scratch / "none/", scratch / "none"));
    CHECK_FALSE(files::is_same_folder(scratch / "none", scratch / "real"));
}
