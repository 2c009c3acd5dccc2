// A glance at the VM database says what its records say.
#include "registry/names.hpp"
#include "registry/registry.hpp"
#include "tests/unit/base/scratch.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::test;

namespace {

using Names = std::vector<std::pair<std::string, RecordStatus>>;

std::optional<Names> glance(const std::string& text) {
    Scratch scratch;
    put(scratch / "vms.json", text);
    return names_at_a_glance(scratch / "vms.json");
}

} // namespace

TEST_CASE("a glance finds the names and statuses that the records have") {
    const std::string text = R"({"vms": {
        "web-1": {"status": "active", "tags": ["status", {"status": "destroyed"}], "status_note": "suspended"},
        "web-2": {"deep": {"status": "active"}, "x": 1.5e3, "status": "suspended", "y": null},
        "old": {"status": "destroyed", "z": true},
        "a b": {"status": "active"}, "odd": {"status": "unheard-of"}, "none": {}, "number": {"status": 3},
        "list": {"status": ["active"]}, "esc\u0061pe": {"st\u0061tus": "acti\u0076e"}, "text": "active"},
        "others": {"not-a-vm": {"status": "active"}}, "allocated_ips": ["active"]})";
    const Names wanted{{"web-1", RecordStatus::active},
                       {"web-2", RecordStatus::suspended},
                       {"old", RecordStatus::destroyed},
                       {"escape", RecordStatus::active}};
    REQUIRE(glance(text));
    CHECK(*glance(text) == wanted);
    Names read;
    for (const VmRecord& record : Database(JsonTree::parse(std::string(text))).records())
        read.emplace_back(record.name.str(), record.status);
    CHECK(read == wanted);
}

TEST_CASE("a glance says nothing of what a plain parser does not read") {
    CHECK_FALSE(glance(R"({"vms": {"a": {"status": "active", "x": NaN}}})"));
    CHECK_FALSE(glance(R"({"vms": {"a": {"status": "act)"));
    CHECK_FALSE(glance(""));
    CHECK_FALSE(glance("{} {}"));
    CHECK_FALSE(names_at_a_glance("/nonexistent/vms.json"));
    CHECK(glance("{}\n")->empty());
}

TEST_CASE("a glance takes no name from what stands before a list of VMs") {
    CHECK(glance(R"({"others": {"web": 1}, "vms": [{"status": "active"}]})")->empty());
}
