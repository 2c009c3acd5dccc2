// SPDX-License-Identifier: MIT
// Modules and data files.
#include "base/error.hpp"
#include "base/module.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

TEST_CASE("a module that is not installed is an error that names it and says what to do") {
    try {
        load_symbol("no-such-module.so", "make");
        FAIL("loaded");
    } catch (const Error& e) {
        CHECK(e.code() == Code::hypervisor_down);
        CHECK(e.message().find("no-such-module.so") != std::string::npos);
        CHECK_FALSE(e.hint().empty());
    }
}

TEST_CASE("a module without the symbol is an error that names the symbol") {
    try {
        load_symbol("seed-image.so", "no_such_symbol");
        FAIL("found");
    } catch (const Error& e) {
        CHECK(e.code() == Code::hypervisor_down);
        CHECK(e.message().find("no_such_symbol") != std::string::npos);
    }
}

TEST_CASE("data files come from the build folder when we run in it") {
    auto path = data_file("fallback-user-data.yaml");
    CHECK(std::filesystem::exists(path));
    CHECK(path.parent_path().filename() == "data");
    CHECK(data_file("no-such-file").parent_path() == BLOCKHOST_DATA_FOLDER);
}
