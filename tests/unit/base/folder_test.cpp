// SPDX-License-Identifier: MIT
// Folders that others can write to: nothing planted there leads us out.
#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/files/files.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>

using namespace blockhost;
using namespace blockhost::test;
namespace fs = std::filesystem;

namespace {

constexpr files::Ownership fresh{.mode = 0640, .uid = {}, .gid = {}};

/// A folder "in" of ours beside a secret and an outer folder.
struct Place {
    Scratch scratch;
    Folder folder;
    Place() : folder(Folder::open_or_make(scratch / "in", 0750)) {
        put(scratch / "secret", "secret");
        put(scratch / "outer/file", "outer");
    }
    fs::path in(const std::string& name) const { return scratch / ("in/" + name); }
};

Code code_of(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& e) {
        return e.code();
    }
    return Code::internal;
}

} // namespace

TEST_CASE("a folder is made once with its mode and opened afterwards") {
    Scratch scratch;
    CHECK_FALSE(Folder::open(scratch / "new"));
    mode_t before = umask(077);
    Folder::open_or_make(scratch / "new", 0751);
    umask(before);
    CHECK(mode_of(scratch / "new") == 0751);
    Folder::open_or_make(scratch / "new", 0700);
    CHECK(mode_of(scratch / "new") == 0751);
    CHECK(Folder::open(scratch / "new"));
    CHECK(code_of([&] { Folder::open_or_make(scratch / "a/b", 0700); }) == Code::io); // one level only
    put(scratch / "file", "");
    CHECK(code_of([&] { Folder::open(scratch / "file"); }) == Code::io);
}

TEST_CASE("what root makes in a folder belongs to the folder's owner") {
    if (geteuid() != 0) {
        WARN("skipped: takes root");
        return;
    }
    Scratch scratch;
    REQUIRE(chown(scratch.path().c_str(), 1, 1) == 0);
    Folder folder = Folder::open_or_make(scratch / "made", 0700);
    folder.make_sub("sub", 0700);
    folder.open_file("opened", O_RDWR | O_CREAT, 0600);
    folder.replace("replaced", "x", fresh);
    for (const char* name : {"made", "made/sub", "made/opened", "made/replaced"}) {
        CAPTURE(name);
        CHECK(look(scratch / name).st_uid == 1);
        CHECK(look(scratch / name).st_gid == 1);
    }
}

TEST_CASE("only single names are names") {
    Place place;
    for (std::string_view bad :
         {std::string_view(""), std::string_view("."), std::string_view(".."), std::string_view("../secret"),
          std::string_view("a/b"), std::string_view("/nonexistent"), std::string_view("a/"),
          std::string_view("a\0b", 3)}) {
        CAPTURE(bad);
        CHECK(code_of([&] { place.folder.read(bad); }) == Code::invalid);
        CHECK(code_of([&] { place.folder.replace(bad, "x", fresh); }) == Code::invalid);
        CHECK(code_of([&] { place.folder.remove(bad); }) == Code::invalid);
        CHECK(code_of([&] { place.folder.remove_tree(bad); }) == Code::invalid);
        CHECK(code_of([&] { place.folder.kind(bad); }) == Code::invalid);
        CHECK(code_of([&] { place.folder.sub(bad); }) == Code::invalid);
        CHECK(code_of([&] { place.folder.make_sub(bad, 0700); }) == Code::invalid);
        CHECK(code_of([&] { place.folder.open_file(bad, O_RDONLY); }) == Code::invalid);
    }
    CHECK_FALSE(place.folder.read("...")); // odd, but a name
}

