// SPDX-License-Identifier: MIT
/// Registry: locking, patience, durable replacing, and living together with writers in Python.

#include "base/error.hpp"
#include "base/files/lock.hpp"
#include "registry/registry.hpp"
#include "support.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace blockhost;
using namespace std::chrono_literals;

namespace {

const RegistryWaits impatient{.lock = 50ms, .torn_retries = 2, .torn_pause = 1ms};

Error error_of(const std::function<void()>& act) {
    try {
        act();
    } catch (const Error& error) {
        return error;
    }
    FAIL("nothing was thrown");
    return {Code::internal, ""};
}

void allocate(Database& database, std::uint32_t address) {
    database.allocate({Ipv4(address), std::nullopt});
}

struct stat look(const std::filesystem::path& path) {
    struct stat status {};
    REQUIRE(lstat(path.c_str(), &status) == 0);
    return status;
}

mode_t mode_of(const std::filesystem::path& path) {
    return look(path).st_mode & 07777;
}

std::vector<std::string> names_in(const test::Folder& folder) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

/// Skips the rest of a test that needs root, saying so.
bool is_root() {
    if (geteuid() == 0) return true;
    WARN("skipped: needs root");
    return false;
}

/// Runs `act` in a child process; its exit status. Catch's assertions do not work in there.
int in_child(const std::function<int()>& act) {
    const pid_t child = fork();
    if (child == 0) {
        int status = 99;
        try {
            status = act();
        } catch (...) {
        }
        _exit(status);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/// 20,000 records, as many addresses.
std::string large_database() {
    std::string vms, ips;
    for (int i = 0; i < 20'000; ++i) {
        const std::string n = std::to_string(i), ip = Ipv4(0x0A000000u + i).str(), comma = i ? ",\n" : "\n";
        vms += comma + "    \"vm-" + n + "\": {\n      \"vm_name\": \"vm-" + n +
               "\",\n      \"ip_address\": \"" + ip +
               "\",\n      \"status\": \"active\",\n      \"nft_token_id\": 1" + n + ".0\n    }";
        ips += comma + "    \"" + ip + "\"";
    }
    return "{\n  \"vms\": {" + vms + "\n  },\n  \"allocated_ips\": [" + ips + "\n  ]\n}";
}

} // namespace

TEST_CASE("An absent file is an empty database and is made by the first change, not by reading") {
    test::Folder folder;
    const Registry registry(folder / "vms.json");
    CHECK(registry.read().records().empty());
    CHECK(names_in(folder).empty());
    registry.change([](Database& db) { allocate(db, 0x0A000001); });
    CHECK(test::content(folder / "vms.json") == R"({
  "vms": {},
  "next_vmid": 0,
  "allocated_ips": [
    "10.0.0.1"
  ],
  "allocated_ipv6": []
})");
    CHECK(names_in(folder) == std::vector<std::string>{"vms.json", "vms.json.lock"});
    CHECK(mode_of(folder / "vms.json") == 0640);
    CHECK(mode_of(folder / "vms.json.lock") == 0660);
}

TEST_CASE("A change that changes nothing, or throws, leaves the file untouched") {
    test::Folder folder;
    const std::string compact = R"({"vms":{},"n":1.10})";
    test::put(folder / "vms.json", compact);
    const Registry registry(folder / "vms.json");
    const auto inode = look(folder / "vms.json").st_ino;
    registry.change([](Database&) {});
    CHECK(error_of([&] {
              registry.change([](Database& db) {
                  allocate(db, 1);
                  throw Error(Code::no_room, "full");
              });
          }).code() == Code::no_room);
    CHECK(test::content(folder / "vms.json") == compact);
    CHECK(look(folder / "vms.json").st_ino == inode);
    registry.change([](Database& db) { allocate(db, 1); });
    CHECK(test::content(folder / "vms.json").find("\"n\": 1.10") != std::string::npos);
}

TEST_CASE("An empty or torn file is refused by reading and changing, and never overwritten") {
    test::Folder folder;
    const Registry registry(folder / "vms.json", impatient);
    for (const std::string torn : {"", "{\"vms\": {\n  \"a", "{}}", "\xEF\xBB\xBF{}"}) {
        test::put(folder / "vms.json", torn);
        bool called = false;
        for (const Error& error : {error_of([&] { registry.read(); }),
                                   error_of([&] { registry.change([&](Database&) { called = true; }); })}) {
            CHECK(error.code() == Code::registry);
            CHECK(error.message().find((folder / "vms.json").string() + " is not valid JSON (line ") !=
                  std::string::npos);
            CHECK(error.message().find("; nothing was changed") != std::string::npos);
            CHECK_FALSE(error.hint().empty());
        }
        CHECK_FALSE(called);
        CHECK(test::content(folder / "vms.json") == torn);
    }
}

TEST_CASE("A database of a wrong shape is refused with the file's name") {
    test::Folder folder;
    test::put(folder / "vms.json", R"({"vms": []})");
    const Error error = error_of([&] { Registry(folder / "vms.json", impatient).read(); });
    CHECK(error.code() == Code::registry);
    CHECK(error.message().find((folder / "vms.json").string()) == 0);
}

TEST_CASE("A file that is torn for a moment is read once it is whole") {
    test::Folder folder;
    test::put(folder / "vms.json", "{\"vms\": {");
    std::atomic<int> looks = 0;
    RegistryWaits waits{.lock = 1s, .torn_retries = 5, .torn_pause = 1ms};
    // give_up is looked at before each pause: the third look finds the writer done.
    waits.give_up = [&] {
        if (++looks == 3) test::put(folder / "vms.json", R"({"allocated_ips": ["10.0.0.1"]})");
        return false;
    };
    const Registry registry(folder / "vms.json", waits);
    CHECK(registry.read().holds(Ipv4(0x0A000001)));
    CHECK(looks == 3);
}

TEST_CASE("Readers never see a torn file while an unlocked writer rewrites it in place") {
    test::Folder folder;
    const std::string text = large_database();
    test::put(folder / "vms.json", text);
    const Registry registry(folder / "vms.json", {.lock = 30s, .torn_retries = 1000, .torn_pause = 1ms});
    std::atomic<bool> stop = false;
    std::jthread writer([&] {
        for (int i = 0; i < 10 && !stop; ++i) {
            std::ofstream out(folder / "vms.json", std::ios::binary); // truncates, as open("w") does
            out << text.substr(0, text.size() / 2) << std::flush;
            std::this_thread::sleep_for(5ms);
            out << text.substr(text.size() / 2);
        }
    });
    std::size_t wrong = 0;
    for (int i = 0; i < 5; ++i)
        if (registry.read().records().size() != 20'000) ++wrong;
    stop = true;
    CHECK(wrong == 0);
}

TEST_CASE("A lock that another program holds too long is an error that names it, and nothing is written") {
    test::Folder folder;
    test::put(folder / "vms.json", "{}");
    Fd held(open((folder / "vms.json.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    REQUIRE(flock(held.get(), LOCK_EX) == 0);
    const Error error = error_of(
        [&] { Registry(folder / "vms.json", impatient).change([](Database& db) { allocate(db, 1); }); });
    CHECK(error.code() == Code::registry);
    CHECK(error.message().find((folder / "vms.json.lock").string()) != std::string::npos);
    CHECK(test::content(folder / "vms.json") == "{}");
    SECTION("reading needs no lock") {
        CHECK(Registry(folder / "vms.json").read().records().empty());
    }
    SECTION("the wait ends when the caller is asked to give up") {
        const Registry registry(folder / "vms.json", {.lock = 1min, .give_up = [] { return true; }});
        CHECK(error_of([&] { registry.change([](Database&) {}); }).code() == Code::interrupted);
    }
    SECTION("the lock is taken once it is free") {
        held = Fd();
        Registry(folder / "vms.json", impatient).change([](Database& db) { allocate(db, 1); });
        CHECK(test::content(folder / "vms.json") != "{}");
    }
}

TEST_CASE("The lock is held while the change is made and free afterwards") {
    test::Folder folder;
    const auto is_free = [&] {
        Fd fd(open((folder / "vms.json.lock").c_str(), O_RDONLY | O_CLOEXEC));
        return flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
    };
    bool free_inside = true;
    Registry(folder / "vms.json").change([&](Database&) { free_inside = is_free(); });
    CHECK_FALSE(free_inside);
    CHECK(is_free());
}

TEST_CASE("No program started meanwhile inherits the lock") {
    test::Folder folder;
    SECTION("a lock file that is new") {}
    SECTION("a lock file that was there") {
        test::put(folder / "vms.json.lock", "");
    }
    int seen = 0, inherited = 0;
    Registry(folder / "vms.json").change([&](Database&) {
        for (int fd = 0; fd < 256; ++fd) {
            std::error_code closed;
            const auto target = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), closed);
            if (target != folder / "vms.json.lock") continue;
            ++seen;
            if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC)) ++inherited;
        }
    });
    CHECK(seen == 1);
    CHECK(inherited == 0);
}

TEST_CASE("A lock file that we may only read serves") {
    test::Folder folder;
    if (!is_root()) return;
    test::put(folder / "vms.json", "{}");
    test::put(folder / "vms.json.lock", "");
    REQUIRE(chown(folder.path().c_str(), 4242, 4242) == 0);
    REQUIRE(chown((folder / "vms.json").c_str(), 4242, 4242) == 0);
    CHECK(in_child([&] {
              if (setgid(4242) != 0 || setuid(4242) != 0) return 1;
              const Registry registry(folder / "vms.json", impatient);
              registry.check_writable();
              registry.change([](Database& db) { allocate(db, 1); });
              return 0;
          }) == 0);
    CHECK(test::content(folder / "vms.json") != "{}");
}

TEST_CASE("An existing file keeps owner and mode, and root's lock file goes to the folder's owner") {
    test::Folder folder;
    if (!is_root()) return;
    test::put(folder / "vms.json", "{}");
    REQUIRE(chown(folder.path().c_str(), 4242, 4343) == 0);
    REQUIRE(chown((folder / "vms.json").c_str(), 4141, 4343) == 0);
    REQUIRE(chmod((folder / "vms.json").c_str(), 0604) == 0);
    SECTION("a lock file that is new") {}
    SECTION("a lock file that root made before") {
        test::put(folder / "vms.json.lock", "");
    }
    Registry(folder / "vms.json").change([](Database& db) { allocate(db, 1); });
    const auto file = look(folder / "vms.json"), lock = look(folder / "vms.json.lock");
    CHECK(file.st_uid == 4141);
    CHECK(file.st_gid == 4343);
    CHECK((file.st_mode & 07777) == 0604);
    CHECK(lock.st_uid == 4242);
    CHECK(lock.st_gid == 4343);
    CHECK((lock.st_mode & 07777) == 0660);
}

TEST_CASE("A file that its owner could not read or write gets back these two rights and no more") {
    test::Folder folder;
    if (!is_root()) return;
    test::put(folder / "vms.json", "{}");
    REQUIRE(chown((folder / "vms.json").c_str(), 4141, 4343) == 0);
    REQUIRE(chmod((folder / "vms.json").c_str(), 0040) == 0);
    Registry(folder / "vms.json").change([](Database& db) { allocate(db, 1); });
    CHECK(look(folder / "vms.json").st_uid == 4141);
    CHECK(look(folder / "vms.json").st_gid == 4343);
    CHECK(mode_of(folder / "vms.json") == 0640);
}

TEST_CASE("A new file made by root belongs to the folder's owner where there is no blockhost user") {
    test::Folder folder;
    if (!is_root()) return;
    if (getpwnam("blockhost")) {
        WARN("skipped: this machine has a blockhost user");
        return;
    }
    REQUIRE(chown(folder.path().c_str(), 4242, 4343) == 0);
    Registry(folder / "vms.json").change([](Database& db) { allocate(db, 1); });
    CHECK(look(folder / "vms.json").st_uid == 4242);
    CHECK(look(folder / "vms.json").st_gid == 4343);
}

TEST_CASE("A new file made by root belongs to the blockhost user where there is one") {
    test::Folder folder;
    if (!is_root()) return;
    test::put(folder / "passwd", "root:x:0:0::/:/bin/sh\nblockhost:x:4141:4040::/:/bin/sh\n");
    const int status = in_child([&] {
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount((folder / "passwd").c_str(), "/etc/passwd", nullptr, MS_BIND, nullptr) != 0)
            return 77;
        Registry(folder / "vms.json").change([](Database& db) { allocate(db, 1); });
        return 0;
    });
    if (status == 77) {
        WARN("skipped: no private mount namespace here");
        return;
    }
    REQUIRE(status == 0);
    CHECK(look(folder / "vms.json").st_uid == 4141);
    CHECK(look(folder / "vms.json").st_gid == 4040);
}

