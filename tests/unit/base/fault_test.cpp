// SPDX-License-Identifier: MIT
// The fault knob. Arming is for the rest of a process, so each test arms in a child.
#include "base/error.hpp"
#include "base/fault.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>
#include <csignal>

using namespace blockhost;
using namespace blockhost::test;

namespace {

/// How many of ten points are passed before one throws.
int points_passed() {
    for (int i = 0; i < 10; ++i) {
        try {
            fault::point("here");
        } catch (const Error& e) {
            return e.code() == Code::internal && e.message().find("here") != std::string::npos ? i : 98;
        }
    }
    return 10;
}

} // namespace

TEST_CASE("an unarmed point does nothing") {
    CHECK(points_passed() == 10);
}

TEST_CASE("fail@N throws at the N-th point and at no other") {
    auto work = [](const char* specification) {
        return [=] {
            fault::arm(specification);
            int before = points_passed();
            return points_passed() == 10 ? before : 97;
        };
    };
    CHECK(ended_with(in_child(work("fail@1")), 0));
    CHECK(ended_with(in_child(work("fail@7")), 6));
}

TEST_CASE("kill@N ends the process by SIGKILL at the N-th point") {
    int status = in_child([] {
        fault::arm("kill@3");
        return points_passed();
    });
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);
    CHECK(ended_with(in_child([] {
                         fault::arm("kill@11");
                         return points_passed();
                     }),
                     10));
}

TEST_CASE("count@FILE writes the number of points passed at exit") {
    Scratch folder;
    auto work = [&] {
        fault::arm("count@" + (folder / "count").native());
        return points_passed();
    };
    CHECK(ended_with(in_child(work, ChildEnd::exit_quickly), 10));
    CHECK(get(folder / "count") == "10\n");
}

TEST_CASE("a fault specification that cannot be read is refused and arms nothing") {
    for (const char* bad :
         {"", "fail", "fail@", "fail@0", "fail@-1", "fail@x", "fail@1 ", "burn@1", "kill@1@2", "@1"}) {
        CAPTURE(bad);
        CHECK_THROWS_AS(fault::arm(bad), Error);
    }
    CHECK(points_passed() == 10);
}
