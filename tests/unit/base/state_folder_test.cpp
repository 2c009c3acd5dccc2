// SPDX-License-Identifier: MIT
// What lies below the state folder is reached through one door.
#include "base/files/state_folder.hpp"

#include "base/error.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>

using namespace blockhost;
using namespace blockhost::test;
namespace fs = std::filesystem;

namespace {

constexpr uid_t somebody = 61523;

/// A state folder of somebody else's, beside a folder that is not his.
struct Stage {
    Scratch scratch;
    StateFolder state{scratch / "state"};
    Stage() {
        put(scratch / "outer/file", "outer");
        put(scratch / "state/metrics/file", "ours");
        if (geteuid() != 0) return;
        for (const char* each : {"state", "state/metrics", "state/metrics/file"})
            REQUIRE(chown((scratch / each).c_str(), somebody, somebody) == 0);
    }
    fs::path in(const std::string& name) const { return scratch / ("state/" + name); }
    void link(const std::string& name, const std::string& target, uid_t owner) const {
        fs::create_symlink(target, in(name));
        if (geteuid() == 0) REQUIRE(lchown(in(name).c_str(), owner, owner) == 0);
    }
};

bool refused(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.message().ends_with("is a link, which is not followed");
    }
    return false;
}

} // namespace

TEST_CASE("the state folder and what is in it are opened, made and spelled") {
    Stage stage;
    CHECK(stage.state.string() == (stage.scratch / "state").string());
    CHECK(stage.state.string("vms.json") == stage.in("vms.json").string());
    const StatePlace metrics(stage.state, "metrics"), fresh(stage.state, "fresh");
    CHECK(metrics.open()->read("file") == "ours");
    CHECK(metrics.string("file") == stage.in("metrics/file").string());
    CHECK_FALSE(fresh.open());
    fresh.make(0751);
    CHECK(mode_of(stage.in("fresh")) == 0751);
    CHECK(look(stage.in("fresh")).st_uid == look(stage.in("")).st_uid);

    const StateFolder none(stage.scratch / "none");
    CHECK_FALSE(none.open());
    CHECK_FALSE(StatePlace(none, "metrics").open());
    CHECK_THROWS_AS(StatePlace(none, "metrics").make(0750), Error);
    CHECK_FALSE(none.at(stage.scratch / "none/vms"));
    none.make();
    CHECK(none.open());
}

TEST_CASE("the state folder is opened once: another that takes its name is not entered") {
    Stage stage;
    REQUIRE(stage.state.open());
    fs::rename(stage.scratch / "state", stage.scratch / "away");
    put(stage.scratch / "state/metrics/file", "another's");
    CHECK(StatePlace(stage.state, "metrics").open()->read("file") == "ours");
}

TEST_CASE("a link in the place of a state folder is followed by nobody") {
    Stage stage;
    for (const uid_t owner : {somebody, uid_t{0}}) {
        CAPTURE(owner);
        stage.link("journal", "../outer", owner);
        const StatePlace journal(stage.state, "journal");
        CHECK(refused([&] { journal.open(); }));
        CHECK(refused([&] { journal.make(0750); }));
        fs::remove(stage.in("journal"));
    }
}

TEST_CASE("where bulky things may be moved to, root's link is followed, and nobody else's") {
    Stage stage;
    const StatePlace disks(stage.state, "vms", StatePlace::Links::of_root);
    stage.link("vms", "../outer", geteuid());
    CHECK(disks.open()->read("file") == "outer");
    CHECK(disks.make(0711).read("file") == "outer");
    CHECK(stage.state.at(stage.in("vms"))->read("file") == "outer");
    if (geteuid() != 0) return;
    fs::remove(stage.in("vms"));
    stage.link("vms", "../outer", somebody);
    CHECK(refused([&] { disks.open(); }));
    CHECK(refused([&] { disks.make(0711); }));
    CHECK(refused([&] { stage.state.at(stage.in("vms")); }));
    fs::remove(stage.in("vms"));
    stage.link("vms", "metrics", 0); // root's, to what is somebody's link
    fs::remove_all(stage.in("metrics"));
    stage.link("metrics", "../outer", somebody);
    CHECK(refused([&] { disks.open(); }));
    fs::remove(stage.in("metrics"));
    stage.link("metrics", "vms", 0);
    CHECK_THROWS_WITH(disks.open(), Catch::Contains("Too many levels of symbolic links"));
}

