// SPDX-License-Identifier: MIT
// Reading back what our renderer wrote, and nothing else; limits as they travel.

#include "base/error.hpp"
#include "hypervisor/tuning_json.hpp"
#include "hypervisor/xml/domain.hpp"
#include "support.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>

using namespace blockhost;
using namespace hypervisor_test;

namespace {

DomainSpec full_spec() {
    auto spec = example_spec();
    spec.kvm = false;
    spec.ipv6 = Ipv6::try_parse("2a11:6c7:f04:276::5");
    spec.kernel = "/boot/vmlinuz";
    spec.initrd = "/boot/initrd.img";
    spec.kernel_arguments = "console=ttyS0 quiet=<&\"'>";
    return spec;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    REQUIRE(at != text.npos);
    return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a definition that we rendered is read back to what it was rendered from") {
    for (const DomainSpec& spec : {example_spec(), full_spec()}) {
        const std::string xml = render_domain(spec);
        const auto read = spec_of(xml);
        REQUIRE(read);
        CHECK(render_domain(*read) == xml);
        CHECK(read->name == spec.name);
        CHECK(read->disk_path == spec.disk_path);
        CHECK(read->seed_path == spec.seed_path);
        CHECK(read->console_path == spec.console_path);
        CHECK(read->bridge == spec.bridge);
        CHECK(read->kernel_arguments == spec.kernel_arguments);
        CHECK(read->ip == spec.ip);
        CHECK(read->ipv6 == spec.ipv6);
        CHECK(read->operation == spec.operation);
    }
}

TEST_CASE("a definition with anything else in it is none of ours") {
    const std::string xml = render_domain(full_spec());
    const std::string changed = GENERATE_COPY(
        replaced(xml, "<devices>", "<devices>\n    <hostdev mode=\"subsystem\" type=\"pci\"/>"),
        replaced(xml, "</domain>",
                 "<qemu:commandline xmlns:qemu=\"http://libvirt.org/schemas/domain/qemu/1.0\"/></domain>"),
        replaced(xml, "<disk type=\"file\" device=\"disk\">", "<disk type=\"block\" device=\"disk\">"),
        replaced(xml, "<port isolated=\"yes\" />", ""), replaced(xml, "cache=\"none\"", "cache=\"unsafe\""),
        replaced(xml, "</devices>",
                 "<disk type=\"file\" device=\"disk\"><source file=\"/etc/shadow\"/></disk></devices>"),
        replaced(xml, "<on_crash>destroy</on_crash>", "<on_crash>restart</on_crash>"), xml + "<!-- more -->",
        "<!DOCTYPE x>" + xml, xml + xml, " " + xml, xml.substr(0, xml.size() / 2), std::string(),
        std::string("<domain/>"), std::string("text"), std::string("\0<domain/>", 10));
    CHECK_FALSE(spec_of(changed));
}

TEST_CASE("limits travel as they are, given or not") {
    Tuning all;
    all.cpu_shares = 512;
    all.cpu_period = 100'000;
    all.cpu_quota = -1;
    all.inbound = Tuning::Bandwidth{1, 2, 3};
    all.outbound = Tuning::Bandwidth{};
    all.iops = Tuning::Iops{100, 18'446'744'073'709'551'615ull};
    for (const Tuning& tuning : {all, Tuning{}}) {
        const auto text = boost::json::serialize(to_json(tuning));
        CHECK(tuning_from(boost::json::parse(text).as_object()) == tuning);
    }
    const auto wrong = GENERATE(R"({"cpu_shares": "1"})", R"({"cpu_shares": -1})", R"({"inbound": 1})",
                                R"({"inbound": {"average": 4294967296}})", R"({"cpu_quota": 1.5})");
    CHECK_THROWS_AS(tuning_from(boost::json::parse(wrong).as_object()), Error);
}

TEST_CASE("an unusual MTU is in the definition, and read back from it") {
    DomainSpec spec = full_spec();
    CHECK(render_domain(spec).find("<mtu") == std::string::npos);
    spec.mtu = 9000;
    const std::string xml = render_domain(spec);
    CHECK(xml.find("<mtu size=\"9000\" />") != std::string::npos);
    const auto read = spec_of(xml);
    REQUIRE(read);
    CHECK(read->mtu == 9000);
    CHECK_FALSE(spec_of(replaced(xml, "9000", "09000")));
    CHECK_FALSE(spec_of(replaced(xml, "9000", "x")));
}
