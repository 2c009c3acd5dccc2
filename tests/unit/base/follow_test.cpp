// SPDX-License-Identifier: MIT
// Ways that other users could turn elsewhere.
#include "base/files/follow.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>

using namespace blockhost;
using namespace blockhost::test;
namespace fs = std::filesystem;

namespace {

constexpr uid_t somebody = 61523;

/// A folder of somebody else's, beside one that is not his.
struct Stage {
    Scratch scratch;
    Stage() {
        put(scratch / "outer/file", "outer");
        put(scratch / "his/inner/file", "inner");
        if (geteuid() != 0) return;
        for (const char* each : {"his", "his/inner", "his/inner/file"})
            REQUIRE(chown((scratch / each).c_str(), somebody, somebody) == 0);
    }
    fs::path in(const std::string& name) const { return scratch / ("his/" + name); }
    void link(const std::string& name, const std::string& target, uid_t owner) const {
        fs::remove(in(name));
        fs::create_symlink(target, in(name));
        if (geteuid() == 0) REQUIRE(lchown(in(name).c_str(), owner, owner) == 0);
    }
};

bool refused(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.code() == Code::io && error.message().ends_with("is a link, which is not followed");
    }
    return false;
}

} // namespace

TEST_CASE("a link is followed where root or the caller made it") {
    Stage stage;
    stage.link("link", "../outer", geteuid());
    CHECK(Folder::open(stage.in("link"))->read("file") == "outer");
    stage.link("link", (stage.scratch / "outer").string(), geteuid());
    CHECK(Folder::open(stage.in("link"))->read("file") == "outer");
    fs::create_symlink("his/inner", stage.scratch / "another way");
    CHECK(Folder::open(stage.scratch / "another way")->read("file") == "inner");
    stage.link("link", "nowhere", geteuid());
    CHECK_FALSE(Folder::open(stage.in("link")));
    CHECK_FALSE(Folder::open(stage.in("link/deeper")));
    stage.link("link", "link", geteuid());
    CHECK_THROWS_WITH(Folder::open(stage.in("link")), Catch::Contains("Too many levels of symbolic links"));
    stage.link("link", "inner/file", geteuid());
    CHECK_THROWS_WITH(Folder::open(stage.in("link")), Catch::Contains("Not a directory"));
}

TEST_CASE("another user's link is not followed, wherever it is on the way") {
    if (geteuid() != 0) {
        WARN("skipped: takes root");
        return;
    }
    Stage stage;
    stage.link("way out", "../outer", somebody);
    CHECK(refused([&] { Folder::open(stage.in("way out")); }));
    CHECK(refused([&] { Folder::open_or_make(stage.in("way out"), 0750); }));
    CHECK(refused([&] { Folder::open(stage.in("way out/deeper")); }));
    stage.link("roots", "way out", 0);
    CHECK(refused([&] { Folder::open(stage.in("roots")); }));
    fs::create_symlink("his", stage.scratch / "another way");
    CHECK(refused([&] { Folder::open(stage.scratch / "another way/way out"); }));
    CHECK(get(stage.scratch / "outer/file") == "outer");
}

TEST_CASE("a folder that may only be entered is opened for what is in it") {
    if (geteuid() != 0) {
        WARN("skipped: takes root");
        return;
    }
    Stage stage;
    REQUIRE(chmod(stage.in("").c_str(), 0711) == 0);
    REQUIRE(chmod(stage.in("inner").c_str(), 0711) == 0);
    const int status = in_child([&] {
        if (setgid(4242) != 0 || setuid(4242) != 0) return 1;
        return Folder::open(stage.in("inner"))->read("file") == "inner" ? 7 : 2;
    });
    CHECK(ended_with(status, 7));
}

TEST_CASE("a file with a second name is opened where it is the folder's owner's alone") {
    if (geteuid() != 0) {
        WARN("skipped: takes root");
        return;
    }
    Stage stage;
    const auto folder = Folder::open(stage.in("inner"));
    fs::create_hard_link(stage.scratch / "outer/file", stage.in("inner/planted"));
    for (const int flags : {O_RDONLY, O_RDWR | O_CREAT, O_WRONLY | O_TRUNC})
        CHECK_THROWS_WITH(folder->open_file("planted", flags, 0600), Catch::Contains("has another name too"));
    CHECK(get(stage.scratch / "outer/file") == "outer");
    fs::create_hard_link(stage.in("inner/file"), stage.in("inner/own"));
    CHECK(folder->read("own") == "inner");
}
