// SPDX-License-Identifier: MIT
// Signals as notes. Installing is for the rest of a process, so each test does it in a child.
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "base/patience.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <csignal>
#include <sys/time.h>

using namespace blockhost;
using namespace blockhost::test;

TEST_CASE("without signals and wishes nothing interrupts") {
    CHECK(noted_signal() == 0);
    CHECK(Interruption().reason() == Interruption::Reason::none);
    CHECK_NOTHROW(Interruption([] { return false; }).check());
}

TEST_CASE("the first signal is noted and stays the first") {
    int status = in_child([] {
        install_signal_notes();
        raise(SIGTERM);
        raise(SIGINT);
        raise(SIGPIPE);
        return noted_signal();
    });
    CHECK(ended_with(status, SIGTERM));
}

TEST_CASE("a noted signal interrupts, until we say that it must not") {
    int status = in_child([] {
        install_signal_notes();
        raise(SIGINT);
        Interruption interruption;
        if (interruption.reason() != Interruption::Reason::signal) return 1;
        try {
            interruption.check();
            return 2;
        } catch (const Error& e) {
            if (e.code() != Code::interrupted || e.message().find("SIGINT") == std::string::npos) return 3;
        }
        interruption.ignore_from_now();
        interruption.check();
        return interruption.reason() == Interruption::Reason::none ? 0 : 4;
    });
    CHECK(ended_with(status, 0));
}

TEST_CASE("another operation's wish interrupts as well") {
    bool asked = false;
    Interruption interruption([&] { return asked; });
    CHECK_NOTHROW(interruption.check());
    asked = true;
    CHECK(interruption.reason() == Interruption::Reason::asked_to_give_up);
    CHECK_THROWS_AS(interruption.check(), Error);
    interruption.ignore_from_now();
    CHECK_NOTHROW(interruption.check());
}

namespace {

/// Brings a SIGALRM that is noted, after 20 ms.
void ask_for_a_signal() {
    install_signal_notes();
    const itimerval soon{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_usec = 20'000}};
    setitimer(ITIMER_REAL, &soon, nullptr);
}

} // namespace

TEST_CASE("a signal ends a pause that looks for it") {
    const int status = in_child([] {
        ask_for_a_signal();
        const auto longest = Deadline::in(std::chrono::minutes(1));
        try {
            pause_for(longest.left(), [] { Interruption().check(); });
        } catch (const Error& error) {
            return error.code() == Code::interrupted && !longest.passed() ? 0 : 1;
        }
        return 2;
    });
    CHECK(ended_with(status, 0));
}

TEST_CASE("a pause that looks for nothing takes its time, a signal or not") {
    const int status = in_child([] {
        ask_for_a_signal();
        const auto end = Deadline::in(std::chrono::milliseconds(150));
        pause_for(std::chrono::milliseconds(150));
        return end.passed() && noted_signal() == SIGALRM ? 0 : 1;
    });
    CHECK(ended_with(status, 0));
}

TEST_CASE("a pause looks at its beginning and again and again, and one of no time once") {
    int looks = 0;
    pause_for(std::chrono::milliseconds(0), [&] { ++looks; });
    CHECK(looks == 1);
    CHECK_THROWS_AS(pause_for(std::chrono::minutes(1),
                              [&] {
                                  if (++looks == 3) throw looks;
                              }),
                    int);
}
