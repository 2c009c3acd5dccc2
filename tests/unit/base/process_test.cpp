// SPDX-License-Identifier: MIT
// Running other programs: streams, environment, deadline, caps, what is left behind.
#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/interrupt.hpp"
#include "base/process.hpp"
#include "base/text/text.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fcntl.h>
#include <thread>

using namespace blockhost;
using namespace blockhost::test;
using namespace std::chrono_literals;

namespace {

// The tests' own shell; the code under test never starts one by itself.
ProcessSpec script(const std::string& text) {
    return {.program = "/bin/sh", .arguments = {"-c", text}, .environment = {}, .input = {}};
}

/// Whether a process with this id exists and is no zombie.
bool alive(std::int64_t pid) {
    std::string stat = get("/proc/" + std::to_string(pid) + "/stat");
    auto name_end = stat.rfind(')');
    return name_end != std::string::npos && stat[name_end + 2] != 'Z';
}

/// Waits for the end of a process that was just killed; its reaping is another process's work.
bool ends(std::int64_t pid) {
    Deadline deadline = Deadline::in(20s);
    while (alive(pid) && !deadline.passed()) std::this_thread::sleep_for(5ms);
    return !alive(pid);
}

} // namespace

TEST_CASE("output, error output and exit status are told apart") {
    auto result = run(script("echo out; echo err >&2; exit 3"));
    CHECK(result.out == "out\n");
    CHECK(result.err == "err\n");
    CHECK(result.exit_status == 3);
    CHECK_FALSE(result.ok());
    CHECK(run(script("exit 0")).ok());
}

TEST_CASE("arguments reach the program as they are") {
    ProcessSpec spec{.program = "/usr/bin/printf",
                     .arguments = {"[%s]", "a b", "$HOME", "", "'\"*"},
                     .environment = {},
                     .input = {}};
    CHECK(run(spec).out == "[a b][$HOME][]['\"*]");
}

TEST_CASE("the child gets a clean environment and what was asked for") {
    setenv("BLOCKHOST_TEST_SECRET", "leak", 1);
    ProcessSpec spec{.program = "/usr/bin/env", .arguments = {}, .environment = {"A=b c"}, .input = {}};
    auto lines = text::split(run(spec).out, '\n');
    unsetenv("BLOCKHOST_TEST_SECRET");
    REQUIRE(lines.size() == 4);
    CHECK(lines[0] == "LC_ALL=C");
    CHECK(lines[1].starts_with("PATH=/"));
    CHECK(lines[2] == "A=b c");
}

