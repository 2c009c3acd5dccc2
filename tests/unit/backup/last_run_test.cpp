// SPDX-License-Identifier: MIT
// What is remembered of a VM's last backup, and what of it is believed.
#include "backup/last_run.hpp"

#include "tests/unit/backup/support.hpp"

#include <sys/stat.h>

using namespace blockhost;
using namespace blockhost::backup;

namespace {

const std::string repository(64, 'a');
const VmName name("web-001");

struct State {
    TemporaryFolder folder;
    Paths paths;
    State() { paths.state = StateFolder(folder.path / "state"); }

    std::filesystem::path file() const { return folder.path / "state/backup/web-001.json"; }
    /// What is read, and why not.
    std::pair<std::optional<LastRun>, std::string> read(const Uuid& uuid,
                                                        const std::string& from = repository) const {
        std::string why;
        auto run = read_last_run(paths, name, uuid, from, why);
        return {std::move(run), why};
    }
};

LastRun example() {
    return {repository,
            std::string(64, 'b'),
            *Uuid::try_parse("11111111-2222-4333-8444-555555555555"),
            1'700'000'000'000'000'001,
            {{"vda", 10u << 20, 256u << 10, "1:2:3", {{{0, 2}, 1'700'000'000'000'000'001}, {{20, 1}, 5}}}}};
}

} // namespace

TEST_CASE("what is remembered comes back to the nanosecond, for its owner alone") {
    State state;
    const LastRun run = example();
    CHECK(state.read(run.uuid) == std::pair(std::optional<LastRun>(), std::string()));
    write_last_run(state.paths, name, run);
    CHECK(state.read(run.uuid) == std::pair(std::optional(run), std::string()));
    struct stat found {};
    REQUIRE(stat(state.file().parent_path().c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0700);
}

TEST_CASE("the checkpoint comes back with its description, whoever has the name") {
    State state;
    CHECK(remembered_checkpoint(state.paths, name).empty());
    LastRun run = example();
    run.checkpoint = "bh-1";
    run.checkpoint_xml = "<domaincheckpoint/>";
    write_last_run(state.paths, name, run);
    CHECK(state.read(run.uuid) == std::pair(std::optional(run), std::string()));
    CHECK(remembered_checkpoint(state.paths, name) == "bh-1");
    write(state.file(), "{", 0600);
    CHECK(remembered_checkpoint(state.paths, name).empty());
}

TEST_CASE("another VM's, another repository's and a damaged memory are told, and not used") {
    State state;
    const LastRun run = example();
    write_last_run(state.paths, name, run);
    CHECK(state.read(Uuid::random()).second == "it was an earlier VM of that name");
    CHECK(state.read(run.uuid, std::string(64, 'c')).second == "it went to another repository");
    for (const char* text : {"", "{", "[]", R"({"format":2})", R"({"format":1})"}) {
        write(state.file(), text, 0600);
        const auto [found, why] = state.read(run.uuid);
        CHECK_FALSE(found);
        CHECK_FALSE(why.empty());
    }
}

TEST_CASE("chunks out of place are no memory") {
    State state;
    LastRun run = example();
    run.disks[0].times = {{{5, 1}, 1}, {{0, 2}, 1}};
    write_last_run(state.paths, name, run);
    CHECK(state.read(run.uuid).second == "a disk: member \"times\" has a run out of place");
}

TEST_CASE("a folder that others may enter is not believed") {
    State state;
    const LastRun run = example();
    write_last_run(state.paths, name, run);
    REQUIRE(chmod(state.file().parent_path().c_str(), 0755) == 0);
    const auto [found, why] = state.read(run.uuid);
    CHECK_FALSE(found);
    CHECK(why.find("other users may enter it") != std::string::npos);
}

TEST_CASE("a run's time is later than the last one's, though the clock went back") {
    CHECK(time_of_run(5, std::nullopt) == 5);
    CHECK(time_of_run(5, example()) == example().at + 1);
    CHECK(time_of_run(example().at + 7, example()) == example().at + 7);
}
