// SPDX-License-Identifier: MIT
// Lists of digests as sha512sum prints them.
#include "image/fetch.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::image;

namespace {

std::string digits(char c) {
    return std::string(128, c);
}

} // namespace

TEST_CASE("the digest of exactly that name is found, in text and in binary mode") {
    const std::string list = digits('a') + "  debian-12-generic-amd64.json\n" + digits('b') +
                             "  debian-12-generic-amd64.qcow2\r\n" + digits('c') + " *image two.raw\n";
    CHECK(digest_in_list(list, "debian-12-generic-amd64.qcow2") == digits('b'));
    CHECK(digest_in_list(list, "debian-12-generic-amd64.json") == digits('a'));
    CHECK(digest_in_list(list, "image two.raw") == digits('c'));
}

TEST_CASE("what is not in the list, or no digest, is not made up") {
    const std::string list =
        digits('a') + "  one.qcow2\nshort  two.qcow2\n<html>  three.qcow2\n\nfour.qcow2\n";
    for (const char* name : {"", "qcow2", "ne.qcow2", "two.qcow2", "three.qcow2", "four.qcow2", "one.qcow2 "})
        CHECK(digest_in_list(list, name).empty());
    CHECK(digest_in_list("", "one.qcow2").empty());
}