TEST_CASE("input is fed whole, and without input there is none") {
    ProcessSpec cat{
        .program = "/bin/cat", .arguments = {}, .environment = {}, .input = std::string(300'000, 'x')};
    CHECK(run(cat).out == cat.input);
    cat.input.clear();
    auto result = run(cat);
    CHECK(result.ok());
    CHECK(result.out.empty());
}

TEST_CASE("a program that does not read its input ends well") {
    ProcessSpec spec{
        .program = "/bin/true", .arguments = {}, .environment = {}, .input = std::string(300'000, 'x')};
    CHECK(run(spec).ok());
}

TEST_CASE("a program that closes its input early is neither our end nor its own") {
    ProcessSpec spec = script("exec <&-; echo closed; head -c 200000 /dev/zero; echo; echo done");
    spec.input = std::string(300'000, 'x');
    auto result = run(spec);
    CHECK(result.ok());
    CHECK(result.out.starts_with("closed\n"));
    CHECK(result.out.ends_with("\ndone\n"));
}

TEST_CASE("each stream is kept up to the cap and the rest is dropped") {
    ProcessSpec spec = script("head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2");
    spec.output_cap = 1000;
    auto result = run(spec);
    CHECK(result.ok());
    CHECK(result.out.size() == 1000);
    CHECK(result.err.size() == 1000);
    spec.output_cap = 1u << 20;
    CHECK(run(spec).out.size() == 300'000);
}

TEST_CASE("at the deadline the program and its children are killed") {
    Scratch folder;
    std::string note = (folder / "pid").native();
    ProcessSpec spec =
        script("echo early; sleep 1000 & echo $! > " + note + ".new; mv " + note + ".new " + note + "; wait");
    spec.deadline = 1500ms;
    auto result = run(spec);
    CHECK(result.timed_out);
    CHECK_FALSE(result.ok());
    CHECK(result.exit_status == 128 + SIGKILL);
    CHECK(result.out == "early\n");
    auto grandchild = text::parse_int(text::trim(get(note)));
    REQUIRE(grandchild);
    CHECK(ends(*grandchild));
}

TEST_CASE("a program that floods us is still stopped at the deadline") {
    ProcessSpec spec{.program = "/usr/bin/yes",
                     .arguments = {},
                     .environment = {},
                     .input = {},
                     .deadline = 100ms,
                     .output_cap = 10};
    auto result = run(spec);
    CHECK(result.timed_out);
    CHECK(result.out == "y\ny\ny\ny\ny\n");
}

TEST_CASE("a run is over when the program has ended, and takes along what it left behind") {
    ProcessSpec spec = script("sleep 1000 & echo $!");
    spec.deadline = 60s;
    auto result = run(spec);
    CHECK(result.ok());
    auto left_behind = text::parse_int(text::trim(result.out));
    REQUIRE(left_behind);
    CHECK(ends(*left_behind));
}

TEST_CASE("a death by signal is 128 and its number") {
    CHECK(run(script("kill -TERM $$")).exit_status == 128 + SIGTERM);
}

TEST_CASE("the child starts with SIGPIPE at its default though we ignore it") {
    int status = in_child([] {
        signal(SIGPIPE, SIG_IGN);
        return run(script("kill -PIPE $$; exit 0")).exit_status;
    });
    CHECK(ended_with(status, 128 + SIGPIPE));
}

TEST_CASE("a lost exit status is no success, and with our signal notes none is lost") {
    int status = in_child([] {
        signal(SIGCHLD, SIG_IGN); // as a careless parent leaves it
        try {
            if (run(script("exit 0")).ok()) return 1;
        } catch (const Error&) {
        } // it was gone before we could look
        install_signal_notes();
        return run(script("exit 0")).ok() && run(script("exit 7")).exit_status == 7 ? 0 : 2;
    });
    CHECK(ended_with(status, 0));
}

TEST_CASE("no descriptor of ours leaks into the child") {
    Scratch folder;
    put(folder / "open-here", "");
    Fd ours(open((folder / "open-here").c_str(), O_RDONLY | O_CLOEXEC));
    ProcessSpec list = script("ls -l /proc/self/fd");
    list.input = "x"; // with all three pipes
    std::string seen = run(list).out;
    CHECK(seen.find(folder.path().native()) == std::string::npos);
    std::size_t pipes = 0;
    for (auto at = seen.find("pipe:"); at != seen.npos; at = seen.find("pipe:", at + 1)) ++pipes;
    CHECK(pipes >= 3);
    Fd passed(open((folder / "open-here").c_str(), O_RDONLY));
    CHECK(run(list).out.find(folder.path().native()) !=
          std::string::npos); // the listing does show such things
}

TEST_CASE("programs are started even when our own standard streams are closed") {
    int status = in_child([] {
        close(0);
        close(1);
        close(2);
        ProcessSpec spec = script("cat; echo err >&2");
        spec.input = "in";
        auto result = run(spec);
        return result.out == "in" && result.err == "err\n" ? 0 : 1;
    });
    CHECK(ended_with(status, 0));
}

TEST_CASE("what cannot be started is an error that names it") {
    auto try_run = [](const std::string& program) {
        try {
            run({.program = program, .arguments = {}, .environment = {}, .input = {}});
        } catch (const Error& e) {
            return std::pair(e.code(), e.message());
        }
        return std::pair(Code::internal, std::string("started"));
    };
    CHECK(try_run("/no/such/program") ==
          std::pair(Code::io, std::string("cannot run /no/such/program: No such file or directory")));
    CHECK(try_run("/etc/passwd").first == Code::io);
    CHECK(try_run("sh").first == Code::internal); // relative: a broken promise of the caller
    CHECK(try_run("sh").second != "started");
}

TEST_CASE("a program works in the folder it is given") {
    Scratch folder;
    ProcessSpec spec = script("pwd");
    spec.folder = folder.path();
    CHECK(run(spec).out == std::filesystem::canonical(folder.path()).string() + "\n");
    spec.folder = "/no/such/folder";
    CHECK_THROWS_AS(run(spec), Error);
}

TEST_CASE("lines are shown as they come, also the last one without an end, and kept all the same") {
    std::vector<std::string> lines;
    ProcessSpec spec = script("printf 'one\\ntwo\\n\\nthree'; sleep 0.05; printf ' more'");
    spec.on_line = [&](std::string_view line) { lines.emplace_back(line); };
    CHECK(run(spec).out == "one\ntwo\n\nthree more");
    CHECK(lines == std::vector<std::string>{"one", "two", "", "three more"});
}

TEST_CASE("a line without end is shown in pieces") {
    std::size_t shown = 0, longest = 0;
    ProcessSpec spec = script("head -c 100000 /dev/zero | tr '\\0' x");
    spec.output_cap = 10;
    spec.on_line = [&](std::string_view line) {
        shown += line.size();
        longest = std::max(longest, line.size());
    };
    CHECK(run(spec).out == "xxxxxxxxxx");
    CHECK(shown == 100000);
    CHECK(longest <= 4096);
}

TEST_CASE("what the check throws ends the program and is passed on") {
    Scratch folder;
    ProcessSpec spec = script("echo $$ >pid; exec sleep 60");
    spec.folder = folder.path();
    spec.check = [&] {
        if (!get(folder / "pid").empty()) throw Error(Code::interrupted, "enough");
    };
    try {
        run(spec);
        FAIL("it ran to its end");
    } catch (const Error& error) {
        CHECK(error.code() == Code::interrupted);
    }
    CHECK(ends(*text::parse_int(text::trim(get(folder / "pid")))));
}
