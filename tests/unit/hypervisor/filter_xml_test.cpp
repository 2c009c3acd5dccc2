// SPDX-License-Identifier: MIT
// The two network filters. That they keep guests in is shown where guests run.

#include "base/error.hpp"
#include "hypervisor/xml/domain.hpp"
#include "hypervisor/xml/interface.hpp"
#include "support.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace hypervisor_test;

TEST_CASE("the filter for IPv4 alone is rendered as agreed, and knows nothing of IPv6") {
    auto xml = render_filter({FilterKind::ipv4, "blockhost-guest-ipv4"});
    check_golden("filter-ipv4.xml", xml);
    check_valid(xml, "nwfilter");
    CHECK(xml.find("ipv6") == std::string::npos);
    CHECK(xml.find("IPV6") == std::string::npos);
}

TEST_CASE("the filter for both families is rendered as agreed") {
    auto xml = render_filter({FilterKind::ipv4_and_ipv6, "blockhost-guest-ipv4-ipv6"});
    check_golden("filter-ipv4-ipv6.xml", xml);
    check_valid(xml, "nwfilter");
}

TEST_CASE("a filter's uuid follows from its name alone") {
    auto uuid = [](const std::string& xml) { return xml.substr(xml.find("<uuid>") + 6, 36); };
    auto first = uuid(render_filter({FilterKind::ipv4, "a"}));
    CHECK(Uuid::try_parse(first));
    CHECK(first == uuid(render_filter({FilterKind::ipv4_and_ipv6, "a"})));
    CHECK(first != uuid(render_filter({FilterKind::ipv4, "b"})));
}

TEST_CASE("filters are named plainly at the default root, and with the instance's tag elsewhere") {
    auto instance = *InstanceId::try_parse("0123456789abcdef0123456789abcdef");
    CHECK(filter_name(FilterKind::ipv4, true, instance) == "blockhost-guest-ipv4");
    CHECK(filter_name(FilterKind::ipv4_and_ipv6, true, instance) == "blockhost-guest-ipv4-ipv6");
    CHECK(filter_name(FilterKind::ipv4, false, instance) == "blockhost-guest-ipv4-01234567");
    CHECK(filter_name(FilterKind::ipv4_and_ipv6, false, instance) == "blockhost-guest-ipv4-ipv6-01234567");
}

TEST_CASE("a running interface's filter is bound to its tap with all that pins it") {
    const auto mac = *Mac::try_parse("52:54:00:b1:0c:07");
    const std::string runs =
        "<domain id='3'><name>a&amp;b</name><uuid>11111111-2222-4333-8444-555555555555</uuid><devices>"
        "<interface type='bridge'><mac address='52:54:00:00:00:01'/></interface><interface type='bridge'>"
        "<mac address='52:54:00:B1:0C:07'/><target dev='vnet7'/><filterref filter='f'><parameter name='IP' "
        "value='10.0.0.7'/><parameter name='IPV6' value='2001:db8::7'/></filterref></interface></devices>"
        "</domain>";
    const FilterBinding binding = filter_binding(runs, mac);
    CHECK(binding.tap == "vnet7");
    const std::string xml = render_binding(binding);
    CHECK(xml == R"(<filterbinding>
  <owner>
    <name>a&amp;b</name>
    <uuid>11111111-2222-4333-8444-555555555555</uuid>
  </owner>
  <portdev name="vnet7" />
  <mac address="52:54:00:B1:0C:07" />
  <filterref filter="f">
    <parameter name="IP" value="10.0.0.7" />
    <parameter name="IPV6" value="2001:db8::7" />
  </filterref>
</filterbinding>
)");
    check_valid(xml, "nwfilterbinding");
    CHECK_THROWS_AS(filter_binding(runs, *Mac::try_parse("52:54:00:00:00:01")), Error);
    CHECK_THROWS_AS(filter_binding(runs, *Mac::try_parse("52:54:00:00:00:02")), Error);
}
