// SPDX-License-Identifier: MIT
// From the words of a command line to streams and exit status.
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "cli/dispatch.hpp"
#include "cli/help.hpp"
#include "tests/unit/cli/table.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/wait.h>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::cli;
using Words = std::vector<std::string>;

namespace {

struct Outcome {
    int status;
    std::string out, err;
};

Outcome called(const Words& words) {
    unit_cli::Stream out, err;
    int status = run_command_line(words, out.file(), err.file());
    return {status, out.text(), err.text()};
}

/// What `run_process` with these words leaves: in a child, since it ends the process.
int status_of_process(std::vector<std::string> words, void (*prepare)()) {
    pid_t child = ::fork();
    if (child == 0) {
        prepare();
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        run_process(static_cast<int>(words.size()), arguments.data());
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void silence() {
    int nothing = ::open("/dev/null", O_WRONLY);
    ::dup2(nothing, 1);
    ::dup2(nothing, 2);
}

} // namespace

TEST_CASE("a verb runs under its contract name, with or without a path before it") {
    for (const char* name :
         {"blockhost-vm-destroy", "/usr/bin/blockhost-vm-destroy", "./blockhost-vm-destroy"}) {
        unit_cli::ran().clear();
        Outcome outcome = called({name, "web"});
        CHECK(outcome.status == 0);
        CHECK(outcome.out == "done\n");
        CHECK(outcome.err == "");
        REQUIRE(unit_cli::ran().size() == 1);
        CHECK(unit_cli::ran()[0].arguments.operands() == Words{"web"});
        CHECK_FALSE(unit_cli::ran()[0].mock);
    }
}

TEST_CASE("a verb runs as the first operand of the program") {
    unit_cli::ran().clear();
    CHECK(called({"blockhost-libvirt", "destroy", "web"}).status == 0);
    CHECK(called({"/opt/anything", "destroy", "web"}).status == 0);
    REQUIRE(unit_cli::ran().size() == 2);
    CHECK(unit_cli::ran()[0].arguments.operands() == Words{"web"});
}

TEST_CASE("under a contract name the first word is an operand even if it is a verb") {
    unit_cli::ran().clear();
    CHECK(called({"blockhost-vm-destroy", "create"}).status == 0);
    CHECK(unit_cli::ran().at(0).arguments.operands() == Words{"create"});
}

TEST_CASE("with --mock a verb gets the paths of the mock world in the current folder") {
    unit_cli::ran().clear();
    CHECK(called({"blockhost-vm-destroy", "web", "--mock"}).status == 0);
    CHECK(unit_cli::ran().at(0).mock);
    CHECK(unit_cli::ran()[0].paths.world == std::filesystem::current_path() / "mock-world");
}

TEST_CASE("the program alone shows its overview and version") {
    for (const char* word : {"--help", "-h"}) {
        Outcome outcome = called({"blockhost-libvirt", word});
        CHECK(outcome.status == 0);
        CHECK(outcome.out == overview());
        CHECK(outcome.err == "");
    }
    CHECK(called({"blockhost-libvirt", "--version"}).out ==
          "blockhost-libvirt " + std::string(version()) + "\n");
}

TEST_CASE("a verb's help is shown under the name it was called by, and nothing runs") {
    unit_cli::ran().clear();
    Outcome by_name = called({"blockhost-vm-create", "--help"});
    CHECK(by_name.status == 0);
    CHECK(by_name.out == verb_help(*row_of_verb("create"), "blockhost-vm-create"));
    CHECK(called({"blockhost-libvirt", "create", "-h"}).out ==
          verb_help(*row_of_verb("create"), "blockhost-libvirt create"));
    CHECK(called({"blockhost-vm-status", "--help"}).out.starts_with("Usage: blockhost-vm-status <name>\n"));
    CHECK(unit_cli::ran().empty());
}

TEST_CASE("an unknown verb is refused with the nearest one as hint, hidden ones not among them") {
    Outcome outcome = called({"blockhost-libvirt", "destory", "web"});
    CHECK(outcome.status == 2);
    CHECK(outcome.out == "");
    CHECK(outcome.err == "Usage: blockhost-libvirt <verb> [operands] [options]\n"
                         "ERROR: unknown verb 'destory'; did you mean destroy?\n");
    CHECK(called({"blockhost-libvirt", "__dmp"}).err.find("__dump") == std::string::npos);
}

TEST_CASE("no verb at all is malformed, and so is an option before the verb") {
    CHECK(called({"blockhost-libvirt"}).status == 2);
    CHECK(called({"blockhost-libvirt"}).err ==
          "Usage: blockhost-libvirt <verb> [operands] [options]\n"
          "ERROR: a verb is missing; 'blockhost-libvirt --help' lists them\n");
    CHECK(called({}).status == 2);
    CHECK(called({"blockhost-libvirt", "--mock", "list"})
              .err.ends_with("ERROR: unknown option --mock; options go behind the verb\n"));
}

TEST_CASE("a malformed command line shows the usage line, then the error, and exits 2") {
    Outcome outcome = called({"blockhost-vm-destroy"});
    CHECK(outcome.status == 2);
    CHECK(outcome.out == "");
    CHECK(outcome.err == "Usage: blockhost-vm-destroy <name>\n[destroy] ERROR: operand <name> is missing\n");
    CHECK(called({"blockhost-libvirt", "destroy"})
              .err.starts_with("Usage: blockhost-libvirt destroy <name>\n"));
}

TEST_CASE("a refused value exits 1 for a contract verb, by the table for others, without the usage line") {
    Outcome outcome = called({"blockhost-vm-create", "web", "--owner-wallet=0xab", "--memory=1"});
    CHECK(outcome.status == 1);
    CHECK(outcome.err == "[vm-create] ERROR: --memory: '1' is out of bounds (64 to 1048576)\n");
    CHECK(called({"blockhost-libvirt", "list", "--limit=0"}).status == row_of(Code::invalid).exit_status);
}

TEST_CASE("a verb that must always answer does so when its command line is refused") {
    for (const Words& words : {Words{"blockhost-vm-status"}, Words{"blockhost-vm-status", "a", "b"},
                               Words{"blockhost-vm-status", "--nonsense"}}) {
        Outcome outcome = called(words);
        CHECK(outcome.status == 0);
        CHECK(outcome.out == "unknown\n");
        CHECK(outcome.err.starts_with("Usage: blockhost-vm-status <name>\nERROR: "));
    }
}

TEST_CASE("a verb that must always answer does so when the environment is refused") {
    REQUIRE(::setenv("BLOCKHOST_ROOT", "not/absolute", 1) == 0);
    Outcome status = called({"blockhost-vm-status", "web"});
    Outcome destroy = called({"blockhost-vm-destroy", "web"});
    ::unsetenv("BLOCKHOST_ROOT");
    CHECK(status.status == 0);
    CHECK(status.out == "unknown\n");
    CHECK(destroy.status == 1);
    CHECK(destroy.out == "");
}

TEST_CASE("a failed verb exits by the table and says why in the last line") {
    Outcome outcome = called({"blockhost-libvirt", "fail", "busy"});
    CHECK(outcome.status == row_of(Code::busy).exit_status);
    CHECK(outcome.out == "");
    CHECK(outcome.err == "[fail] ERROR: the VM is busy; wait\n");
    CHECK(called({"blockhost-libvirt", "fail", "interrupted"}).status ==
          row_of(Code::interrupted).exit_status);
    CHECK(called({"blockhost-libvirt", "fail", "usage"}).status == 2);
    CHECK(called({"blockhost-libvirt", "fail", "so"}).status == 7);
}

TEST_CASE("with --json a failure is a document on stdout too, a refused command line as well") {
    Outcome outcome = called({"blockhost-libvirt", "fail", "busy", "--json"});
    CHECK(outcome.out ==
          "{\"status\": \"error\", \"error\": \"the VM is busy\", \"code\": \"busy\", \"hint\": \"wait\", "
          "\"retry\": true}\n");
    CHECK(outcome.err == "[fail] ERROR: the VM is busy; wait\n");
    CHECK(called({"blockhost-libvirt", "fail", "--json"}).out.starts_with("{\"status\": \"error\""));
    CHECK(called({"blockhost-vm-destroy", "--json"}).out == "");
}

TEST_CASE("anything else thrown is an internal error") {
    Outcome outcome = called({"blockhost-libvirt", "fail", "other"});
    CHECK(outcome.status == row_of(Code::internal).exit_status);
    CHECK(outcome.err ==
          "[fail] ERROR: the program met a fault of its own; please report it with these words: "
          "out of luck\n");
}

TEST_CASE("an answer that cannot be written fails the verb") {
    std::FILE* full = std::fopen("/dev/full", "w");
    unit_cli::Stream err;
    CHECK(run_command_line(Words{"blockhost-vm-destroy", "web"}, full, err.file()) == 1);
    CHECK(err.text() ==
          "[destroy] ERROR: cannot write to standard output: No space left on device; free some "
          "space on that file system\n");
    CHECK(run_command_line(Words{"blockhost-libvirt", "--help"}, full, err.file()) ==
          row_of(Code::io).exit_status);
    CHECK(run_command_line(Words{"blockhost-vm-status"}, full, err.file()) == 1);
    std::fclose(full);
}

TEST_CASE("the process leaves with the verb's status") {
    CHECK(status_of_process({"blockhost-vm-destroy", "web"}, silence) == 0);
    CHECK(status_of_process({"blockhost-libvirt", "fail", "so"}, silence) == 7);
}

TEST_CASE("a closed stdout fails the verb, a closed stderr does not") {
    CHECK(status_of_process({"blockhost-vm-destroy", "web"}, [] {
              silence();
              ::close(1);
          }) == 1);
    CHECK(status_of_process({"blockhost-vm-destroy", "web"}, [] {
              silence();
              ::close(2);
          }) == 0);
}

TEST_CASE("a verb that a signal interrupted exits with 128 and the signal's number") {
    for (int number : {SIGTERM, SIGINT}) {
        pid_t child = ::fork();
        if (child == 0) {
            silence();
            install_signal_notes();
            ::raise(number);
            ::_exit(run_command_line(Words{"blockhost-libvirt", "fail", "interrupted"}, stdout, stderr));
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WEXITSTATUS(status) == 128 + number);
    }
}
