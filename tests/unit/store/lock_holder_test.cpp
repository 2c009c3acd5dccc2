// SPDX-License-Identifier: MIT
// Who holds a lock, as the kernel tells.
#include "store/lock_holder.hpp"

#include "tests/unit/temporary_folder.hpp"

#include <fcntl.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::store;

TEST_CASE("a line of a held write lock is read") {
    const auto lock = held_write_lock("12: POSIX  ADVISORY  WRITE 4711 fd:0a:1234567 120 120");
    REQUIRE(lock);
    CHECK(lock->pid == 4711);
    CHECK(lock->major == 0xfd);
    CHECK(lock->minor == 0x0a);
    CHECK(lock->inode == 1234567);
}

TEST_CASE("other lines of the kernel's tell of no holder") {
    CHECK_FALSE(held_write_lock("12: -> POSIX  ADVISORY  WRITE 4711 fd:0a:1234567 120 120")); // it waits
    CHECK_FALSE(held_write_lock("12: POSIX  ADVISORY  READ 4711 fd:0a:1234567 120 120"));
    CHECK_FALSE(held_write_lock("12: FLOCK  ADVISORY  WRITE 4711 fd:0a:1234567 0 EOF"));
    CHECK_FALSE(held_write_lock("12: POSIX  ADVISORY  WRITE 0 fd:0a:1234567 0 EOF")); // of another namespace
    CHECK_FALSE(held_write_lock("12: POSIX  ADVISORY  WRITE 4711 fd:0a 0 EOF"));
    CHECK_FALSE(held_write_lock(""));
}

TEST_CASE("this process is found as the holder of its lock") {
    TemporaryFolder place;
    const Folder folder = std::move(*Folder::open(place.path));
    Fd file = folder.open_file("held", O_RDWR | O_CREAT, 0600);
    CHECK(lock_holders(folder, {"held", "absent"}).empty());
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    REQUIRE(fcntl(file.get(), F_SETLK, &whole) == 0);
    const auto holders = lock_holders(folder, {"held", "absent"});
    REQUIRE(holders.size() == 1);
    CHECK(holders[0].starts_with("process " + std::to_string(getpid()) + " ("));
    CHECK(holders[0].ends_with(", this process itself)"));
}
