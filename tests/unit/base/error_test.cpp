// SPDX-License-Identifier: MIT
// The code table and the sentences errors make.
#include "base/error.hpp"

#include <catch2/catch.hpp>
#include <cerrno>
#include <set>

using namespace blockhost;

TEST_CASE("every code has one row with a name and an exit status of its own") {
    std::set<std::string_view> names;
    std::set<int> statuses;
    for (const CodeRow& row : error_table()) {
        CAPTURE(row.name);
        CHECK(&row_of(row.code) == &row);
        CHECK(names.insert(row.name).second);
        CHECK(statuses.insert(row.exit_status).second);
        CHECK(row.exit_status > 1);
        CHECK(row.exit_status < 126);
        CHECK_FALSE(row.help.empty());
    }
    CHECK(error_table().size() == static_cast<std::size_t>(Code::internal) + 1);
    CHECK(row_of(Code::usage).exit_status == 2);
}

TEST_CASE("what() is the message, and the hint behind it when there is one") {
    CHECK(std::string(Error(Code::io, "disk is full").what()) == "disk is full");
    CHECK(std::string(Error(Code::io, "disk is full", "make room").what()) == "disk is full; make room");
}

TEST_CASE("context goes before the message and keeps code and hint") {
    Error e = Error(Code::guest, "no answer", "wait").within("blockhost-001").within("create");
    CHECK(e.message() == "create: blockhost-001: no answer");
    CHECK(e.code() == Code::guest);
    CHECK(e.hint() == "wait");
}

TEST_CASE("an errno becomes a sentence that names the file, with a hint where one helps") {
    Error missing = errno_error("cannot open", "/x/y", ENOENT);
    CHECK(missing.code() == Code::io);
    CHECK(missing.message() == "cannot open /x/y: No such file or directory");
    CHECK(missing.hint().empty());
    for (int number : {ENOSPC, EROFS, EACCES})
        CHECK_FALSE(errno_error("cannot write", "/x", number).hint().empty());
}
