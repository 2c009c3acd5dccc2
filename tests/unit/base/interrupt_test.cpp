// Signals as notes. Installing is for the rest of a process, so each test does it in a child.
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <csignal>

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
