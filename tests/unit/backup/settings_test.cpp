// SPDX-License-Identifier: MIT
// Where backups go, and the password's file.
#include "backup/settings.hpp"

#include "tests/unit/backup/support.hpp"

#include <sys/stat.h>

using namespace blockhost;
using namespace blockhost::backup;

namespace {

struct Etc {
    TemporaryFolder folder;
    Paths paths;
    Etc() { paths.etc = folder.path; }
};

} // namespace

TEST_CASE("settings come back as they were written, and their absence is told") {
    Etc etc;
    CHECK_FALSE(read_settings(etc.paths));
    CHECK(refusal([&] { require_settings(etc.paths); }).first == Code::config);
    const Settings settings{"sftp:backup@far:/srv", std::string(64, 'a'), "nobody"};
    write_settings(etc.paths, settings);
    CHECK(require_settings(etc.paths) == settings);
}

TEST_CASE("settings that are wrong are an error of the configuration, and not absent") {
    Etc etc;
    for (const char* text :
         {"", "[]", "{}", R"({"version":2,"repository":"/a","repository_id":"b","user":"c"})",
          R"({"version":1,"repository":"a","repository_id":"b","user":"c"})",
          R"({"version":1,"repository":"/a","repository_id":"b","user":"c","more":1})"}) {
        write(settings_file(etc.paths), text);
        try {
            read_settings(etc.paths);
            FAIL("taken: " << text);
        } catch (const Error& error) {
            CHECK(error.code() == Code::config);
        }
    }
}

TEST_CASE("an address has a form that restic takes, and no password in it") {
    for (const char* good : {"/srv/backup", "sftp:user@host:/srv", "rest:https://user@host/x",
                             "rclone:far:path", "rest:http://[::1]:8000/x", "sftp://user@host:2222//srv"})
        CHECK_NOTHROW(require_address(good));
    for (const char* bad : {"", "/", "srv", "--repo", "/srv/", "s3:host/bucket", "sftp:", "/srv\n"})
        CHECK(refusal([&] { require_address(bad); }).first == Code::invalid);
    for (const char* open : {"rest:https://user:secret@host/x", "sftp:user:secret@host:/x"})
        CHECK(refusal([&] { require_address(open); }).second ==
              "the repository's address has a password in it, which every user could read");
}

TEST_CASE("the password is its owner's alone, and a missing one is an error") {
    Etc etc;
    CHECK_FALSE(read_password(etc.paths));
    CHECK(refusal([&] { require_password(etc.paths); }).second.find("the repository's password is missing") ==
          0);
    write_password(etc.paths, "secret");
    CHECK(require_password(etc.paths) == "secret");
    CHECK(refusal([&] { write_password(etc.paths, "other"); }).first == Code::exists);
    struct stat found {};
    REQUIRE(stat(password_file(etc.paths).c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
    write(password_file(etc.paths), "secret\n", 0640);
    CHECK(refusal([&] { read_password(etc.paths); }).second.find("may be read or written by others") !=
          std::string::npos);
    write(password_file(etc.paths), "\n", 0600);
    CHECK(refusal([&] { read_password(etc.paths); }).second.find("holds no password") != std::string::npos);
    write(password_file(etc.paths), "one\ntwo\n", 0600);
    CHECK(refusal([&] { read_password(etc.paths); }).second.find("holds no password") != std::string::npos);
    std::filesystem::remove(password_file(etc.paths));
    write(etc.folder.path / "elsewhere", "secret\n", 0600);
    std::filesystem::create_symlink("elsewhere", password_file(etc.paths));
    CHECK(refusal([&] { read_password(etc.paths); }).first == Code::config);
}
