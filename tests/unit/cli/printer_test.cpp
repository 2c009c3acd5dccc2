// SPDX-License-Identifier: MIT
// Answers and talk on the three kinds of screen, compared exactly.
#include "cli/printer.hpp"
#include "tests/unit/cli/table.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fcntl.h>
#include <optional>
#include <sys/ioctl.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::cli;
using unit_cli::Stream;

namespace {

std::chrono::steady_clock::time_point test_time;
std::chrono::steady_clock::time_point test_clock() {
    return test_time;
}
void pass(int seconds) {
    test_time += std::chrono::seconds(seconds);
}

enum class Colour { no, yes };

/// A printer with readable streams.
struct Desk {
    Stream out, err;
    Printer printer;
    explicit Desk(Screen screen, Colour colour = Colour::no, int width = 40)
        : printer(out.file(), err.file(), screen, colour == Colour::yes, "[t] ", width, test_clock) {}
};

void work(Printer& printer) {
    printer.stage("making the disk");
    pass(3);
    printer.detail("half done");
    printer.warn("slow storage");
    printer.stage("starting");
    printer.answer("VM started: web");
}

/// Sets or unsets environment variables until the end of the scope.
class Variable {
  public:
    Variable(const char* name, const char* value) : name_(name) {
        if (const char* before = std::getenv(name)) before_ = before;
        value ? setenv(name, value, 1) : unsetenv(name);
    }
    ~Variable() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    const char* name_;
    std::optional<std::string> before_;
};

/// The slave side of a pseudo-terminal as a stream.
struct Terminal {
    int master = ::posix_openpt(O_RDWR | O_NOCTTY);
    std::FILE* file = nullptr;
    Terminal() {
        REQUIRE(master >= 0);
        REQUIRE(::grantpt(master) == 0);
        REQUIRE(::unlockpt(master) == 0);
        file = std::fopen(::ptsname(master), "w");
        REQUIRE(file);
    }
    ~Terminal() {
        std::fclose(file);
        ::close(master);
    }
    std::string shown() {
        char buffer[4096];
        ssize_t count = ::read(master, buffer, sizeof buffer);
        return count > 0 ? std::string(buffer, static_cast<std::size_t>(count)) : std::string();
    }
};

} // namespace

TEST_CASE("in a pipe each stage is a line and details are dropped") {
    for (Screen screen : {Screen::pipe, Screen::plain}) {
        Desk desk(screen);
        work(desk.printer);
        CHECK(desk.err.text() == "[t] making the disk\n[t] WARNING: slow storage\n[t] starting\n");
        CHECK(desk.out.text() == "VM started: web\n");
    }
}

TEST_CASE("on a live screen one line is redrawn with the seconds since its stage began") {
    Desk desk(Screen::live);
    work(desk.printer);
    CHECK(desk.err.text() == "\r\033[K[t] making the disk"
                             "\r\033[K[t] making the disk: half done (3 s)"
                             "\r\033[K[t] WARNING: slow storage\n"
                             "\r\033[K[t] making the disk: half done (3 s)"
                             "\r\033[K[t] starting"
                             "\r\033[K");
    CHECK(desk.out.text() == "VM started: web\n");
}

TEST_CASE("a live line is cut to the screen and keeps its seconds") {
    Desk desk(Screen::live, Colour::no, 20);
    desk.printer.stage("a stage with a long name");
    pass(12);
    desk.printer.detail("more");
    CHECK(desk.err.text() == "\r\033[K[t] a stage with..."
                             "\r\033[K[t] a sta... (12 s)");
}

TEST_CASE("a live line is cut between characters, not within one") {
    Desk desk(Screen::live, Colour::no, 12);
    desk.printer.stage("éééééééééé");
    CHECK(desk.err.text() == "\r\033[K[t] éééé...");
}

TEST_CASE("a live line on a screen of one column does no harm") {
    Desk desk(Screen::live, Colour::no, 1);
    desk.printer.stage("wide");
    CHECK(desk.err.text() == "\r\033[K");
}

TEST_CASE("the live line goes when the printer does") {
    Stream out, err;
    { Printer(out.file(), err.file(), Screen::live, false, "", 40, test_clock).stage("x"); }
    CHECK(err.text() == "\r\033[Kx\r\033[K");
}