TEST_CASE("a planted link is neither read nor written through nor entered") {
    Place place;
    fs::create_symlink("../secret", place.in("link"));
    fs::create_symlink("../outer", place.in("way out"));
    CHECK(code_of([&] { place.folder.read("link"); }) == Code::io);
    CHECK(code_of([&] { place.folder.open_file("link", O_RDWR | O_CREAT, 0600); }) == Code::io);
    CHECK(code_of([&] { place.folder.sub("way out"); }) == Code::io);
    CHECK(code_of([&] { place.folder.make_sub("way out", 0700); }) == Code::io);
    CHECK(code_of([&] { place.folder.remove_tree("way out"); }) == Code::io);
    place.folder.replace("link", "ours", fresh);
    CHECK(get(place.scratch / "secret") == "secret");
    CHECK(get(place.scratch / "outer/file") == "outer");
    CHECK(place.folder.read("link") == "ours");
}

TEST_CASE("a planted dangling link is not created through") {
    Place place;
    fs::create_symlink("../planted", place.in("link"));
    CHECK(code_of([&] { place.folder.open_file("link", O_RDWR | O_CREAT, 0600); }) == Code::io);
    CHECK_FALSE(fs::exists(place.scratch / "planted"));
}

TEST_CASE("a planted FIFO, folder or device does not pass for a file and does not hang us") {
    Place place;
    REQUIRE(mkfifo(place.in("fifo").c_str(), 0600) == 0);
    place.folder.make_sub("sub", 0700);
    for (int flags : {O_RDONLY, O_RDWR})
        CHECK(code_of([&] { place.folder.open_file("fifo", flags); }) == Code::io);
    CHECK(code_of([&] { place.folder.read("sub"); }) == Code::io);
    CHECK(place.folder.kind("fifo") == Folder::Kind::other);
}