TEST_CASE("a configured place is found in the state folder and elsewhere, through no link of others") {
    Stage stage;
    CHECK(stage.state.at(stage.in("metrics/"))->read("file") == "ours");
    CHECK(stage.state.at(stage.in("."))->sub("metrics"));
    CHECK(stage.state.at(stage.scratch / "outer")->read("file") == "outer");
    CHECK_FALSE(stage.state.at(stage.scratch / "none/deeper"));
    CHECK_THROWS_AS(stage.state.at(stage.in("metrics/file")), Error);
    CHECK(StateFolder().at(stage.scratch / "outer")->read("file") == "outer");
    if (geteuid() != 0) return;
    fs::create_symlink("state", stage.scratch / "another way"); // root's, and then somebody's
    stage.link("way out", "../outer", somebody);
    CHECK(stage.state.at(stage.scratch / "another way/metrics")->read("file") == "ours");
    CHECK(refused([&] { stage.state.at(stage.scratch / "another way/way out"); }));
    CHECK(refused([&] { stage.state.at(stage.scratch / "another way/way out/deeper"); }));
}

TEST_CASE("a configured file that is a link is found where root's leads, and nowhere else") {
    Stage stage;
    CHECK(stage.state.file_at(stage.in("vms.json"))->name == "vms.json");
    CHECK_FALSE(stage.state.file_at(stage.in("none/vms.json")));
    stage.link("vms.json", "../outer/file", geteuid());
    const auto found = stage.state.file_at(stage.in("vms.json"));
    CHECK(found->name == "file");
    CHECK(found->folder.read("file") == "outer");
    if (geteuid() != 0) return;
    fs::remove(stage.in("vms.json"));
    stage.link("vms.json", "../outer/file", somebody);
    CHECK(refused([&] { stage.state.file_at(stage.in("vms.json")); }));
    fs::remove(stage.in("vms.json"));
    stage.link("vms.json", "vms.json", 0);
    CHECK_THROWS_AS(stage.state.file_at(stage.in("vms.json")), Error);
}

TEST_CASE("a path names a folder of ours by what it leads to, or by its spelling where there is none") {
    Stage stage;
    fs::create_symlink("state", stage.scratch / "another way");
    const StatePlace metrics(stage.state, "metrics"), none(stage.state, "none");
    CHECK(stage.state.is(stage.scratch / "another way"));
    CHECK(stage.state.is(stage.scratch / "outer/../state/"));
    CHECK_FALSE(stage.state.is(stage.scratch / "outer"));
    CHECK_FALSE(stage.state.is(stage.scratch / "none"));
    CHECK(metrics.is(stage.scratch / "another way/metrics"));
    CHECK_FALSE(metrics.is(stage.in("")));
    CHECK(none.is(stage.in("./none/")));
    CHECK_FALSE(none.is(stage.in("metrics")));
    CHECK(stage.state.is_same(stage.in("metrics"), stage.scratch / "another way/metrics"));
    CHECK(stage.state.is_same(stage.scratch / "none/", stage.scratch / "none"));
    CHECK_FALSE(stage.state.is_same(stage.in("metrics"), stage.scratch / "outer"));
    if (geteuid() != 0) return;
    stage.link("vms", "../outer", somebody);
    CHECK(refused([&] { stage.state.is_same(stage.scratch / "outer", stage.in("vms")); }));
    CHECK(refused([&] { StatePlace(stage.state, "vms").is(stage.scratch / "outer"); }));
}

TEST_CASE("what may not be listed is entered all the same") {
    Stage stage;
    if (geteuid() == 0) return; // who may list everything
    fs::permissions(stage.in(""), fs::perms(0311));
    CHECK(StatePlace(stage.state, "metrics").open()->read("file") == "ours");
    fs::permissions(stage.in(""), fs::perms(0755));
}