TEST_CASE("an error is the last line, with its hint") {
    Desk desk(Screen::pipe);
    desk.printer.error(Error(Code::busy, "web is busy", "wait"));
    desk.printer.error(Error(Code::io, "no hint here"));
    CHECK(desk.err.text() == "[t] ERROR: web is busy; wait\n[t] ERROR: no hint here\n");
}

TEST_CASE("an error takes the live line's place") {
    Desk desk(Screen::live);
    desk.printer.stage("x");
    desk.printer.error(Error(Code::io, "broken"));
    CHECK(desk.err.text() == "\r\033[K[t] x\r\033[K[t] ERROR: broken\n");
}

TEST_CASE("colour marks only the words WARNING and ERROR") {
    Desk desk(Screen::live, Colour::yes);
    desk.printer.warn("careful");
    desk.printer.error(Error(Code::io, "broken"));
    CHECK(desk.err.text() == "[t] \033[33mWARNING:\033[0m careful\n[t] \033[1;31mERROR:\033[0m broken\n");
}

TEST_CASE("a warning of several lines keeps them, each with the prefix") {
    Desk desk(Screen::pipe);
    desk.printer.warn("the console says:\nline one\nline two\n");
    CHECK(desk.err.text() == "[t] WARNING: the console says:\n[t] line one\n[t] line two\n");
}

TEST_CASE("talk cannot act on the terminal") {
    Desk desk(Screen::live);
    desk.printer.stage("a\033[2Jb");
    desk.printer.detail("c\nd");
    desk.printer.warn("\x9b"
                      "1m");
    desk.printer.say("e\rf");
    desk.printer.error(Error(Code::io, "g\nh", "i\007j"));
    std::string expected = "\r\033[K[t] a\\x1b[2Jb"
                           "\r\033[K[t] a\\x1b[2Jb: c\\x0ad"
                           "\r\033[K[t] WARNING: \\x9b1m\n"
                           "\r\033[K[t] a\\x1b[2Jb: c\\x0ad"
                           "\r\033[K[t] e\\x0df\n"
                           "\r\033[K[t] a\\x1b[2Jb: c\\x0ad"
                           "\r\033[K[t] ERROR: g\\x0ah; i\\x07j\n";
    CHECK(desk.err.text() == expected);
}

TEST_CASE("the answer's bytes are printed as they are") {
    Desk desk(Screen::pipe);
    desk.printer.answer_raw(std::string_view("a\0\xff\n", 4));
    desk.printer.answer("b");
    CHECK(desk.out.text() == std::string("a\0\xff\nb\n", 6));
}

TEST_CASE("what another program wrote to stderr is passed on as it is, behind the live line") {
    Desk desk(Screen::live);
    desk.printer.stage("x");
    const auto before = desk.err.text().size();
    desk.printer.pass_on(std::string("\x1b[1m\xff\0 no newline", 17));
    CHECK(desk.err.text().substr(before) == std::string("\r\x1b[K\x1b[1m\xff\0 no newline", 21));
}

TEST_CASE("an answer that stdout cannot take is an error") {
    std::FILE* full = std::fopen("/dev/full", "w");
    Stream err;
    Printer printer(full, err.file(), Screen::pipe, false, "");
    printer.answer("buffered");
    try {
        printer.flush_answer();
        FAIL("nothing was thrown");
    } catch (const Error& error) {
        CHECK(error.code() == Code::io);
        CHECK(error.message() == "cannot write to standard output: No space left on device");
    }
    CHECK_THROWS_AS(printer.answer(std::string(1u << 20, 'x')), Error);
    std::fclose(full);
}

namespace {

/// A file system that is full at first and has room again afterwards.
struct Disk {
    bool full = true;
    std::string written;
    static ssize_t write(void* self, const char* bytes, std::size_t size) {
        auto& disk = *static_cast<Disk*>(self);
        if (disk.full) return errno = ENOSPC, 0;
        disk.written.append(bytes, size);
        return static_cast<ssize_t>(size);
    }
};

} // namespace

