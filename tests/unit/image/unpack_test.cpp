// SPDX-License-Identifier: MIT
// What comes out of a guest's file system, and where it may go.
#include "image/files/appliance.hpp"
#include "image/files/restore_files.hpp"
#include "image/files/unpack.hpp"

#include "base/error.hpp"
#include "base/files/tar.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::image;
namespace fs = std::filesystem;

namespace {

struct Entry {
    char type = '0';
    std::string path = {}, content = {}, target = {};
    unsigned mode = 0644;
    std::string size = {}; ///< the field's own text; empty: that of the content
};

void put(std::string& head, std::size_t at, std::string_view text) {
    std::memcpy(head.data() + at, text.data(), text.size());
}

/// As GNU tar writes it.
std::string block_of(const Entry& entry) {
    std::string head(512, '\0');
    put(head, 0, std::string_view(entry.path).substr(0, 100));
    put(head, 100, fmt::format("{:07o}", entry.mode));
    put(head, 124, entry.size.empty() ? fmt::format("{:011o}", entry.content.size()) : entry.size);
    put(head, 136, fmt::format("{:011o}", 1000000000));
    head[156] = entry.type;
    put(head, 157, std::string_view(entry.target).substr(0, 100));
    put(head, 257, "ustar  ");
    put(head, 148, "        ");
    unsigned sum = 0;
    for (const char c : head) sum += static_cast<unsigned char>(c);
    put(head, 148, fmt::format("{:06o}", sum));
    head[154] = '\0';
    std::string padded = entry.content;
    padded.resize((padded.size() + 511) / 512 * 512);
    return head + padded;
}

std::string archive_of(const std::vector<Entry>& entries) {
    std::string all;
    for (const Entry& each : entries) all += block_of(each);
    return all + std::string(1024, '\0');
}

/// A folder "in", beside what nothing may reach.
struct Place {
    TemporaryFolder around;
    Folder folder;
    Place() : folder(Folder::open_or_make(around.path / "in", 0700)) {
        fs::create_directory(around.path / "outside");
    }

    Unpacked take(const std::string& archive, std::size_t deepest = 60) const {
        const Fd file(memfd_create("archive", 0));
        files::write_all(file.get(), archive, "archive");
        REQUIRE(lseek(file.get(), 0, SEEK_SET) == 0);
        Unpacked done = unpack(file.get(), folder, deepest, [] {});
        CHECK(fs::is_empty(around.path / "outside"));
        CHECK(std::distance(fs::directory_iterator(around.path), fs::directory_iterator()) == 2);
        return done;
    }
    Unpacked take(const std::vector<Entry>& entries) const { return take(archive_of(entries)); }
    fs::path in(const std::string& name) const { return around.path / "in" / name; }
    std::string content(const std::string& name) const { return files::read(in(name)).value(); }
};

Code code_of(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.code();
    }
    return Code::internal;
}

unsigned mode_of(const fs::path& path) {
    struct stat about {};
    REQUIRE(lstat(path.c_str(), &about) == 0);
    return about.st_mode & 07777;
}

} // namespace

TEST_CASE("files, folders and links come with their modes, without what raises a user") {
    const Place place;
    const Unpacked done = place.take({{.type = '5', .path = "./", .mode = 02750},
                                      {.type = '5', .path = "./a/", .mode = 01777},
                                      {.path = "./a/file", .content = "hello", .mode = 06755},
                                      {.type = '1', .path = "./a/again", .target = "./a/file"},
                                      {.type = '2', .path = "./out", .target = "/etc/shadow"}});
    CHECK((done.files == 2 && done.folders == 1 && done.links == 1 && done.left_out == 0 && done.bytes == 5));
    CHECK((mode_of(place.in("")) == 0750 && mode_of(place.in("a")) == 0777 &&
           mode_of(place.in("a/file")) == 0755));
    CHECK(place.content("a/file") == "hello");
    CHECK(fs::equivalent(place.in("a/file"), place.in("a/again")));
    CHECK(fs::read_symlink(place.in("out")) == "/etc/shadow");
    struct stat about {};
    REQUIRE(lstat(place.in("a/file").c_str(), &about) == 0);
    CHECK(about.st_mtime == 1000000000);
}

TEST_CASE("nothing goes through a link that came before, and nothing takes another's place") {
    const Place place;
    const Unpacked done = place.take({{.type = '2', .path = "way", .target = "../outside"},
                                      {.path = "way/file", .content = "x"},
                                      {.type = '5', .path = "way"},
                                      {.path = "way", .content = "x"},
                                      {.type = '1', .path = "second", .target = "way/file"},
                                      {.type = '1', .path = "third", .target = "way"},
                                      {.type = '2', .path = "way/deeper", .target = "x"},
                                      {.path = "file", .content = "first"},
                                      {.path = "file", .content = "again"},
                                      {.path = "file/below", .content = "x"}});
    CHECK((done.files == 1 && done.links == 1 && done.left_out == 8));
    CHECK(place.content("file") == "first");
}

TEST_CASE("devices and pipes are left out, whatever they bring along") {
    const Place place;
    const Unpacked done = place.take({{.type = '3', .path = "null"},
                                      {.type = '4', .path = "disk", .content = std::string(600, 'x')},
                                      {.type = '6', .path = "pipe"},
                                      {.type = 'S', .path = "sparse", .content = "x"},
                                      {.path = "file", .content = "here"}});
    CHECK((done.files == 1 && done.left_out == 4));
    CHECK(place.content("file") == "here");
}

