// SPDX-License-Identifier: MIT
// Reading whole files and replacing them durably, with owners and modes.
#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/files/files.hpp"
#include "base/time.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fcntl.h>
#include <sys/stat.h>

using namespace blockhost;
using namespace blockhost::test;

namespace {

constexpr uid_t nobody = 65534, daemon_user = 1;
constexpr gid_t nogroup = 65534, daemon_group = 1;
constexpr files::Ownership fresh{.mode = 0640, .uid = {}, .gid = {}};

bool is_root() {
    if (geteuid() == 0) return true;
    WARN("skipped: changing owners takes root");
    return false;
}

/// What `work` answers as nobody, without any other group.
template<typename Work>
int as_nobody(Work work) {
    return in_child([&] {
        if (setgid(nogroup) != 0 || setuid(nobody) != 0) return 98;
        return work();
    });
}

std::string message_of(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& e) {
        CHECK(e.code() == Code::io);
        return e.message();
    }
    return "";
}

} // namespace

TEST_CASE("a descriptor is closed by its owner and by nobody else") {
    int number;
    {
        Fd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
        number = fd.get();
        Fd moved = std::move(fd);
        CHECK_FALSE(fd);
        CHECK(moved.get() == number);
        moved = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
        CHECK(fcntl(number, F_GETFD) == -1);
        number = moved.get();
    }
    CHECK(fcntl(number, F_GETFD) == -1);
    Fd kept(open("/dev/null", O_RDONLY | O_CLOEXEC));
    number = kept.release();
    CHECK_FALSE(kept);
    CHECK(fcntl(number, F_GETFD) != -1);
    close(number);
}

TEST_CASE("a missing file is nothing, everything else that cannot be read is an error") {
    Scratch folder;
    CHECK_FALSE(files::read(folder / "absent"));
    CHECK(message_of([&] { files::read(folder.path()); }).find("Is a directory") != std::string::npos);
    put(folder / "file", "x");
    CHECK(message_of([&] { files::read(folder / "file/below"); }).find("Not a directory") !=
          std::string::npos);
}

TEST_CASE("an unreadable file is an error that names it") {
    Scratch folder;
    if (!is_root()) return;
    put(folder / "secret", "x");
    chmod((folder / "secret").c_str(), 0600);
    int status = as_nobody([&] {
        return message_of([&] { files::read(folder / "secret"); }).find((folder / "secret").native()) !=
                       std::string::npos
                   ? 0
                   : 1;
    });
    CHECK(ended_with(status, 0));
}