TEST_CASE("A second name of another file in the lock's place does not change that file's owner") {
    test::Folder folder;
    if (!is_root()) return;
    test::put(folder / "precious", "");
    std::filesystem::create_hard_link(folder / "precious", folder / "vms.json.lock");
    REQUIRE(chown(folder.path().c_str(), 4242, 4343) == 0);
    Registry(folder / "vms.json").change([](Database& db) { allocate(db, 1); });
    CHECK(look(folder / "precious").st_uid == 0);
}

TEST_CASE("A symbolic link in the lock's place is refused, and its target keeps its owner") {
    test::Folder folder;
    test::put(folder / "precious", "");
    std::filesystem::create_symlink("precious", folder / "vms.json.lock");
    if (geteuid() == 0) REQUIRE(chown(folder.path().c_str(), 4242, 4343) == 0);
    CHECK(error_of([&] { Registry(folder / "vms.json").change([](Database&) {}); }).code() == Code::registry);
    CHECK(look(folder / "precious").st_uid == geteuid());
}

TEST_CASE("A link of root's or ours in the file's place stays, and is written through") {
    test::Folder folder;
    std::filesystem::create_directory(folder / "elsewhere");
    test::put(folder / "elsewhere/other.json", R"({"keep": 1})");
    std::filesystem::create_symlink("elsewhere/other.json", folder / "vms.json");
    Registry(folder / "vms.json").change([](Database& db) { allocate(db, 1); });
    CHECK(S_ISLNK(look(folder / "vms.json").st_mode));
    const auto text = test::content(folder / "elsewhere/other.json");
    CHECK(text.find("\"keep\": 1") != std::string::npos);
    CHECK(text.find("allocated_ips") != std::string::npos);
    CHECK(Registry(folder / "vms.json").read().holds(Ipv4(1)));
}

