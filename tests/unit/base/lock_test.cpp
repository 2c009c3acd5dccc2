// SPDX-License-Identifier: MIT
// flock between descriptors and between processes.
#include "base/files/lock.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fcntl.h>
#include <future>

using namespace blockhost;
using namespace blockhost::test;
using namespace std::chrono_literals;
using Mode = FileLock::Mode;

namespace {

Fd lock_file(const std::filesystem::path& path) {
    Fd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(fd);
    return fd;
}

} // namespace

TEST_CASE("a taken lock keeps others out until it is let go") {
    Scratch folder;
    Fd first = lock_file(folder / "lock"), second = lock_file(folder / "lock");
    {
        auto held = FileLock::try_take(first);
        REQUIRE(held);
        CHECK_FALSE(first); // taken over
        CHECK_FALSE(FileLock::try_take(second));
        CHECK(second); // still ours
        CHECK_FALSE(FileLock::try_take(second, Mode::shared));
    }
    CHECK(FileLock::try_take(second));
}

TEST_CASE("shared locks agree with each other") {
    Scratch folder;
    Fd first = lock_file(folder / "lock"), second = lock_file(folder / "lock"),
       third = lock_file(folder / "lock");
    auto one = FileLock::try_take(first, Mode::shared), two = FileLock::try_take(second, Mode::shared);
    CHECK(one);
    CHECK(two);
    CHECK_FALSE(FileLock::try_take(third));
}

TEST_CASE("waiting ends at the deadline or when we give up") {
    Scratch folder;
    Fd first = lock_file(folder / "lock");
    auto held = FileLock::try_take(first);
    CHECK_FALSE(FileLock::take(lock_file(folder / "lock"), Mode::exclusive, Deadline::in(30ms)));
    CHECK_FALSE(FileLock::take(lock_file(folder / "lock"), Mode::exclusive, Deadline::in(-1s)));
    int asked = 0;
    CHECK_FALSE(FileLock::take(lock_file(folder / "lock"), Mode::exclusive, Deadline::in(1h),
                               [&] { return ++asked == 3; }));
    CHECK(asked == 3);
}

TEST_CASE("a free lock is taken even when no time is left") {
    Scratch folder;
    CHECK(FileLock::take(lock_file(folder / "lock"), Mode::exclusive, Deadline::in(-1s)));
}

TEST_CASE("a waiter gets the lock of a process that was killed") {
    Scratch folder;
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    pid_t holder = fork();
    if (holder == 0) {
        Fd fd(open((folder / "lock").c_str(), O_RDWR | O_CREAT, 0600));
        auto held = FileLock::try_take(fd);
        if (write(ready[1], "x", 1) != 1) _exit(1);
        for (;;) pause();
    }
    char byte;
    REQUIRE(read(ready[0], &byte, 1) == 1);
    close(ready[0]);
    close(ready[1]);
    int looks = 0;
    auto lock = FileLock::take(lock_file(folder / "lock"), Mode::exclusive, Deadline::in(60s), [&] {
        if (++looks == 2) kill(holder, SIGKILL);
        return false;
    });
    CHECK(lock);
    CHECK(looks >= 2);
    waitpid(holder, nullptr, 0);
}

TEST_CASE("a locked file that was unlinked or replaced no longer has its name") {
    Scratch folder;
    Fd here(open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    Fd fd = lock_file(folder / "lock");
    auto lock = FileLock::try_take(fd);
    REQUIRE(lock);
    CHECK(lock->still_named(here.get(), "lock"));
    unlink((folder / "lock").c_str());
    CHECK_FALSE(lock->still_named(here.get(), "lock"));
    put(folder / "lock", "");
    CHECK_FALSE(lock->still_named(here.get(), "lock"));
    unlink((folder / "lock").c_str());
    // A link to the locked file is not the locked file.
    put(folder / "other", "");
    Fd other = lock_file(folder / "other");
    auto second = FileLock::try_take(other);
    std::filesystem::create_symlink("other", folder / "lock");
    CHECK_FALSE(second->still_named(here.get(), "lock"));
}

TEST_CASE("a lock by name is on the file that has the name when it is taken") {
    Scratch folder;
    const auto here = Folder::open(folder.path());
    auto held = FileLock::take_named(*here, "lock", 0600);
    REQUIRE(held);
    CHECK_FALSE(FileLock::take_named(*here, "lock", 0600));
    CHECK_FALSE(FileLock::take_named(*here, "lock", 0600, Deadline::in(30ms)));
    auto waiting = std::async(std::launch::async, [&] {
        const auto lock = FileLock::take_named(*here, "lock", 0600, Deadline::in(60s));
        return lock && lock->still_named(here->fd(), "lock");
    });
    CHECK(waiting.wait_for(30ms) == std::future_status::timeout);
    unlink((folder / "lock").c_str());
    held.reset();
    CHECK(waiting.get());
}

TEST_CASE("a lock by name in a folder that is gone is no endless try") {
    Scratch folder;
    const auto here = Folder::open_or_make(folder / "sub", 0700);
    rmdir((folder / "sub").c_str());
    CHECK_THROWS_WITH(FileLock::take_named(here, "lock", 0600),
                      Catch::Contains("vanishes as soon as it is made"));
}

TEST_CASE("a lock does not survive into a program that its holder starts") {
    Scratch folder;
    Fd fd = lock_file(folder / "lock");
    auto lock = FileLock::try_take(fd);
    CHECK((fcntl(lock->fd(), F_GETFD) & FD_CLOEXEC) != 0);
}
