// SPDX-License-Identifier: MIT
// Digests against the published examples (FIPS 180-4, NIST's example values).
#include "base/text/digest.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>

using namespace blockhost;
using namespace blockhost::test;

namespace {

const std::string abc_512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
const std::string abc_256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

} // namespace

TEST_CASE("digests are the published ones") {
    CHECK(sha256("abc") == abc_256);
    CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    Scratch folder;
    put(folder / "abc", "abc");
    const Fd file(::open((folder / "abc").c_str(), O_RDONLY));
    CHECK(digest_of(file.get(), Sha2::sha256, "abc") == abc_256);
    CHECK(digest_of(file.get(), Sha2::sha512, "abc") == abc_512);
}

TEST_CASE("a file is read whole and from its start, in blocks that are told of") {
    Scratch folder;
    const std::string content((9 << 20) + 1, 'a');
    put(folder / "large", content);
    const Fd file(::open((folder / "large").c_str(), O_RDONLY));
    lseek(file.get(), 5, SEEK_SET);
    std::vector<std::uint64_t> told;
    CHECK(digest_of(file.get(), Sha2::sha256, "large", [&](std::uint64_t n) { told.push_back(n); }) ==
          sha256(content));
    REQUIRE(told.size() > 1);
    CHECK(told.back() == content.size());
}

TEST_CASE("whoever is told of a block may end the reading") {
    Scratch folder;
    put(folder / "abc", "abc");
    const Fd file(::open((folder / "abc").c_str(), O_RDONLY));
    const auto stop = [](std::uint64_t) { throw Error(Code::interrupted, "enough"); };
    CHECK_THROWS_AS(digest_of(file.get(), Sha2::sha512, "abc", stop), Error);
    CHECK_THROWS_AS(digest_of(-1, Sha2::sha512, "nothing"), Error);
}

TEST_CASE("a SHA-512 digest is 128 hex digits and nothing else") {
    CHECK(as_sha512(abc_512) == abc_512);
    std::string upper = abc_512;
    for (char& c : upper) c = static_cast<char>(std::toupper(c));
    CHECK(as_sha512(upper) == abc_512);
    for (const std::string& bad :
         {std::string(), abc_256, abc_512 + "0", abc_512.substr(1) + "g", " " + abc_512})
        CHECK(as_sha512(bad).empty());
}