TEST_CASE("files are opened, made and emptied as asked") {
    Place place;
    CHECK_FALSE(place.folder.open_file("file", O_RDONLY));
    CHECK(errno == ENOENT);
    mode_t before = umask(077);
    Fd made = place.folder.open_file("file", O_RDWR | O_CREAT, 0664);
    umask(before);
    REQUIRE(made);
    CHECK((fcntl(made.get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(mode_of(place.in("file")) == 0664);
    files::write_all(made.get(), "content", "file");
    CHECK(place.folder.open_file("file", O_RDWR | O_CREAT, 0600));
    CHECK(mode_of(place.in("file")) == 0664);
    CHECK(place.folder.read("file") == "content");
    CHECK(code_of([&] { place.folder.open_file("file", O_RDWR | O_CREAT | O_EXCL, 0600); }) == Code::io);
    CHECK(place.folder.open_file("file", O_WRONLY | O_CREAT | O_TRUNC, 0600));
    CHECK(place.folder.read("file") == "");
}

TEST_CASE("a torn or oversized file is told from a missing one") {
    Place place;
    CHECK_FALSE(place.folder.read("file"));
    put(place.in("file"), "");
    CHECK(place.folder.read("file") == "");
    put(place.in("file"), "12345");
    CHECK(place.folder.read("file", 5) == "12345");
    CHECK(code_of([&] { place.folder.read("file", 4); }) == Code::io);
}

TEST_CASE("replacing in a folder sets owner and mode, whatever was planted before") {
    Place place;
    put(place.in("file"), "planted");
    chmod(place.in("file").c_str(), 0666);
    place.folder.replace("file", "ours", fresh);
    CHECK(place.folder.read("file") == "ours");
    CHECK(mode_of(place.in("file")) == 0640);
    CHECK(place.folder.names() == std::vector<std::string>{"file"});
}

TEST_CASE("replacing follows the folder, not its path") {
    Place place;
    fs::rename(place.scratch / "in", place.scratch / "moved");
    fs::create_symlink("outer", place.scratch / "in");
    place.folder.replace("file", "ours", fresh);
    CHECK(get(place.scratch / "outer/file") == "outer");
    CHECK(get(place.scratch / "moved/file") == "ours");
}

TEST_CASE("kinds are told apart without following links") {
    Place place;
    put(place.in("file"), "");
    place.folder.make_sub("sub", 0700);
    fs::create_symlink("file", place.in("link"));
    CHECK(place.folder.kind("absent") == Folder::Kind::absent);
    CHECK(place.folder.kind("file") == Folder::Kind::file);
    CHECK(place.folder.kind("sub") == Folder::Kind::folder);
    CHECK(place.folder.kind("link") == Folder::Kind::other);
}

TEST_CASE("names are sorted and can be listed again and again") {
    Place place;
    for (const char* name : {"b", "a", ".c"}) put(place.in(name), "");
    CHECK(place.folder.names() == std::vector<std::string>{".c", "a", "b"});
    CHECK(place.folder.names().size() == 3);
}

TEST_CASE("removing takes files and links themselves, never folders") {
    Place place;
    put(place.in("file"), "");
    fs::create_symlink("../secret", place.in("link"));
    place.folder.make_sub("sub", 0700);
    CHECK(place.folder.remove("file"));
    CHECK_FALSE(place.folder.remove("file"));
    CHECK(place.folder.remove("link"));
    CHECK(get(place.scratch / "secret") == "secret");
    CHECK(code_of([&] { place.folder.remove("sub"); }) == Code::io);
    CHECK(place.folder.kind("sub") == Folder::Kind::folder);
}

TEST_CASE("removing a tree stays within it") {
    Place place;
    Folder sub = place.folder.make_sub("tree", 0700).make_sub("deep", 0700);
    sub.replace("file", "x", fresh);
    fs::create_directory_symlink("../../../outer", place.in("tree/deep/way out"));
    fs::create_symlink("../../secret", place.in("tree/link"));
    REQUIRE(mkfifo(place.in("tree/fifo").c_str(), 0600) == 0);
    CHECK(place.folder.remove_tree("tree"));
    CHECK_FALSE(place.folder.remove_tree("tree"));
    CHECK(place.folder.names().empty());
    CHECK(get(place.scratch / "outer/file") == "outer");
    CHECK(get(place.scratch / "secret") == "secret");
    put(place.in("file"), "");
    CHECK(code_of([&] { place.folder.remove_tree("file"); }) == Code::io);
}

TEST_CASE("a tree too deep to be ours is refused") {
    Place place;
    Folder at = place.folder.make_sub("deep", 0700);
    for (int i = 0; i < 70; ++i) at = at.make_sub("d", 0700);
    CHECK(code_of([&] { place.folder.remove_tree("deep"); }) == Code::io);
}

TEST_CASE("removing passes fault points before and after the work") {
    Place place;
    auto fails_at = [&](const char* specification, const std::function<void()>& work) {
        return ended_with(in_child([&] {
                              fault::arm(specification);
                              try {
                                  work();
                              } catch (const Error&) {
                                  return 0;
                              }
                              return 1;
                          }),
                          0);
    };
    put(place.in("file"), "");
    place.folder.make_sub("sub", 0700);
    CHECK(fails_at("fail@1", [&] { place.folder.remove("file"); }));
    CHECK(place.folder.kind("file") == Folder::Kind::file);
    CHECK(fails_at("fail@2", [&] { place.folder.remove("file"); }));
    CHECK(place.folder.kind("file") == Folder::Kind::absent);
    CHECK(fails_at("fail@1", [&] { place.folder.remove_tree("sub"); }));
    CHECK(place.folder.kind("sub") == Folder::Kind::folder);
    CHECK(fails_at("fail@2", [&] { place.folder.remove_tree("sub"); }));
    CHECK(place.folder.kind("sub") == Folder::Kind::absent);
}

TEST_CASE("what killed writers left of one file is removed, and nothing else") {
    Place place;
    for (const char* name :
         {".log.0123456789ab", ".log.0123456789aB", ".log.0123456789a", ".other.0123456789ab", "log"})
        place.folder.replace(name, "x", fresh);
    place.folder.remove_temporaries("log");
    CHECK(place.folder.kind(".log.0123456789ab") == Folder::Kind::absent);
    for (const char* name : {".log.0123456789aB", ".log.0123456789a", ".other.0123456789ab", "log"}) {
        CAPTURE(name);
        CHECK(place.folder.kind(name) == Folder::Kind::file);
    }
}