TEST_CASE("What another user put in the file's place is neither read nor replaced") {
    if (!is_root()) return;
    test::Folder folder;
    std::filesystem::create_directory(folder / "state");
    test::put(folder / "secret", R"({"secret": 1})");
    REQUIRE(chown((folder / "state").c_str(), 4242, 4343) == 0);
    const auto file = folder / "state/vms.json";
    const Registry registry(file, impatient, StateFolder(folder / "state"));
    const auto refuses = [&] {
        CHECK_THROWS_AS(registry.read(), Error);
        CHECK_THROWS_AS(registry.change([](Database& db) { allocate(db, 1); }), Error);
        CHECK(test::content(folder / "secret") == R"({"secret": 1})");
    };
    std::filesystem::create_symlink("../secret", file);
    REQUIRE(lchown(file.c_str(), 4242, 4343) == 0);
    refuses();
    CHECK(S_ISLNK(look(file).st_mode));
    std::filesystem::remove(file);
    std::filesystem::create_hard_link(folder / "secret", file);
    refuses();
    CHECK(look(folder / "secret").st_nlink == 2);
}

TEST_CASE("A missing or closed folder is told before and at a change") {
    test::Folder folder;
    const Registry missing(folder / "no" / "vms.json");
    CHECK(error_of([&] { missing.check_writable(); }).code() == Code::registry);
    CHECK(error_of([&] { missing.change([](Database&) {}); }).code() == Code::registry);
    CHECK(missing.read().records().empty());
    CHECK_NOTHROW(Registry(folder / "vms.json").check_writable());
    CHECK(names_in(folder).empty());
    if (!is_root()) return;
    REQUIRE(chmod(folder.path().c_str(), 0755) == 0);
    CHECK(in_child([&] {
              if (setgid(4242) != 0 || setuid(4242) != 0) return 1;
              const Registry closed(folder / "vms.json", impatient);
              int refusals = 0;
              for (const auto& act : std::initializer_list<std::function<void()>>{
                       [&] { closed.check_writable(); },
                       [&] { closed.change([](Database& db) { allocate(db, 1); }); }}) {
                  try {
                      act();
                  } catch (const Error& error) {
                      refusals += error.code() == Code::registry;
                  }
              }
              return refusals;
          }) == 2);
    CHECK(names_in(folder).empty());
}

