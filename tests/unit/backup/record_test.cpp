// SPDX-License-Identifier: MIT
// Records in backups: what is written is read back, and what others wrote is judged.
#include "backup/record.hpp"

#include "tests/unit/backup/support.hpp"

using namespace blockhost;
using namespace blockhost::backup;

namespace {

Record example() {
    return {.name = VmName("web-001"),
            .mac = *Mac::try_parse("52:54:00:01:02:03"),
            .cpus = 2,
            .memory_mib = 4096,
            .status = RecordStatus::suspended,
            .owner = "0x00000000000000000000000000000000000000a1",
            .username = Username("admin"),
            .network_mode = "broker",
            .ip = Ipv4::try_parse("192.0.2.7"),
            .ipv6 = Ipv6::try_parse("2001:db8::7"),
            .created_at = parse_instant("2026-01-02T03:04:05Z"),
            .expires_at = parse_instant("2027-01-02T03:04:05Z")};
}

/// The example with one piece of its text replaced.
std::string with(std::string_view from, std::string_view to) {
    std::string text = render(example());
    const auto at = text.find(from);
    REQUIRE(at != text.npos);
    return text.replace(at, from.size(), to);
}

Code refused(const std::string& text) {
    try {
        parse_record(text, "it");
    } catch (const Error& error) {
        return error.code();
    }
    return Code::internal;
}

} // namespace

TEST_CASE("a record is read as it was written") {
    const Record before = example(), after = parse_record(render(before), "it");
    CHECK(after.name == before.name);
    CHECK(after.mac == before.mac);
    CHECK(after.cpus == 2);
    CHECK(after.memory_mib == 4096);
    CHECK(after.status == before.status);
    CHECK(after.owner == before.owner);
    CHECK(after.username == before.username);
    CHECK(after.network_mode == before.network_mode);
    CHECK(after.ip == before.ip);
    CHECK(after.ipv6 == before.ipv6);
    CHECK(after.created_at == before.created_at);
    CHECK(after.expires_at == before.expires_at);
}

TEST_CASE("what a VM need not have may be missing") {
    Record before = example();
    before.ip.reset();
    before.ipv6.reset();
    before.username.reset();
    before.created_at.reset();
    before.expires_at.reset();
    const Record after = parse_record(render(before), "it");
    CHECK_FALSE(after.ip);
    CHECK_FALSE(after.ipv6);
    CHECK_FALSE(after.username);
    CHECK_FALSE(after.created_at);
    CHECK_FALSE(after.expires_at);
}

TEST_CASE("a record that no VM can be made of is refused") {
    const std::vector<std::pair<const char*, const char*>> cases{
        {"\"format\": 1", "\"format\": 2"},
        {"web-001", "../web-001"},
        {"web-001", "web-001\\nx"},
        {"52:54:00:01:02:03", "52:54:00:01:02"},
        {"52:54:00:01:02:03", "52:54:00:01:02:03'/><hostdev/>"},
        {"\"cpus\": 2", "\"cpus\": 0"},
        {"\"cpus\": 2", "\"cpus\": 100000"},
        {"\"cpus\": 2", "\"cpus\": \"2\""},
        {"4096", "-1"},
        {"4096", "1e30"},
        {"4096", "99999999999999999999"},
        {"\"suspended\"", "\"gone\""},
        {"0x00000000", "\\u001b[2J"},
        {"\"admin\"", "\"root:x:0:0\""},
        {"192.0.2.7", "192.0.2.999"},
        {"192.0.2.7", "192.0.2.7/24"},
        {"2001:db8::7", "fe80::1%eth0"},
        {"2027-01-02", "never"},
        {"\"cpus\"", "\"hostdev\": \"0000:00:1f.2\", \"cpus\""},
        {"\"cpus\"", "\"cpus\": 2, \"cpus\""},
        {"\"mac\"", "\"Mac\""},
        {"}", ""},
    };
    for (const auto& [from, to] : cases) {
        CAPTURE(from, to);
        CHECK(refused(with(from, to)) == Code::invalid);
    }
    CHECK(refused("") == Code::invalid);
    CHECK(refused("[]") == Code::invalid);
    CHECK(refused("null") == Code::invalid);
    CHECK(refused(std::string(largest_record + 1, ' ')) == Code::invalid);
    CHECK(refused(with("broker", std::string(300, 'x').c_str())) == Code::invalid);
}
