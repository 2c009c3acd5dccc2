// SPDX-License-Identifier: MIT
// Folders that are one user's alone.
#include "store/private_folder.hpp"

#include "base/error.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::store;

namespace {

Folder opened(const TemporaryFolder& folder) {
    return std::move(*Folder::open(folder.path));
}

Code refusal(const std::function<void()>& call) {
    try {
        call();
    } catch (const Error& error) {
        CHECK_FALSE(error.hint().empty());
        return error.code();
    }
    return Code::internal;
}

} // namespace

TEST_CASE("a private folder is made for this user alone, also in another user's folder") {
    TemporaryFolder around;
    if (geteuid() == 0) REQUIRE(chown(around.path.c_str(), 65534, 65534) == 0);
    const Folder parent = opened(around);
    CHECK_FALSE(private_folder(parent, "agent"));
    make_private_folder(parent, "agent");
    struct stat made {};
    REQUIRE(stat((around.path / "agent").c_str(), &made) == 0);
    CHECK(made.st_uid == geteuid());
    CHECK((made.st_mode & 07777) == 0700);
    CHECK_NOTHROW(make_private_folder(parent, "agent"));
    CHECK(private_folder(parent, "agent"));
}

TEST_CASE("a folder that others may enter is refused") {
    TemporaryFolder around;
    const Folder parent = opened(around);
    make_private_folder(parent, "agent");
    REQUIRE(chmod((around.path / "agent").c_str(), 0710) == 0);
    CHECK(refusal([&] { make_private_folder(parent, "agent"); }) == Code::denied);
    CHECK(refusal([&] { private_folder(parent, "agent"); }) == Code::denied);
}

TEST_CASE("a folder of another user is refused") {
    if (geteuid() != 0) return;
    TemporaryFolder around;
    const Folder parent = opened(around);
    make_private_folder(parent, "agent");
    REQUIRE(chown((around.path / "agent").c_str(), 65534, 65534) == 0);
    CHECK(refusal([&] { make_private_folder(parent, "agent"); }) == Code::denied);
}

TEST_CASE("a link in the place of a private folder is not followed") {
    TemporaryFolder around, elsewhere;
    std::filesystem::create_symlink(elsewhere.path, around.path / "agent");
    CHECK_THROWS_AS(make_private_folder(opened(around), "agent"), Error);
    CHECK(std::filesystem::is_empty(elsewhere.path));
}