TEST_CASE("On a full disk a change fails and the old file stays whole") {
    test::Folder folder;
    if (!is_root()) return;
    const auto mount_point = folder / "small";
    std::filesystem::create_directory(mount_point);
    const int status = in_child([&] {
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=256k") != 0)
            return 77;
        const auto file = mount_point / "vms.json";
        const std::string text = "{\n  \"keep\": \"" + std::string(120'000, 'x') + "\"\n}";
        test::put(file, text);
        try {
            Registry(file).change([](Database& db) {
                for (std::uint32_t i = 0; i < 1'500; ++i) db.allocate({Ipv4(0xC0A80000u + i), std::nullopt});
            });
            return 2;
        } catch (const Error& error) {
            if (error.code() != Code::registry || error.message().find("No space left") == std::string::npos)
                return 3;
        }
        if (test::content(file) != text) return 4;
        std::size_t files = 0;
        for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(mount_point)) ++files;
        return files == 2 ? 0 : 5; // the file and its lock: no temporary is left
    });
    if (status == 77)
        WARN("skipped: no private mount namespace here");
    else
        CHECK(status == 0);
}

TEST_CASE("Changes of ours and of Python writers in parallel lose nothing") {
    test::Folder folder;
    test::put(folder / "vms.json", R"({"vms": {}, "theirs": 0, "big": 18446744073709551616})");
    constexpr auto writer = R"(
import fcntl, json, os, sys, tempfile
file = sys.argv[1]
for i in range(150):
    with open(file + '.lock', 'a') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(file) as f: data = json.load(f)
        data['theirs'] += 1
        fd, name = tempfile.mkstemp(dir=os.path.dirname(file), suffix='.tmp')
        with os.fdopen(fd, 'w') as f: json.dump(data, f, indent=2)
        os.rename(name, file)
)";
    constexpr std::uint32_t ours = 150;
    const auto change_all = [&](std::uint32_t first) {
        try {
            const Registry registry(folder / "vms.json");
            for (std::uint32_t i = 0; i < ours; ++i)
                registry.change([&](Database& db) { allocate(db, first + i); });
            return true;
        } catch (const Error&) {
            return false;
        }
    };
    ProcessSpec spec{.program = "/usr/bin/python3",
                     .arguments = {"-c", writer, (folder / "vms.json").string()},
                     .environment = {},
                     .input = {},
                     .deadline = 2min};
    bool ok[4] = {};
    {
        std::jthread first([&] { ok[0] = run(spec).ok(); }), second([&] { ok[1] = run(spec).ok(); });
        std::jthread third([&] { ok[2] = change_all(0x0A000000); }),
            fourth([&] { ok[3] = change_all(0x0B000000); });
    }
    CHECK(std::count(std::begin(ok), std::end(ok), true) == 4);
    const Database after = Registry(folder / "vms.json").read();
    CHECK(after.tree().get("theirs")->as_int() == 300);
    CHECK(after.tree().get("allocated_ips")->items().size() == 2 * ours);
    CHECK(after.tree().get("big")->write() == "18446744073709551616");
    CHECK(names_in(folder) == std::vector<std::string>{"vms.json", "vms.json.lock"});
}

