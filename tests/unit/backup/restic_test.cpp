// SPDX-License-Identifier: MIT
// The real restic, and programs that answer as it does on bad days.
#include "backup/repositories/restic.hpp"

#include "tests/unit/backup/support.hpp"

#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::backup;
using namespace std::chrono_literals;

namespace {

void no_check() {}

const BackupCall plain{.host = "here", .tags = {"vm=a", "op=b"}};

struct Place {
    TemporaryFolder folder;
    std::filesystem::path repository = folder.path / "repository", files = folder.path / "files";

    Place() {
        write(files / "manifest.json", "{}\n");
        write(files / "vda/00000/00000000", std::string(300'000, 'x'));
    }
    Access access(const std::string& password = "secret") const { return {repository.string(), password}; }
    Restic restic(const std::string& password = "secret") const { return Restic(access(password), no_check); }

    /// Stores the files; the program runs in their folder.
    Stored store(const Restic& restic, const BackupCall& call = plain) const {
        ProcessSpec spec = restic.storing(call);
        spec.folder = files.string();
        std::string summary;
        spec.on_line = [&](std::string_view line) {
            if (read_backup_line(line, call.progress)) summary = line;
        };
        return restic.stored(run(spec), summary);
    }

    /// A program that answers like this, in place of restic.
    Restic strange(const std::string& script) const {
        write(folder.path / "strange", "#!/bin/sh\n" + script + "\n", 0755);
        Access access{"/somewhere", "secret"};
        access.program = (folder.path / "strange").string();
        return Restic(access, no_check);
    }
};

ProcessResult result(int status, const std::string& err) {
    return {.exit_status = status, .timed_out = false, .out = {}, .err = err};
}

} // namespace

TEST_CASE("what was stored is listed, and read back") {
    Place place;
    const Restic restic = place.restic();
    CHECK(restic.version().starts_with("0."));
    restic.make();
    CHECK(restic.repository_id().size() == 64);
    CHECK(restic.snapshots().empty());
    const Stored stored = place.store(restic);
    CHECK(stored.files_new == 2);
    CHECK(stored.bytes_processed == 300'003);
    const auto snapshots = restic.snapshots();
    REQUIRE(snapshots.size() == 1);
    CHECK(snapshots[0].id.starts_with(stored.snapshot));
    CHECK(snapshots[0].host == "here");
    CHECK(snapshots[0].tag("vm") == "a");
    CHECK_FALSE(snapshots[0].tag("uuid"));
    std::vector<std::string> listed;
    restic.list(snapshots[0].id, [&](const Node& node) {
        if (node.is_file) listed.push_back(node.path + " " + std::to_string(node.bytes));
    });
    CHECK(listed == std::vector<std::string>{"/manifest.json 3", "/vda/00000/00000000 300000"});
    CHECK(restic.file(snapshots[0].id, "/manifest.json", 100) == "{}\n");
    CHECK(refusal([&] { restic.file(snapshots[0].id, "/manifest.json", 2); }).first == Code::invalid);
    CHECK(refusal([&] { restic.file(snapshots[0].id, "/nothing", 2); }).first == Code::not_found);
    CHECK_NOTHROW(restic.verify(std::nullopt));
    CHECK_NOTHROW(restic.verify(100u));
    restic.forget({snapshots[0].id});
    CHECK(restic.snapshots().empty());
}

TEST_CASE("files that did not change since the parent are not read again") {
    Place place;
    const Restic restic = place.restic();
    restic.make();
    place.store(restic);
    BackupCall next = plain;
    next.parent = restic.snapshots().at(0).id;
    write(place.files / "manifest.json", "{\"a\":1}\n");
    const Stored stored = place.store(restic, next);
    CHECK(stored.files_unmodified == 1);
    CHECK(stored.files_changed == 1);
}

TEST_CASE("each trouble with a repository is told in its own sentence") {
    Place place;
    CHECK(refusal([&] { place.restic().snapshots(); }) ==
          std::pair(Code::not_found, "there is no repository at " + place.repository.string()));
    place.restic().make();
    CHECK(refusal([&] { place.restic().make(); }).first == Code::exists);
    CHECK(refusal([&] { place.restic("wrong").snapshots(); }) ==
          std::pair(Code::denied,
                    "the repository " + place.repository.string() + " does not take the password"));
    const Restic far({"rest:http://127.0.0.1:9/", "secret"}, no_check);
    const auto [code, sentence] = refusal([&] { far.snapshots(); });
    CHECK(code == Code::io);
    CHECK(sentence.find("the repository rest:http://127.0.0.1:9/ cannot be reached: ") == 0);
}

TEST_CASE("another user's restic needs nothing but the pipe to have the password") {
    if (geteuid() != 0) return;
    Place place;
    REQUIRE(chmod(place.folder.path.c_str(), 0711) == 0);
    std::filesystem::create_directory(place.repository);
    const Account nobody{65534, 65534, "/nonexistent"};
    Access access = place.access();
    access.user = nobody;
    const Restic restic(access, no_check);
    CHECK(refusal([&] { restic.make(); }).first == Code::denied);
    REQUIRE(chown(place.repository.c_str(), nobody.uid, nobody.gid) == 0);
    restic.make();
    struct stat made {};
    REQUIRE(stat((place.repository / "config").c_str(), &made) == 0);
    CHECK(made.st_uid == nobody.uid);
    CHECK(restic.snapshots().empty());
}

TEST_CASE("the password is in no argument and no environment") {
    Place place;
    const ProcessSpec spec = place.restic("very-secret").storing(plain);
    for (const auto& words : {spec.arguments, spec.environment})
        for (const std::string& word : words) CHECK(word.find("very-secret") == word.npos);
    CHECK(spec.input == "very-secret\n");
}

TEST_CASE("the lock of a process that was killed is removed; a living one's is respected") {
    Place place;
    const Restic restic = place.restic();
    restic.make();
    // It waits for its input while it holds the lock.
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t holder = fork();
    if (holder == 0) {
        dup2(ends[0], 0);
        close(ends[1]);
        setenv("RESTIC_PASSWORD", "secret", 1);
        execl("/usr/bin/restic", "restic", "-q", "--no-cache", "-r", place.repository.c_str(), "backup",
              "--stdin", nullptr);
        _exit(127);
    }
    close(ends[0]);
    const auto locks = place.repository / "locks";
    while (std::filesystem::is_empty(locks)) std::this_thread::sleep_for(20ms);
    const auto [code, sentence] = refusal([&] { restic.verify(std::nullopt); }); // it wants to be alone
    CHECK(code == Code::busy);
    CHECK(sentence.find("locked") != std::string::npos);
    REQUIRE(kill(holder, SIGKILL) == 0);
    REQUIRE(waitpid(holder, nullptr, 0) == holder);
    close(ends[1]);
    CHECK_FALSE(std::filesystem::is_empty(locks));
    CHECK_NOTHROW(restic.verify(std::nullopt));
    CHECK(std::filesystem::is_empty(locks));
}

TEST_CASE("a repository that is full, and one that is damaged") {
    if (geteuid() != 0) return;
    Place place;
    std::filesystem::create_directory(place.folder.path / "small");
    const auto small = place.folder.path / "small";
    if (mount("none", small.c_str(), "tmpfs", 0, "size=400k") != 0) return; // a host where root may not mount
    const Restic restic({(small / "repository").string(), "secret"}, no_check);
    restic.make();
    std::string noise;
    for (unsigned i = 0; noise.size() < 2'000'000; ++i) noise += std::to_string(i * 2654435761u);
    write(place.files / "noise", noise);
    CHECK(refusal([&] { place.store(restic); }).first == Code::no_room);
    CHECK(umount2(small.c_str(), MNT_DETACH) == 0);

    const Restic whole = place.restic();
    whole.make();
    place.store(whole);
    for (const auto& each : std::filesystem::recursive_directory_iterator(place.repository / "data"))
        if (each.is_regular_file()) std::filesystem::remove(each.path());
    const auto [code, sentence] = refusal([&] { whole.verify(std::nullopt); });
    CHECK(code == Code::io);
    CHECK(sentence.find("the repository is damaged: ") == 0);
}

TEST_CASE("a backup that lacks files is no backup") {
    Place place;
    const Restic restic = place.restic();
    CHECK(refusal([&] { restic.stored(result(3, "error: read vda: input/output error"), "{}"); }) ==
          std::pair(Code::io,
                    std::string("the backup lacks what could not be read: read vda: input/output error")));
    CHECK(refusal([&] { restic.stored(result(0, ""), ""); }).first == Code::program);
    CHECK(refusal([&] { restic.stored(result(0, ""), R"({"message_type":"summary"})"); }).first ==
          Code::program);
}

TEST_CASE("later versions tell troubles by exit status") {
    const Restic restic({"/somewhere", "secret"}, no_check);
    const auto code_of = [&](int status) {
        return refusal([&] { restic.require_success(result(status, "Fatal: it is so"), "it failed"); }).first;
    };
    CHECK(code_of(10) == Code::not_found);
    CHECK(code_of(11) == Code::busy);
    CHECK(code_of(12) == Code::denied);
    CHECK(code_of(1) == Code::program);
}

TEST_CASE("why ssh does not get there is told in its last words") {
    const Restic restic({"sftp:far:/srv", "secret"}, no_check);
    const std::string ended =
        "Fatal: unable to open repository at sftp:far:/srv: unable to start the sftp session, error: EOF";
    const auto sentence_of = [&](const std::string& words) {
        return refusal([&] { restic.require_success(result(1, words + ended), "it failed"); });
    };
    CHECK(sentence_of("subprocess ssh: Permission denied, please try again.\n"
                      "subprocess ssh: backup@far: Permission denied (publickey).\n") ==
          std::pair(Code::io, std::string("the repository sftp:far:/srv cannot be reached: ssh says: "
                                          "backup@far: Permission denied (publickey).")));
    CHECK(sentence_of("") ==
          std::pair(Code::io,
                    std::string("the repository sftp:far:/srv cannot be reached: ssh does not get there")));
}

TEST_CASE("a restic that is missing, too old, or none") {
    Place place;
    CHECK(refusal([&] { place.strange("echo restic 0.13.9 compiled").version(); }).second ==
          "restic 0.13.9 is too old: 0.14.0 is needed");
    CHECK(place.strange("echo restic 0.17.3-dev compiled with go").version() == "0.17.3-dev");
    CHECK(refusal([&] { place.strange("echo hello").version(); }).first == Code::program);
    CHECK(refusal([&] { place.strange("exit 3").version(); }).first == Code::program);
    Access access{"/somewhere", "secret"};
    access.program = "/nowhere/restic";
    const Restic missing(access, no_check);
    CHECK(refusal([&] { missing.version(); }).first == Code::program);
    CHECK(refusal([&] { missing.snapshots(); }) ==
          std::pair(Code::program, std::string("/nowhere/restic cannot be run")));
}

TEST_CASE("answers that are no answers are refused") {
    Place place;
    for (const char* answer : {"hello", "{}", "[{}]", R"([{"id":"x","time":"2026-01-01T00:00:00Z"}])"})
        CHECK(refusal([&] { place.strange("echo '" + std::string(answer) + "'").snapshots(); }).first ==
              Code::program);
    CHECK(refusal([&] { place.strange("echo '{}'").repository_id(); }).first == Code::program);
    CHECK(refusal([&] {
              place.strange(R"(echo '{"struct_type":"node","path":"no"}')").list("a", [](const Node&) {});
          }).first == Code::program);
}

TEST_CASE("who only looks takes no lock, and looks again where a prune was in the way") {
    Place place;
    const std::string counted = (place.folder.path / "calls").string();
    const Restic pruned = place.strange(
        "case \" $* \" in *' --no-lock '*) ;; *) exit 2 ;; esac\necho >>" + counted + "\n[ $(wc -l <" +
        counted + ") -gt 1 ] || { echo 'Fatal: pack 12345678 is gone' >&2; exit 1; }\necho '{\"id\":\"" +
        std::string(64, 'a') + "\"}'");
    CHECK(pruned.repository_id() == std::string(64, 'a'));
    CHECK(
        refusal([&] { place.strange("echo 'Fatal: pack 12345678 is gone' >&2; exit 1").repository_id(); }) ==
        std::pair(Code::program, std::string("restic cannot read the repository: pack 12345678 is gone")));
}

TEST_CASE("a list that lacks what could not be read is no list") {
    Place place;
    CHECK(refusal([&] {
              place.strange("echo '[]'; echo could not load snapshot 8a4f17ca: denied >&2").snapshots();
          }) ==
          std::pair(Code::io,
                    std::string("not every snapshot of the repository can be read: could not load snapshot "
                                "8a4f17ca: denied")));
}

TEST_CASE("whoever waits for restic can end it") {
    Place place;
    Access access{"/somewhere", "secret"};
    write(place.folder.path / "strange", "#!/bin/sh\nsleep 600\n", 0755);
    access.program = (place.folder.path / "strange").string();
    const Restic restic(access, [] { throw Error(Code::interrupted, "enough", "go on"); });
    CHECK(refusal([&] { restic.snapshots(); }).first == Code::interrupted);
}
