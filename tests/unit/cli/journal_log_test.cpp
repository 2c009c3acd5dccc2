// SPDX-License-Identifier: MIT
// The journal's protocol, and what is left where the journal does not take a line.
#include "cli/journal_log.hpp"
#include "cli/printer.hpp"
#include "tests/unit/cli/table.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::cli;
using unit_cli::Stream;

namespace {

/// A datagram socket in a folder of its own.
class Daemon {
  public:
    Daemon() : fd_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
        REQUIRE(::mkdtemp(folder_) != nullptr);
        path_ = std::string(folder_) + "/socket";
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    ~Daemon() {
        ::close(fd_);
        ::unlink(path_.c_str());
        ::rmdir(folder_);
    }
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    const std::string& path() const { return path_; }
    /// The next datagram; empty when there is none.
    std::string next() {
        char buffer[65536];
        ssize_t size = ::recv(fd_, buffer, sizeof buffer, 0);
        return size < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(size));
    }

  private:
    int fd_;
    char folder_[32] = "/tmp/journal-XXXXXX";
    std::string path_;
};

struct Desk {
    Stream out, err;
    Daemon daemon;
    Printer printer{out.file(), err.file(), Screen::pipe, false, "[t] ", 40};
    Desk() { printer.log_to(std::make_unique<JournalLog>("us", daemon.path())); }
};

} // namespace

TEST_CASE("a field is a line; a value of several lines goes with its length") {
    CHECK(journal_field("A", "b") == "A=b\n");
    CHECK(journal_field("A", "b=c") == "A=b=c\n");
    CHECK(journal_field("A", "b\nc") == std::string("A\n\3\0\0\0\0\0\0\0b\nc\n", 14));
}

TEST_CASE("each kind of talk has its priority, and the stage is told with what follows") {
    Desk desk;
    desk.printer.about_vm("web");
    desk.printer.stage("making");
    CHECK(desk.daemon.next() ==
          "MESSAGE=making\nPRIORITY=5\nSYSLOG_IDENTIFIER=us\nBLOCKHOST_VM=web\nBLOCKHOST_STAGE=making\n");
    desk.printer.detail("half");
    CHECK(desk.daemon.next().starts_with("MESSAGE=half\nPRIORITY=7\n"));
    desk.printer.warn("one\ntwo");
    CHECK(desk.daemon.next().starts_with("MESSAGE=one\nPRIORITY=4\n"));
    CHECK(desk.daemon.next().starts_with("MESSAGE=two\nPRIORITY=4\n"));
    desk.printer.say("Usage: x");
    CHECK(desk.daemon.next().starts_with("MESSAGE=Usage: x\nPRIORITY=5\n"));
    desk.printer.error(Error(Code::busy, "it is busy", "wait"));
    CHECK(desk.daemon.next() ==
          "MESSAGE=it is busy; wait\nPRIORITY=3\nSYSLOG_IDENTIFIER=us\nBLOCKHOST_VM=web\n"
          "BLOCKHOST_ERROR=busy\nBLOCKHOST_HINT=wait\nBLOCKHOST_STAGE=making\n");
    CHECK(desk.daemon.next().empty());
    CHECK(desk.err.text().empty());
}

TEST_CASE("answers never go to the journal's socket") {
    Desk desk;
    desk.printer.answer("42");
    desk.printer.flush_answer();
    CHECK(desk.daemon.next().empty());
    CHECK(desk.out.text() == "42\n");
}

TEST_CASE("a line that is too long for the journal is on stderr, the next one in the journal again") {
    Daemon daemon;
    JournalLog log("us", daemon.path());
    CHECK_FALSE(log.send(Priority::notice, std::string(4 << 20, 'x')));
    CHECK(log.send(Priority::notice, "short"));
    CHECK(daemon.next().starts_with("MESSAGE=short\n"));
}

TEST_CASE("where there is no journal, talk is on stderr as ever") {
    Stream out, err;
    Printer printer(out.file(), err.file(), Screen::pipe, false, "[t] ", 40);
    printer.log_to(std::make_unique<JournalLog>("us", "/nonexistent/socket"));
    printer.stage("making");
    printer.detail("half");
    printer.warn("one\ntwo");
    printer.error(Error(Code::busy, "it is busy"));
    CHECK(err.text() == "[t] making\n[t] WARNING: one\n[t] two\n[t] ERROR: it is busy\n");
}

TEST_CASE("the journal is behind a descriptor that JOURNAL_STREAM names, and behind no other") {
    struct stat about {};
    REQUIRE(::fstat(STDERR_FILENO, &about) == 0);
    const std::string name = std::to_string(about.st_dev) + ":" + std::to_string(about.st_ino);
    ::setenv("JOURNAL_STREAM", name.c_str(), 1);
    CHECK(JournalLog::behind(STDERR_FILENO, "us") != nullptr);
    CHECK(JournalLog::behind(-1, "us") == nullptr);
    for (const std::string& other : {name + "1", std::string("1:1"), std::string()}) {
        ::setenv("JOURNAL_STREAM", other.c_str(), 1);
        CHECK(JournalLog::behind(STDERR_FILENO, "us") == nullptr);
    }
    ::unsetenv("JOURNAL_STREAM");
    CHECK(JournalLog::behind(STDERR_FILENO, "us") == nullptr);
}
