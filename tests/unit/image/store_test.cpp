// SPDX-License-Identifier: MIT
// The templates folder: versions, links, what killed writers left.
#include "image/store.hpp"

#include "base/error.hpp"
#include "config/templates.hpp"
#include "image/prune.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::image;
using namespace blockhost::test;
namespace fs = std::filesystem;

namespace {

const std::string a = "aaaaaaaaaaaa", b = "bbbbbbbbbbbb", c = "cccccccccccc";

struct Play {
    Scratch scratch;
    Paths paths;
    Play() {
        paths.state = scratch / "state";
        paths.templates = scratch.path() / "state/templates";
        fs::create_directory(scratch / "bench");
    }
    Store store() const { return Store::open_or_make(paths); }
    fs::path in(const std::string& name) const { return paths.templates.string(name); }

    void publish(const std::string& id, int seconds = 0) const {
        put(scratch.path() / "bench/image", "content of " + id);
        const Manifest manifest{.id = id,
                                .made_at = Instant(std::chrono::seconds(1'700'000'000 + seconds)),
                                .made_by = "a test",
                                .origin = "nowhere",
                                .inputs = {{"key", "value"}},
                                .inside = {.packages = {{"sudo", "1.9"}}, .accounts = {"root", "sshd"}},
                                .virtual_bytes = 1ull << 40,
                                .bytes = 23,
                                .sha256 = "0123"};
        store().publish(*Folder::open(scratch / "bench"), "image", manifest, [] {});
    }
    std::string seen_by_create() const { return get(template_image(paths)); }
};

} // namespace

TEST_CASE("the id follows from the inputs alone") {
    CHECK(id_of({{"a", "1"}}) == id_of({{"a", "1"}}));
    CHECK(id_of({{"a", "1"}}) != id_of({{"a", "2"}}));
    CHECK(id_of({}).size() == 12);
}

TEST_CASE("a published version is read-only, complete, and told as it was") {
    Play play;
    play.publish(a);
    const auto manifest = play.store().version(a);
    REQUIRE(manifest);
    CHECK(manifest->inputs == boost::json::object{{"key", "value"}});
    CHECK(manifest->inside.packages == std::map<std::string, std::string>{{"sudo", "1.9"}});
    CHECK(manifest->inside.accounts == std::set<std::string>{"root", "sshd"});
    CHECK(template_accounts(play.paths, play.store().image(a)) == manifest->inside.accounts);
    CHECK(manifest->virtual_bytes == 1ull << 40);
    CHECK(manifest->made_at == Instant(std::chrono::seconds(1'700'000'000)));
    CHECK_FALSE(manifest->booted);
    struct stat image {};
    REQUIRE(stat(play.store().image(a).c_str(), &image) == 0);
    CHECK((image.st_mode & 07777) == 0444);
    CHECK(image.st_uid == geteuid());
    CHECK(get(play.store().image(a)) == "content of " + a);
    play.store().note_booted(a);
    CHECK(play.store().version(a)->booted);
    CHECK_FALSE(play.store().current());
}

TEST_CASE("a version is never written again") {
    Play play;
    play.publish(a);
    CHECK_THROWS_AS(play.publish(a, 5), Error);
    CHECK(get(play.store().image(a)) == "content of " + a);
}

TEST_CASE("the link leads to the version made current, by a name relative to its folder") {
    Play play;
    play.publish(a);
    play.publish(b, 1);
    play.store().make_current(a);
    CHECK(play.store().current() == a);
    CHECK(fs::read_symlink(play.in(template_link)) == "blockhost-base-" + a + ".qcow2");
    play.store().make_current(b);
    CHECK(play.seen_by_create() == "content of " + b);
    CHECK_FALSE(fs::exists(play.in(template_stand_in)));
    CHECK(play.store().versions().size() == 2);
    CHECK(play.store().versions().front().id == a);
}

TEST_CASE("a regular file of the old provisioner's keeps its name, and a stand-in leads to the new version") {
    Play play;
    play.publish(a);
    put(play.in(template_link), "what old disks stand on");
    CHECK(play.seen_by_create() == "what old disks stand on");
    play.store().make_current(a);
    CHECK(get(play.in(template_link)) == "what old disks stand on");
    CHECK(fs::is_regular_file(fs::symlink_status(play.in(template_link))));
    CHECK(play.seen_by_create() == "content of " + a);
    CHECK(play.store().current() == a);
    REQUIRE(play.store().old_base());

    play.store().replace_old_base();
    CHECK_FALSE(play.store().old_base());
    CHECK(fs::is_symlink(play.in(template_link)));
    CHECK_FALSE(fs::exists(fs::symlink_status(play.in(template_stand_in))));
    CHECK(play.seen_by_create() == "content of " + a);
}

TEST_CASE("an old base without any version of ours stays") {
    Play play;
    play.store();
    put(play.in(template_link), "old");
    play.store().replace_old_base();
    CHECK(get(play.in(template_link)) == "old");
}

TEST_CASE("a stand-in that a killed writer left behind the link goes with the next one") {
    Play play;
    play.publish(a);
    play.publish(b, 1);
    play.store().make_current(a);
    fs::create_symlink("blockhost-base-" + a + ".qcow2", play.in(template_stand_in));
    play.store().make_current(b);
    CHECK(play.seen_by_create() == "content of " + b);
    CHECK(play.store().current() == b);
}

TEST_CASE("leftovers of killed writers go, and nothing else") {
    Play play;
    play.publish(a);
    play.store().make_current(a);
    put(play.in("blockhost-base-" + b + ".json"), "{}");             // its image never came
    put(play.in("blockhost-base-" + c + ".qcow2"), "by hand");       // no version, and not ours to remove
    put(play.in(".blockhost-base.qcow2.0123456789ab"), "half");      // of a link
    put(play.in(".blockhost-base-" + b + ".json.0123456789ab"), ""); // of a manifest
    put(play.in(".blockhost-base.staging.qcow2"), "another program's");
    fs::create_symlink("nowhere", play.in(".blockhost-base.current.ffffffffffff"));
    play.store().clear_leftovers();
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(play.paths.templates.string()))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{".blockhost-base.staging.qcow2", "blockhost-base-" + a + ".json",
                                            "blockhost-base-" + a + ".qcow2",
                                            "blockhost-base-" + c + ".qcow2", "blockhost-base.qcow2"});
    CHECK(play.store().versions().size() == 1);
}

TEST_CASE("an image without a good manifest of its size is no version, and is told of") {
    Play play;
    play.publish(a);
    const std::string good = get(play.in("blockhost-base-" + a + ".json"));
    CHECK(play.store().strays().empty());
    for (const char* text :
         {"", "{", "[]", "{\"version\": \"bbbbbbbbbbbb\"}", "{\"version\": \"aaaaaaaaaaaa\"}"}) {
        put(play.in("blockhost-base-" + a + ".json"), text);
        CHECK(play.store().versions().empty());
        CHECK(play.store().strays() == std::vector<fs::path>{play.store().image(a)});
        CHECK(play.store().is_taken(a));
    }
    put(play.in("blockhost-base-" + a + ".json"), good);
    CHECK(play.store().versions().size() == 1);
    fs::permissions(play.store().image(a), fs::perms::owner_all);
    put(play.store().image(a), "cut");
    CHECK(play.store().versions().empty());
}

TEST_CASE("the current version is found however the link is spelled") {
    Play play;
    play.publish(a);
    play.publish(b, 1);
    const std::string name = "blockhost-base-" + a + ".qcow2";
    fs::create_symlink(name, play.in("alias"));
    for (const fs::path& target : {fs::path(name), fs::path("./" + name), fs::path("../templates/" + name),
                                   fs::path(play.in(name)), fs::path("alias")}) {
        INFO(target);
        fs::remove(play.in(template_link));
        fs::create_symlink(target, play.in(template_link));
        CHECK(play.store().current() == a);
        CHECK_FALSE(play.store().old_base());
        CHECK_FALSE(judge(play.store(), {})[0].goes());
        CHECK(judge(play.store(), {})[1].goes());
    }
}

TEST_CASE("an admin's link to where the old base was moved is an old base, and a link to nothing is none") {
    Play play;
    play.publish(a);
    put(play.scratch / "moved", "what old disks stand on");
    fs::create_symlink(play.scratch / "moved", play.in(template_link));
    REQUIRE(play.store().old_base());
    play.store().make_current(a);
    CHECK(get(play.in(template_link)) == "what old disks stand on");
    CHECK(play.seen_by_create() == "content of " + a);
    fs::remove(play.scratch / "moved");
    CHECK_FALSE(play.store().old_base());
    play.store().make_current(a);
    CHECK(fs::read_symlink(play.in(template_link)) == "blockhost-base-" + a + ".qcow2");
}

TEST_CASE("a version that either link leads to stays, whichever a killed build left behind") {
    Play play;
    play.publish(a);
    play.publish(b, 1);
    play.publish(c, 2);
    fs::create_symlink("blockhost-base-" + b + ".qcow2", play.in(template_link));
    fs::create_symlink("blockhost-base-" + a + ".qcow2", play.in(template_stand_in));
    const auto fates = judge(play.store(), {});
    CHECK(fates[0].current);
    CHECK_FALSE(fates[0].goes());
    CHECK_FALSE(fates[1].goes());
    CHECK(fates[2].goes());
}

TEST_CASE("an image that a guest holds a lock on is not removed") {
    Play play;
    play.publish(a);
    const auto image = play.store().image(a);
    CHECK_FALSE(is_in_use(image));
    {
        const Fd guest(::open(image.c_str(), O_RDONLY));
        struct flock shared {};
        shared.l_type = F_RDLCK;
        shared.l_start = 100; // as QEMU does for the right to read
        shared.l_len = 1;
        REQUIRE(fcntl(guest.get(), F_OFD_SETLK, &shared) == 0);
        CHECK(is_in_use(image));
        CHECK_THROWS_AS(play.store().remove(a), Error);
    }
    play.store().remove(a);
    CHECK_FALSE(fs::exists(image));
    CHECK_FALSE(play.store().version(a));
    CHECK_FALSE(is_in_use(image));
}

TEST_CASE("what was put in an image's place is neither waited for nor followed") {
    Play play;
    play.publish(a);
    REQUIRE(mkfifo(play.in("fifo").c_str(), 0600) == 0);
    CHECK_THROWS_WITH(is_in_use(play.in("fifo")), Catch::Contains("is not a regular file"));
    fs::create_symlink(image::Store::open(play.paths)->image(a), play.in("link"));
    CHECK_FALSE(is_in_use(play.in("link")));
    if (geteuid() != 0) return;
    REQUIRE(lchown(play.in("link").c_str(), 61523, 61523) == 0);
    CHECK_THROWS_AS(is_in_use(play.in("link")), Error);
}

TEST_CASE("only what is not current and has no user goes") {
    Play play;
    play.publish(a);
    play.publish(b, 1);
    play.publish(c, 2);
    play.store().make_current(c);
    const auto fates = judge(play.store(), {{files::identity(play.store().image(b)), {"web-1"}}});
    REQUIRE(fates.size() == 3);
    CHECK(fates[0].goes());
    CHECK_FALSE(fates[1].goes());
    CHECK(fates[1].users == std::vector<std::string>{"web-1"});
    CHECK_FALSE(fates[2].goes());
    CHECK(fates[2].current);
}
