// SPDX-License-Identifier: MIT
// The record: a chain in which nothing can be changed, left out or added unnoticed.
#include "authority/audit.hpp"

#include "base/fault.hpp"
#include "base/text/digest.hpp"
#include "base/text/text.hpp"
#include "tests/unit/authority/database.hpp"
#include "tests/unit/authority/keys.hpp"

#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>

using namespace blockhost;
using namespace blockhost::authority;

namespace {

const Instant at = *parse_instant("2030-01-01T00:00:00Z");

AuditHead add(Audit& audit, int n) {
    return audit.add({{"event", "test"}, {"n", n}, {"count", n}}, at);
}

AuditCheck check(const AgentFolder& agent, const std::optional<AuditHead>& known = {}) {
    const Fd fd = agent.folder().open_file("audit.jsonl", O_RDONLY);
    REQUIRE(fd);
    return check_audit(fd.get(), "it", known);
}

std::vector<std::string> lines(const AgentFolder& agent) {
    auto all = text::split(*files::read(agent.file("audit.jsonl")), '\n');
    REQUIRE(all.back().empty());
    all.pop_back();
    return all;
}

void write(const AgentFolder& agent, const std::vector<std::string>& all) {
    std::ofstream file(agent.file("audit.jsonl"));
    for (const std::string& line : all) file << line << '\n';
}

struct Written {
    AgentFolder agent;
    AuditHead head;
    Written() {
        Audit audit = agent.audit();
        for (int n = 1; n <= 5; ++n) head = add(audit, n);
    }
};

} // namespace

TEST_CASE("each line holds the digest of the one before") {
    const Written written;
    const auto all = lines(written.agent);
    REQUIRE(all.size() == 5);
    CHECK(all[0] == R"({"line": 1, "previous": ")" + std::string(64, '0') +
                        R"(", "at": "2030-01-01T00:00:00+00:00", "event": "test", "n": 1, "count": 1})");
    for (std::size_t n = 1; n < all.size(); ++n) CHECK(all[n].find(sha256(all[n - 1])) != std::string::npos);
    CHECK(written.head == AuditHead{5, sha256(all[4]), 5});
    const AuditCheck found = check(written.agent, written.head);
    CHECK(found.broken_line == 0);
    CHECK(found.head == written.head);
    struct stat made {};
    REQUIRE(stat(written.agent.file("audit.jsonl").c_str(), &made) == 0);
    CHECK((made.st_mode & 07777) == 0600);
}

TEST_CASE("an empty record is whole") {
    AgentFolder agent;
    CHECK(agent.audit().head() == AuditHead{0, std::string(64, '0'), 0});
    CHECK(check(agent).broken_line == 0);
}

TEST_CASE("the chain goes on after opening it again, and with two that add to it") {
    const Written written;
    Audit first = written.agent.audit(), second = written.agent.audit();
    CHECK(first.head() == written.head);
    add(first, 6);
    add(second, 7);
    CHECK(add(first, 8).line == 8);
    CHECK(second.head().line == 8);
    CHECK(check(written.agent).broken_line == 0);
}

TEST_CASE("the first line that does not hold is named") {
    const Written written;
    auto all = lines(written.agent);
    SECTION("a line was changed") {
        all[2].replace(all[2].find("\"n\": 3"), 6, "\"n\": 9");
        write(written.agent, all);
        CHECK(check(written.agent).broken_line == 4);
    }
    SECTION("a line was left out") {
        all.erase(all.begin() + 2);
        write(written.agent, all);
        CHECK(check(written.agent).broken_line == 3);
    }
    SECTION("two lines changed places") {
        std::swap(all[1], all[2]);
        write(written.agent, all);
        CHECK(check(written.agent).broken_line == 2);
    }
    SECTION("a line is none") {
        all[1] = "{}";
        write(written.agent, all);
        CHECK(check(written.agent).broken_line == 2);
    }
    SECTION("the end is torn") {
        std::ofstream(written.agent.file("audit.jsonl"), std::ios::app) << "{\"line\": 6";
        CHECK(check(written.agent).broken_line == 6);
    }
    SECTION("the end was cut off, which only a known head can tell") {
        all.pop_back();
        write(written.agent, all);
        CHECK(check(written.agent).broken_line == 0);
        CHECK(check(written.agent, written.head).broken_line == 5);
    }
    SECTION("the last line was written anew, which only a known head can tell") {
        all[4].replace(all[4].find("\"n\": 5"), 6, "\"n\": 9");
        write(written.agent, all);
        CHECK(check(written.agent).broken_line == 0);
        CHECK(check(written.agent, written.head).broken_line == 5);
    }
    CHECK_FALSE(check(written.agent, written.head).why.empty());
}

TEST_CASE("what a loss of power left of a line is cut off, and told") {
    const Written written;
    std::ofstream(written.agent.file("audit.jsonl"), std::ios::app) << "{\"line\": 6";
    Audit audit = written.agent.audit();
    CHECK(audit.head() == written.head);
    CHECK(add(audit, 6).line == 6);
    CHECK(lines(written.agent).back().find("\"cut_bytes\": 10") != std::string::npos);
    CHECK(check(written.agent).broken_line == 0);
}

TEST_CASE("a record that became shorter under us is not added to") {
    const Written written;
    Audit audit = written.agent.audit();
    std::filesystem::resize_file(written.agent.file("audit.jsonl"), 10);
    CHECK(refusal([&] { add(audit, 6); }).first == Code::denied);
}

TEST_CASE("a file that is no record is not added to") {
    AgentFolder agent;
    agent.audit();
    std::ofstream(agent.file("audit.jsonl")) << "something else\n";
    CHECK(refusal([&] { agent.audit(); }).first == Code::io);
}

TEST_CASE("a line that could not be written is not in the chain") {
    const Written written;
    Audit audit = written.agent.audit();
    fault::arm("fail@1");
    CHECK_THROWS_AS(add(audit, 6), Error);
    fault::arm("fail@1000");
    CHECK(audit.head() == written.head);
    CHECK(add(audit, 6).line == 6);
    CHECK(check(written.agent).broken_line == 0);
}