TEST_CASE("a path that climbs ends it, also as the target of a hard link") {
    for (const char* path : {"../outside/file", "a/../../outside/file", ".."}) {
        const Place place;
        CHECK(code_of([&] { place.take({{.path = path, .content = "x"}}); }) == Code::invalid);
        CHECK(code_of([&] {
                  place.take({{.path = "a", .content = "x"}, {.type = '1', .path = "b", .target = path}});
              }) == Code::invalid);
    }
    const Place place;
    place.take({{.path = "/outside/file", .content = "x"}});
    CHECK(place.content("outside/file") == "x");
}

TEST_CASE("what lies too deep is left out, so that all can be removed again") {
    const Place place;
    CHECK(place.take(archive_of({{.path = "a/b/c", .content = "x"}, {.path = "a/b/c/d", .content = "x"}}), 3)
              .left_out == 1);
    CHECK(place.content("a/b/c") == "x");
}

TEST_CASE("zeros become holes, and long names are whole") {
    const Place place;
    const std::string name(200, 'n');
    place.take({{.type = 'L', .path = "././@LongLink", .content = name + '\0'},
                {.path = name.substr(0, 100),
                 .content = std::string(300000, '\0') + "end" + std::string(300000, '\0')}});
    struct stat about {};
    REQUIRE(lstat(place.in(name).c_str(), &about) == 0);
    CHECK((about.st_size == 600003 && about.st_blocks * 512 < 200000));
    CHECK(place.content(name).substr(300000, 3) == "end");
}

TEST_CASE("what is no archive is refused") {
    const std::string whole = archive_of({{.path = "a", .content = "xyz"}});
    for (const std::string& text :
         {whole.substr(0, 100), whole.substr(0, 513), std::string(512, 'x'),
          archive_of({{.type = 'x', .path = "pax"}}),
          archive_of({{.type = 'L', .path = "l", .content = std::string(70000, 'p')}, {.path = "a"}}),
          block_of({.type = 'L', .path = "l", .content = "name"}),
          archive_of({{.path = "a", .size = "77777777777"}}), archive_of({{.path = "a", .size = "abc"}}),
          archive_of({{.path = "a", .size = std::string(12, '\xff')}}),
          archive_of({{.path = "a", .size = "\x80" + std::string(11, '\xff')}}),
          archive_of({{.path = std::string(90, 'a') + "/" + std::string(9, 'b')},
                      {.type = 'L', .path = "l", .content = std::string(300, 'n')},
                      {.path = "n"}})}) {
        const Place place;
        CHECK(code_of([&] { place.take(text); }) == Code::invalid);
    }
    std::string flipped = whole;
    flipped[3] ^= 1;
    CHECK(code_of([&] { Place().take(flipped); }) == Code::invalid);
}

TEST_CASE("a size in GNU's large numbers is read") {
    const Place place;
    std::string size("\x80", 1);
    size += std::string(10, '\0') + "\x03";
    CHECK(place.take(archive_of({{.path = "a", .content = "xyz", .size = size}})).bytes == 3);
}

TEST_CASE("paths to restore are plain, absolute, and none within another") {
    CHECK(require_paths({"/etc//hosts/", "/srv/./www", "/srv/www2"}) ==
          std::vector<std::string>{"/etc/hosts", "/srv/www", "/srv/www2"});
    for (const char* path : {"", "etc", "/", "//.", "/../etc", "/etc/..", "./etc"})
        CHECK(code_of([&] { require_paths({path}); }) == Code::invalid);
    CHECK(code_of([] { require_paths({"/a", "/b", "/a"}); }) == Code::invalid);
    CHECK(code_of([] { require_paths({"/a/b", "/a"}); }) == Code::invalid);
    CHECK(code_of([] { require_paths({"/" + std::string(256, 'a')}); }) == Code::invalid);
    CHECK(code_of([] { require_paths(std::vector<std::string>(101, "/a")); }) == Code::usage);
}

TEST_CASE("a report tells what each path is") {
    const std::vector<std::string> paths{"/etc", "/etc/hosts", "/var/run"};
    const auto report = parse_report(
        "system 1\nunmounted 2f626f6f74\n0 folder\n2 link 2f72756e\n1 file 12 33188 -5\n", paths);
    CHECK(report.unmounted == std::vector<std::string>{"/boot"});
    CHECK(report.paths[0].kind == GuestPath::Kind::folder);
    CHECK((report.paths[1].bytes == 12 && report.paths[1].mode == 0100644 && report.paths[1].mtime == -5));
    CHECK(report.paths[2].target == "/run");
}

TEST_CASE("a report that says otherwise is refused") {
    const std::vector<std::string> one{"/etc"};
    const auto code = [&](const char* text) { return code_of([&] { parse_report(text, one); }); };
    CHECK(code("system 0\n") == Code::invalid);
    CHECK(code("system 2\n") == Code::invalid);
    CHECK(code("system 1\n0 missing\n") == Code::not_found);
    CHECK(code("system 1\n0 other\n") == Code::wrong_state);
    for (const char* text :
         {"", "system 1\n", "0 folder\n", "system 1\n1 folder\n", "system 1\n0 folder\n0 folder\n",
          "system 1\n0 folder x\n", "system 1\n0 file 1 2\n", "system 1\n0 file -1 2 3\n",
          "system 1\n0 link xy\n", "system 1\n0 door\n", "system 1\n0\n", "system x\n", "hello\n"})
        CHECK(code(text) == Code::program);
}
