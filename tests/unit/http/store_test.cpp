// SPDX-License-Identifier: MIT
// The partial file and its note.
#include "http/store.hpp"

#include "base/error.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <fstream>

using namespace blockhost;
using namespace blockhost::http;
namespace fs = std::filesystem;

namespace {

const std::string url = "https://h/image";
const Origin origin{url, "\"one\"", "Monday", 100};

void write(const fs::path& path, const std::string& content) {
    std::ofstream(path) << content;
}

} // namespace

TEST_CASE("a partial file is found again with what tells its file from others") {
    TemporaryFolder temporary;
    auto folder = Folder::open(temporary.path);
    {
        PartialFile partial(*folder, "image", url);
        CHECK(partial.origin() == Origin{});
        partial.begin(origin, 0);
        partial.append("abcdef");
    }
    PartialFile again(*folder, "image", url);
    CHECK(again.origin() == origin);
    CHECK(again.size() == 6);
    again.begin(origin, 3);
    again.append("xy");
    again.finish();
    CHECK(folder->read("image") == "abcxy");
    CHECK(folder->names() == std::vector<std::string>{"image"});
}

TEST_CASE("another URL's partial counts for nothing") {
    TemporaryFolder temporary;
    auto folder = Folder::open(temporary.path);
    write(temporary.path / "image.partial", "abc");
    PartialFile(*folder, "image", url).begin(origin, 3);
    CHECK(PartialFile(*folder, "image", url).origin() == origin);
    CHECK(PartialFile(*folder, "image", "https://h/other").origin() == Origin{});
}

TEST_CASE("a note that cannot be used is as good as none, and none gets into a header") {
    TemporaryFolder temporary;
    auto folder = Folder::open(temporary.path);
    write(temporary.path / "image.partial", "abc");
    for (auto note : {"", "{", "[]", "7", R"({"url": 7, "etag": "\"one\""})", R"({"etag": "\"one\""})"}) {
        write(temporary.path / "image.partial.json", note);
        CHECK(PartialFile(*folder, "image", url).origin() == Origin{});
    }
    write(temporary.path / "image.partial.json",
          R"({"url": "https://h/image", "etag": "\"a\"\r\nEvil: yes", "last_modified": "ä", "total": -1})");
    CHECK(PartialFile(*folder, "image", url).origin() == Origin{url, "", "", {}});
}

TEST_CASE("a partial without a byte does not stay") {
    TemporaryFolder temporary;
    auto folder = Folder::open(temporary.path);
    PartialFile(*folder, "image", url).begin(origin, 0);
    CHECK(folder->names().empty());
    PartialFile empty(*folder, "image", url);
    empty.begin({url, "", "", 0}, 0);
    empty.finish();
    CHECK(folder->names() == std::vector<std::string>{"image"});
}

TEST_CASE("two processes do not write one partial") {
    TemporaryFolder temporary;
    auto folder = Folder::open(temporary.path);
    PartialFile first(*folder, "image", url);
    try {
        PartialFile second(*folder, "image", url);
        FAIL("opened");
    } catch (const Error& error) {
        CHECK(error.code() == Code::busy);
    }
}

TEST_CASE("a planted link is not followed") {
    TemporaryFolder temporary;
    auto folder = Folder::open(temporary.path);
    write(temporary.path / "precious", "precious");
    fs::create_symlink("precious", temporary.path / "image.partial");
    CHECK_THROWS_AS(PartialFile(*folder, "image", url), Error);
    CHECK(folder->read("precious") == "precious");
}

TEST_CASE("a text larger than allowed is refused, announced or not") {
    Text text("https://h/list", 4);
    CHECK_THROWS_AS(text.begin({url, "", "", 5}, 0), Error);
    text.begin({url, "", "", {}}, 0);
    text.append("abcd");
    CHECK_THROWS_AS(text.append("e"), Error);
    text.begin({}, 0);
    text.append("xy");
    CHECK(text.take() == "xy");
}