TEST_CASE("an answer that could not be written is not written later, and its failure says what that means") {
    Disk disk;
    std::FILE* out = fopencookie(&disk, "w", {.read = {}, .write = Disk::write, .seek = {}, .close = {}});
    REQUIRE(out);
    Stream err;
    {
        Printer printer(out, err.file(), Screen::pipe, false, "");
        printer.mean_unheard("everything is undone");
        printer.answer("success");
        CHECK_THROWS_WITH(printer.flush_answer(),
                          "cannot write to standard output: No space left on device; everything is undone");
        disk.full = false;
        printer.answer("failure");
        printer.flush_answer();
    }
    std::fclose(out);
    CHECK(disk.written == "failure\n");
}

TEST_CASE("an answer to a reader that has gone is an error") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    ::close(ends[0]);
    auto before = ::signal(SIGPIPE, SIG_IGN);
    std::FILE* out = ::fdopen(ends[1], "w");
    Stream err;
    Printer printer(out, err.file(), Screen::pipe, false, "");
    printer.answer("x");
    CHECK_THROWS_WITH(printer.flush_answer(), "cannot write to standard output: Broken pipe");
    std::fclose(out);
    ::signal(SIGPIPE, before);
}

TEST_CASE("talk to a stderr that cannot be written fails nothing") {
    std::FILE* full = std::fopen("/dev/full", "w");
    std::setbuf(full, nullptr);
    Stream out;
    Printer printer(out.file(), full, Screen::live, true, "[t] ");
    printer.stage("x");
    printer.detail("y");
    printer.warn("z");
    printer.error(Error(Code::io, "w"));
    printer.answer("fine");
    printer.flush_answer();
    CHECK(out.text() == "fine\n");
    std::fclose(full);
}

TEST_CASE("a failure as JSON is one line with code, hint and whether a retry helps") {
    CHECK(
        Printer::error_json(Error(Code::busy, "web \"is\" busy", "wait")) ==
        R"({"status": "error", "error": "web \"is\" busy", "code": "busy", "hint": "wait", "retry": true})");
    CHECK(Printer::error_json(Error(Code::io, "broken")) ==
          R"({"status": "error", "error": "broken", "code": "io", "hint": "", "retry": false})");
}

TEST_CASE("what is no terminal is a pipe without colour") {
    Variable term("TERM", "xterm");
    Stream out, err;
    Printer printer = Printer::for_streams(out.file(), err.file(), "");
    CHECK(printer.screen() == Screen::pipe);
    printer.error(Error(Code::io, "plain"));
    CHECK(err.text() == "ERROR: plain\n");
}

TEST_CASE(
    "a terminal is live and coloured, without colour under NO_COLOR, plain when TERM is dumb or unset") {
    Variable columns("COLUMNS", nullptr), no_colour("NO_COLOR", nullptr), term("TERM", "xterm");
    Stream out;
    Error error(Code::io, "x");
    {
        Terminal terminal;
        Printer printer = Printer::for_streams(out.file(), terminal.file, "");
        CHECK(printer.screen() == Screen::live);
        printer.error(error);
        CHECK(terminal.shown() == "\033[1;31mERROR:\033[0m x\r\n");
    }
    Variable without_colour("NO_COLOR", "1");
    {
        Terminal terminal;
        Printer printer = Printer::for_streams(out.file(), terminal.file, "");
        CHECK(printer.screen() == Screen::live);
        printer.error(error);
        CHECK(terminal.shown() == "ERROR: x\r\n");
    }
    for (const char* dumb : {"dumb", "", static_cast<const char*>(nullptr)}) {
        Variable dumb_term("TERM", dumb);
        Terminal terminal;
        CHECK(Printer::for_streams(out.file(), terminal.file, "").screen() == Screen::plain);
    }
}

TEST_CASE("the width of a live line is the terminal's, or what COLUMNS says") {
    Variable columns("COLUMNS", nullptr), term("TERM", "xterm");
    Stream out;
    {
        Terminal terminal;
        winsize size{24, 10, 0, 0};
        REQUIRE(::ioctl(terminal.master, TIOCSWINSZ, &size) == 0);
        Printer printer = Printer::for_streams(out.file(), terminal.file, "");
        printer.stage("abcdefghijklmnop");
        CHECK(terminal.shown() == "\r\033[Kabcdef...");
    }
    Variable said("COLUMNS", "12");
    Terminal terminal;
    Printer printer = Printer::for_streams(out.file(), terminal.file, "");
    printer.stage("abcdefghijklmnop");
    CHECK(terminal.shown() == "\r\033[Kabcdefgh...");
}