TEST_CASE("What we write is byte for byte what Python would write of it") {
    test::Folder folder;
    Registry(folder / "vms.json").change([](Database& db) {
        db.add({.name = VmName("web-1"),
                .wallet = Wallet("0xAbC", ""),
                .username = Username("admin"),
                .ip = Ipv4(0x0A000001),
                .ipv6 = std::nullopt,
                .network_mode = "caf\xC3\xA9",
                .created_at = now(),
                .expires_at = now()});
    });
    CHECK(
        test::python("import json,sys; sys.stdout.write(json.dumps(json.load(open(sys.argv[1])), indent=2))",
                     {(folder / "vms.json").string()}) == test::content(folder / "vms.json"));
}

TEST_CASE("Twenty thousand records are all found, and one change leaves the rest byte for byte") {
    test::Folder folder;
    const std::string text = large_database();
    test::put(folder / "vms.json", text);
    const Registry registry(folder / "vms.json");
    const Database db = registry.read();
    std::size_t found = 0;
    for (const VmRecord& record : db.records())
        if (const auto again = db.find(record.name); again && again->ip == record.ip) ++found;
    CHECK(found == 20'000);
    const Ipv4Pool pool{Ipv4Network::try_parse("10.0.0.0/8").value(), Ipv4(0x0A000000), Ipv4(0x0AFFFFFE), {}};
    CHECK(choose_addresses(db, pool, {}, {}, {}, 2, 254).ip == Ipv4(0x0A000000u + 20'000));
    registry.change([](Database& changing) { changing.mark_destroyed(VmName("vm-19999"), now()); });
    const std::string after = test::content(folder / "vms.json");
    CHECK(after.substr(0, text.find("\"vm-19999\"")) == text.substr(0, text.find("\"vm-19999\"")));
    CHECK_FALSE(registry.read().holds(Ipv4(0x0A000000u + 19'999)));
}
