// SPDX-License-Identifier: MIT
// What --source may be.
#include "image/source.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

using namespace blockhost;
using namespace blockhost::image;

TEST_CASE("sources are told apart by their spelling") {
    CHECK(parse_source("cloud").kind == Source::Kind::cloud);
    CHECK(parse_source("packages").kind == Source::Kind::packages);
    const Source file = parse_source("file:/srv/../srv/image.qcow2");
    CHECK(file.kind == Source::Kind::file);
    CHECK(file.where == "/srv/image.qcow2");
    CHECK(parse_source("file:///srv/image.qcow2").where == "/srv/image.qcow2");
    CHECK(parse_source("file:image.qcow2").where ==
          (std::filesystem::current_path() / "image.qcow2").string());
    const Source url = parse_source("https://example.org/image.qcow2");
    CHECK(url.kind == Source::Kind::url);
    CHECK(url.where == "https://example.org/image.qcow2");
}

TEST_CASE("what is no source is refused with what to do") {
    for (const char* bad : {"", "Cloud", "file:", "https://", "ftp://x/y", "/srv/image.qcow2", "http://x/y"})
        CHECK_THROWS_AS(parse_source(bad), Error);
    try {
        parse_source("http://example.org/image");
        FAIL("it was taken");
    } catch (const Error& error) {
        CHECK(error.code() == Code::invalid);
        CHECK(error.hint().find("https://") != std::string::npos);
    }
}