TEST_CASE("files are read whole up to the limit and refused beyond it") {
    Scratch folder;
    std::string big(100'000, 'b');
    big[5] = '\0';
    put(folder / "big", big);
    CHECK(files::read(folder / "big") == big);
    CHECK(files::read(folder / "big", 100'000) == big);
    CHECK_THROWS_AS(files::read(folder / "big", 99'999), Error);
    put(folder / "empty", "");
    CHECK(files::read(folder / "empty", 0) == "");
    CHECK_FALSE(files::read("/proc/self/status")->empty()); // tells size 0
}

TEST_CASE("an open file is read from its start wherever its offset is") {
    Scratch folder;
    put(folder / "file", "content");
    Fd fd(open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC));
    lseek(fd.get(), 3, SEEK_SET);
    CHECK(files::read_fd(fd.get(), "file") == "content");
    CHECK(files::read_fd(fd.get(), "file") == "content");
}

TEST_CASE("a new file gets the mode asked for, whatever the umask, and leaves no temporary") {
    Scratch folder;
    mode_t before = umask(077);
    files::replace(folder / "new", "content", fresh);
    umask(before);
    CHECK(get(folder / "new") == "content");
    CHECK(mode_of(folder / "new") == 0640);
    CHECK(entries(folder.path()) == 1);
}

TEST_CASE("a relative name without a folder is replaced in the current one") {
    Scratch folder;
    int status = in_child([&] {
        if (chdir(folder.path().c_str()) != 0) return 1;
        files::replace("here", "x", fresh);
        return 0;
    });
    CHECK(ended_with(status, 0));
    CHECK(get(folder / "here") == "x");
}

TEST_CASE("replacing keeps mode and owner of what was there, or overwrites both") {
    Scratch folder;
    put(folder / "file", "old");
    chmod((folder / "file").c_str(), 0604);
    bool root = geteuid() == 0;
    if (root) CHECK(chown((folder / "file").c_str(), daemon_user, daemon_group) == 0);
    ino_t old_inode = look(folder / "file").st_ino;

    files::replace(folder / "file", "new", fresh);
    CHECK(get(folder / "file") == "new");
    CHECK(mode_of(folder / "file") == 0604);
    CHECK(look(folder / "file").st_ino != old_inode);
    if (root) CHECK(look(folder / "file").st_uid == daemon_user);
    if (root) CHECK(look(folder / "file").st_gid == daemon_group);

    files::replace(folder / "file", "newer", fresh, files::Existing::overwrite_owner_and_mode);
    CHECK(mode_of(folder / "file") == 0640);
    CHECK(look(folder / "file").st_uid == geteuid());
}

TEST_CASE("what root makes belongs to the folder's owner unless said otherwise") {
    Scratch folder;
    if (!is_root()) return;
    REQUIRE(chown(folder.path().c_str(), daemon_user, daemon_group) == 0);
    files::replace(folder / "file", "x", fresh);
    CHECK(look(folder / "file").st_uid == daemon_user);
    CHECK(look(folder / "file").st_gid == daemon_group);
    files::replace(folder / "file", "x", {.mode = 0600, .uid = 0, .gid = nogroup},
                   files::Existing::overwrite_owner_and_mode);
    CHECK(look(folder / "file").st_uid == 0);
    CHECK(look(folder / "file").st_gid == nogroup);
}

TEST_CASE("a user who cannot give files away replaces another's file without opening it to more people") {
    Scratch folder;
    if (!is_root()) return;
    REQUIRE(chown(folder.path().c_str(), nobody, nogroup) == 0);
    put(folder / "file", "old");
    chmod((folder / "file").c_str(), 0664);
    REQUIRE(chown((folder / "file").c_str(), 0, daemon_group) == 0);
    int status = as_nobody([&] {
        files::replace(folder / "file", "new", fresh);
        return 0;
    });
    CHECK(ended_with(status, 0));
    CHECK(get(folder / "file") == "new");
    CHECK(look(folder / "file").st_uid == nobody);
    CHECK(mode_of(folder / "file") == 0644); // not our group's to write: it was another group's
}

TEST_CASE("a link is replaced, not followed, and its target's mode is not taken over") {
    Scratch folder;
    put(folder / "target", "keep");
    std::filesystem::create_symlink("target", folder / "link");
    files::replace(folder / "link", "new", fresh);
    CHECK(get(folder / "target") == "keep");
    CHECK(S_ISREG(look(folder / "link").st_mode));
    CHECK(mode_of(folder / "link") == 0640);
}

TEST_CASE("a replacement that fails leaves the old file and no temporary") {
    Scratch folder;
    put(folder / "file", "old");
    int status = in_child([&] {
        fault::arm("fail@1");
        try {
            files::replace(folder / "file", "new", fresh);
        } catch (const Error& e) {
            return e.message().find("files.replace,") != std::string::npos ? 0 : 2;
        }
        return 1;
    });
    CHECK(ended_with(status, 0));
    CHECK(get(folder / "file") == "old");
    CHECK(entries(folder.path()) == 1);

    std::filesystem::create_directories(folder / "taken/by a folder");
    CHECK_FALSE(message_of([&] { files::replace(folder / "taken", "x", fresh); }).empty());
    CHECK(entries(folder.path()) == 2);
    CHECK_FALSE(message_of([&] { files::replace(folder / "absent/file", "x", fresh); }).empty());
}

TEST_CASE("a process killed before the renaming leaves the old file, one killed after it the new one") {
    Scratch folder;
    auto killed_at = [&](const char* specification) {
        return WIFSIGNALED(in_child([&] {
            fault::arm(specification);
            files::replace(folder / "file", "new", fresh);
            return 0;
        }));
    };
    put(folder / "file", "old");
    CHECK(killed_at("kill@1"));
    CHECK(get(folder / "file") == "old");
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
        std::string name = entry.path().filename();
        if (name == "file") continue;
        CHECK(name.starts_with(".file."));
        CHECK_FALSE(name.ends_with(".tmp"));
    }
    CHECK(killed_at("kill@2"));
    CHECK(get(folder / "file") == "new");
}

TEST_CASE("a full disk is an error and leaves nothing behind") {
    if (access("/dev/full", W_OK) != 0) return;
    Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
    try {
        files::write_all(full.get(), "x", "/dev/full");
        FAIL("written");
    } catch (const Error& e) {
        CHECK(e.message() == "cannot write /dev/full: No space left on device");
        CHECK_FALSE(e.hint().empty());
    }
}

TEST_CASE("a file is made once, whole, and nothing is left of who came second") {
    Scratch folder;
    const Fd open(::open((folder / ".").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    files::make_at(open.get(), "it", "it", "first", fresh);
    CHECK_THROWS_WITH(files::make_at(open.get(), "it", "it", "second", fresh), "it is there already");
    CHECK(get(folder / "it") == "first");
    CHECK(std::distance(std::filesystem::directory_iterator(folder / "."), {}) == 1);
}

TEST_CASE("a link is replaced at once, whatever had its name") {
    Scratch folder;
    const auto open = Folder::open(folder.path());
    put(folder / "name", "a file");
    put(folder / "target", "content");
    files::replace_link_at(open->fd(), "name", "name", "target");
    CHECK(std::filesystem::read_symlink(folder / "name") == "target");
    files::replace_link_at(open->fd(), "name", "name", "elsewhere");
    CHECK(std::filesystem::read_symlink(folder / "name") == "elsewhere");
    CHECK(get(folder / "target") == "content");
    CHECK(open->names() == std::vector<std::string>{"name", "target"});
    std::filesystem::create_directory(folder / "folder");
    CHECK_THROWS_AS(files::replace_link_at(open->fd(), "folder", "folder", "target"), Error);
    CHECK(open->names() == std::vector<std::string>{"folder", "name", "target"});
}

TEST_CASE("a file is moved to a free name only") {
    Scratch folder;
    std::filesystem::create_directory(folder / "from");
    std::filesystem::create_directory(folder / "to");
    const auto from = Folder::open(folder / "from"), to = Folder::open(folder / "to");
    put(folder.path() / "from/a", "new");
    put(folder.path() / "to/taken", "old");
    try {
        files::move_at(from->fd(), "a", to->fd(), "taken", "taken");
        FAIL("it replaced the file");
    } catch (const Error& error) {
        CHECK(error.code() == Code::exists);
    }
    CHECK(get(folder.path() / "to/taken") == "old");
    files::move_at(from->fd(), "a", to->fd(), "b", "b");
    CHECK(get(folder.path() / "to/b") == "new");
    CHECK(from->names().empty());
    CHECK_THROWS_AS(files::move_at(from->fd(), "a", to->fd(), "c", "c"), Error);
}

TEST_CASE("a move to another file system keeps holes, mode and content") {
    Scratch folder;
    const std::filesystem::path shared = "/dev/shm/blockhost-unit-" + random_hex(8);
    Folder elsewhere = Folder::open_or_make(shared, 0755);
    struct stat here {
    }, there{};
    fstat(elsewhere.fd(), &there);
    stat(folder.path().c_str(), &here);
    if (here.st_dev == there.st_dev) {
        std::filesystem::remove(elsewhere.path());
        WARN("SKIP: /dev/shm is no file system of its own here");
        return;
    }
    const std::string data(100'000, 'x');
    {
        Fd file(::open((folder / "sparse").c_str(), O_WRONLY | O_CREAT, 0644));
        REQUIRE(pwrite(file.get(), data.data(), data.size(), 64 << 20) == static_cast<ssize_t>(data.size()));
        REQUIRE(ftruncate(file.get(), 256 << 20) == 0);
        REQUIRE(fchmod(file.get(), 0444) == 0);
    }
    const auto from = Folder::open(folder.path());
    files::move_at(from->fd(), "sparse", elsewhere.fd(), "moved", "moved");
    struct stat moved {};
    REQUIRE(stat((elsewhere.path() / "moved").c_str(), &moved) == 0);
    std::string content(data.size(), '\0');
    const Fd file(::open((elsewhere.path() / "moved").c_str(), O_RDONLY));
    REQUIRE(pread(file.get(), content.data(), content.size(), 64 << 20) == static_cast<ssize_t>(data.size()));
    const auto names = elsewhere.names();
    std::filesystem::remove_all(elsewhere.path());
    CHECK(from->names().empty());
    CHECK(names == std::vector<std::string>{"moved"});
    CHECK(moved.st_size == 256 << 20);
    CHECK((moved.st_mode & 07777) == 0444);
    CHECK(moved.st_blocks * 512 < 8 << 20);
    CHECK(content == data);
}

TEST_CASE("a file has one identity under all its names, and another file another") {
    Scratch folder;
    put(folder / "file", "a");
    put(folder / "other", "a");
    std::filesystem::create_hard_link(folder / "file", folder / "hard");
    std::filesystem::create_symlink("file", folder / "soft");
    CHECK(files::identity(folder / "file") == files::identity(folder / "hard"));
    CHECK(files::identity(folder / "file") == files::identity(folder / "soft"));
    CHECK(files::identity(folder / "file") != files::identity(folder / "other"));
    CHECK_THROWS_AS(files::identity(folder / "nothing"), Error);
}
