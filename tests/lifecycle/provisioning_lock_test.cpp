// SPDX-License-Identifier: MIT
/// The provisioning lock names a live create as long as any runs.

#include "operations/provisioning_lock.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

struct Heard : Silence {
    std::vector<std::string> warnings;
    void warn(std::string_view text) override { warnings.emplace_back(text); }
};

class Scratch {
  public:
    Scratch() {
        std::string made = (std::filesystem::temp_directory_path() / "provisioning-test-XXXXXX").string();
        REQUIRE(mkdtemp(made.data()));
        path = made;
    }
    ~Scratch() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

std::string named(const Scratch& scratch) {
    std::ifstream file(scratch.path / "provisioning.lock");
    std::string text;
    file >> text;
    return text;
}

/// A child that holds the lock until it is told to leave (by a byte) or killed.
class Holder {
  public:
    explicit Holder(const Scratch& scratch) {
        int orders[2], ready[2];
        REQUIRE((pipe(orders) == 0 && pipe(ready) == 0));
        pid = fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            {
                Silence silence;
                const operations::ProvisioningLock lock(scratch.path, silence);
                char byte = 1;
                if (write(ready[1], &byte, 1) != 1 || read(orders[0], &byte, 1) != 1) _exit(1);
            }
            _exit(0);
        }
        char byte = 0;
        REQUIRE(read(ready[0], &byte, 1) == 1);
        order = orders[1];
        close(orders[0]);
        close(ready[0]);
        close(ready[1]);
    }
    void leave() {
        REQUIRE(write(order, "x", 1) == 1);
        wait();
    }
    void die() {
        ::kill(pid, SIGKILL);
        wait();
    }
    void wait() {
        waitpid(pid, nullptr, 0);
        close(order);
    }
    pid_t pid = -1;
    int order = -1;
};

template<class Condition>
bool soon(Condition condition) {
    for (int i = 0; i < 1200; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(50ms);
    }
    return false;
}

} // namespace

TEST_CASE("the lock is there while a create runs, and nothing is left afterwards") {
    const Scratch scratch;
    {
        Heard heard;
        const operations::ProvisioningLock lock(scratch.path, heard);
        CHECK(named(scratch) == std::to_string(getpid()));
        CHECK(heard.warnings.empty());
    }
    CHECK(std::filesystem::is_empty(scratch.path));
}

TEST_CASE("the lock goes with the last of several creates and always names one of them") {
    const Scratch scratch;
    Holder first(scratch), second(scratch);
    CHECK(named(scratch) == std::to_string(first.pid));
    first.leave();
    CHECK(named(scratch) == std::to_string(second.pid));
    second.leave();
    CHECK(std::filesystem::is_empty(scratch.path));
}

TEST_CASE("a killed create is soon not named any more, when another runs") {
    const Scratch scratch;
    Holder first(scratch), second(scratch);
    first.die();
    CHECK(soon([&] { return named(scratch) == std::to_string(second.pid); }));
    second.leave();
    CHECK(std::filesystem::is_empty(scratch.path));
}

TEST_CASE("what a killed create left is gone after the next") {
    const Scratch scratch;
    Holder first(scratch);
    first.die();
    CHECK(named(scratch) == std::to_string(first.pid));
    Holder second(scratch);
    CHECK(named(scratch) == std::to_string(second.pid));
    second.leave();
    CHECK(std::filesystem::is_empty(scratch.path));
}

TEST_CASE("the lock comes back when its folder is made anew under a running create") {
    const Scratch scratch;
    std::filesystem::create_directory(scratch.path / "run");
    Silence silence;
    const operations::ProvisioningLock lock(scratch.path / "run", silence);
    std::filesystem::remove_all(scratch.path / "run");
    std::filesystem::create_directory(scratch.path / "run");
    CHECK(soon([&] { return std::filesystem::exists(scratch.path / "run/provisioning.lock"); }));
}

TEST_CASE("a missing folder is a warning, not a failure") {
    const Scratch scratch;
    Heard heard;
    const operations::ProvisioningLock lock(scratch.path / "nowhere", heard);
    REQUIRE(heard.warnings.size() == 1);
    CHECK(heard.warnings.front().find("provisioning.lock") != std::string::npos);
}

TEST_CASE("a lock file that names nobody is no reason to go on without one") {
    const std::string said =
        GENERATE(std::string(), std::string("\n"), std::string("garbled"), std::string("../x"),
                 std::string("a/b"), std::string("."), std::string("-1"), std::string("0"),
                 std::string("99999999999999999999"), std::string(1000, 'x'), std::string("\0\0", 2));
    CAPTURE(said);
    const Scratch scratch;
    std::ofstream(scratch.path / "provisioning.lock") << said;
    {
        Heard heard;
        const operations::ProvisioningLock lock(scratch.path, heard);
        CHECK(heard.warnings.empty());
        CHECK(named(scratch) == std::to_string(getpid()));
    }
    CHECK(std::filesystem::is_empty(scratch.path));
}

TEST_CASE("a link in the lock file's place is replaced, not followed") {
    const Scratch scratch;
    std::ofstream(scratch.path / "elsewhere") << "kept";
    std::filesystem::create_symlink("elsewhere", scratch.path / "provisioning.lock");
    {
        Heard heard;
        const operations::ProvisioningLock lock(scratch.path, heard);
        CHECK(heard.warnings.empty());
        CHECK(named(scratch) == std::to_string(getpid()));
    }
    std::ifstream file(scratch.path / "elsewhere");
    std::string kept;
    file >> kept;
    CHECK(kept == "kept");
}
