// SPDX-License-Identifier: MIT
// What the script that runs inside the image reports.
#include "image/customise.hpp"

#include "base/error.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::image;

namespace {

Error refusal(const std::string& report) {
    try {
        read_report(report);
    } catch (const Error& error) {
        return error;
    }
    return Error(Code::internal, "it was taken");
}

TemplatePackage package(const std::string& name, const std::string& version) {
    return {name + ".deb", name, version, ""};
}

} // namespace

TEST_CASE("a whole report names packages, versions and accounts") {
    const auto inside =
        read_report("package sudo 1.9.13p3-1\npackage libc6 2.36-9\naccount root\naccount _ssh\ndone\n"
                    "account before\nwhat was there before");
    CHECK(inside.packages == std::map<std::string, std::string>{{"libc6", "2.36-9"}, {"sudo", "1.9.13p3-1"}});
    CHECK(inside.accounts == std::set<std::string>{"_ssh", "root"});
}

TEST_CASE("a report that was cut off, or never written, is no success") {
    for (const char* report : {"", "BLOCKHOST-REPORT", "package sudo 1.9\n", "package sudo 1.9\ndon"})
        CHECK(refusal(report).code() == Code::program);
}

TEST_CASE("a failure is told with what was done and the reasons that apt gave") {
    const Error error =
        refusal("failed installing the template packages\nReading package lists...\n"
                " one : Conflicts: two but 1.0 is to be installed\nE: Unable to correct problems\n");
    CHECK(error.code() == Code::config);
    CHECK(error.message() ==
          "inside the image, installing the template packages failed: one : Conflicts: two but "
          "1.0 is to be installed | E: Unable to correct problems");
    CHECK_FALSE(error.hint().empty());
    const Error other = refusal("failed setting up sshd\nline 3: Bad configuration\n");
    CHECK(other.code() == Code::program);
    CHECK(other.message() == "inside the image, setting up sshd failed: line 3: Bad configuration");
}

TEST_CASE("a terminal's escapes in a report stay text") {
    CHECK(refusal("failed x\nE: \x1b[2J boo\n").message().find('\x1b') == std::string::npos);
}

TEST_CASE("each template package must be inside in its own version") {
    const std::map<std::string, std::string> inside{{"one", "1.0"}, {"two", "2.0"}};
    CHECK_NOTHROW(require_inside({package("one", "1.0")}, inside));
    CHECK_NOTHROW(require_inside({}, {}));
    try {
        require_inside({package("one", "1.0"), package("two", "3.0"), package("three", "1")}, inside);
        FAIL("it was taken");
    } catch (const Error& error) {
        CHECK(error.code() == Code::config);
        CHECK(error.message().find("two 3.0 (but 2.0), three 1") != std::string::npos);
        CHECK(error.message().find("one") == std::string::npos);
    }
}
