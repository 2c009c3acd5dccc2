// SPDX-License-Identifier: MIT
// Which snapshots are backups, and how one is named.
#include "backup/catalogue.hpp"

#include "tests/unit/backup/support.hpp"

using namespace blockhost;
using namespace blockhost::backup;

namespace {

const std::string own(32, 'a'), uuid = "11111111-2222-4333-8444-555555555555";

Snapshot snapshot(const std::string& digits, const std::string& vm, const std::string& at,
                  const std::string& host = own) {
    std::string id = digits;
    id.resize(64, '0');
    return {id, *parse_instant(at), host, {"vm=" + vm, "uuid=" + uuid, "op=aaaaaaaa12345678"}};
}

} // namespace

TEST_CASE("backups are told from other snapshots by their tags, and come oldest first") {
    Snapshot foreign = snapshot("c", "web-001", "2026-01-03"), twice = snapshot("d", "web-001", "2026-01-03");
    foreign.tags = {"mine"};
    twice.tags.push_back("vm=web-002");
    const Catalogue catalogue(
        {snapshot("b", "web-001", "2026-01-02"), snapshot("a", "web-002", "2026-01-01"), foreign, twice});
    REQUIRE(catalogue.all().size() == 2);
    CHECK(catalogue.all()[0].vm.str() == "web-002");
    CHECK(catalogue.others() == 2);
    CHECK(catalogue.of(VmName("web-001")).size() == 1);
    CHECK(catalogue.foreign_to(*InstanceId::try_parse(own)) == nullptr);
    CHECK(catalogue.foreign_to(*InstanceId::try_parse(std::string(32, 'b'))) != nullptr);
}

TEST_CASE("a backup is named by the first digits of its id, or as a VM's latest") {
    const Catalogue catalogue({snapshot("abcdef1", "web-001", "2026-01-01"),
                               snapshot("abcdef2", "web-001", "2026-01-02"),
                               snapshot("123456", "web-002", "2026-01-03")});
    CHECK(catalogue.find("abcdef1").taken_at == *parse_instant("2026-01-01"));
    CHECK(catalogue.find("web-001@latest").short_id() == "abcdef20");
    CHECK(refusal([&] { catalogue.find("abcdef"); }).first == Code::usage);
    CHECK(refusal([&] { catalogue.find("abcde"); }).first == Code::invalid);
    CHECK(refusal([&] { catalogue.find("fffffff"); }).first == Code::not_found);
    CHECK(refusal([&] { catalogue.find("web-003@latest"); }).second == "there is no backup of web-003");
    CHECK(refusal([&] { catalogue.find("../x@latest"); }).first == Code::invalid);
}

TEST_CASE("the last backup of each VM comes by the VM's name") {
    const Catalogue catalogue({snapshot("a", "web-002", "2026-01-01"), snapshot("b", "web-001", "2026-01-02"),
                               snapshot("c", "web-002", "2026-01-03")});
    const auto latest = catalogue.latest_of_each();
    REQUIRE(latest.size() == 2);
    CHECK(latest[0].vm.str() == "web-001");
    CHECK(latest[1].taken_at == *parse_instant("2026-01-03"));
    CHECK(Catalogue({}).latest_of_each().empty());
}
