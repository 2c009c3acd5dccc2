// SPDX-License-Identifier: MIT
// Keys that are made here, opened by the real restic.
#include "backup/keys/quick_key.hpp"

#include "tests/unit/backup/support.hpp"

#include <algorithm>
#include <sys/stat.h>

using namespace blockhost;
using namespace blockhost::backup;

namespace {

void no_check() {}

struct Place {
    TemporaryFolder folder;
    std::string password = random_hex(64);
    Restic restic{Access{(folder.path / "repository").string(), password}, no_check};
    Restic with(const std::string& other_password) const {
        return Restic(Access{restic.access().repository, other_password}, no_check);
    }
};

const std::string master_key = R"({"mac":{"k":"AAAA","r":"AAAA"},"encrypt":"AAAA"})";

} // namespace

TEST_CASE("a password that was made up opens its repository by a quick key alone") {
    Place place;
    place.restic.make();
    const std::string id = place.restic.repository_id(), was = place.restic.keys().at(0).id;
    const std::string key = put_quick_key(place.restic);
    const auto keys = place.restic.keys();
    REQUIRE(keys.size() == 1);
    CHECK(key.starts_with(keys[0].id));
    CHECK(keys[0].user == "blockhost-libvirt");
    CHECK(keys[0].is_current);
    CHECK_FALSE(key.starts_with(was));
    CHECK(place.restic.repository_id() == id);
    CHECK(place.restic.by_key(key).repository_id() == id);
    place.restic.verify(100);
    struct stat file {};
    REQUIRE(stat((place.folder.path / "repository/keys" / key).c_str(), &file) == 0);
    CHECK((file.st_mode & 0777) == 0400);

    SECTION("once") {
        CHECK(key.starts_with(put_quick_key(place.restic)));
        CHECK(place.restic.keys().size() == 1);
    }
    SECTION("and nobody else does") {
        try {
            place.with(random_hex(64)).repository_id();
            FAIL("it was opened");
        } catch (const Error& error) {
            CHECK(error.code() == Code::denied);
        }
    }
}

TEST_CASE("a key that is named and is not there keeps nobody out") {
    Place place;
    place.restic.make();
    CHECK(place.restic.by_key(std::string(64, 'a')).repository_id().size() == 64);
}

TEST_CASE("people's passwords and repositories elsewhere keep restic's own keys") {
    Place place;
    CHECK(put_quick_key(place.with("secret")) == "");
    CHECK(put_quick_key(place.with(std::string(63, 'a') + "g")) == "");
    CHECK(put_quick_key(Restic(Access{"sftp:somebody@nowhere.invalid:/backup", place.password}, no_check)) ==
          "");
}

TEST_CASE("a key that cannot be written leaves the one that is there") {
    Place place;
    place.restic.make();
    write(place.folder.path / "repository/new-key/in-the-way", "");
    CHECK_THROWS_AS(put_quick_key(place.restic), Error);
    CHECK(place.restic.keys().size() == 1);
    CHECK(place.restic.keys().at(0).user != "blockhost-libvirt");
}

TEST_CASE("what is no master key makes no key") {
    for (const char* text :
         {"", "[]", "{}", R"({"mac":[],"encrypt":"AAAA"})", R"({"mac":{"k":"AAAA"},"encrypt":"AAAA"})"})
        CHECK_THROWS_AS(make_key_file(text, std::string(64, 'a'), "here", now()), Error);
    const KeyFile one = make_key_file(master_key, std::string(64, 'a'), "here", now()),
                  other = make_key_file(master_key, std::string(64, 'a'), "here", now());
    CHECK(one.id.size() == 64);
    CHECK(one.id != other.id);
    CHECK(one.content.find("AAAA") == std::string::npos);
}
