// SPDX-License-Identifier: MIT
// Property strings and forms.
#include "platform/proxmox/form.hpp"
#include "platform/proxmox/property_string.hpp"

#include <catch2/catch.hpp>

using namespace blockhost::platform::proxmox;

TEST_CASE("properties are read by key, a bare value under the key that the call names") {
    CHECK(parse_properties("local:140/vm-140-disk-0.qcow2,size=1G", "file") ==
          Properties{{"file", "local:140/vm-140-disk-0.qcow2"}, {"size", "1G"}});
    CHECK(parse_properties("name=eth0,bridge=vmbr0, ip=dhcp ,") ==
          Properties{{"bridge", "vmbr0"}, {"ip", "dhcp"}, {"name", "eth0"}});
    CHECK(parse_properties("args=a=b") == Properties{{"args", "a=b"}});
    CHECK(parse_properties("") == Properties{});
}

TEST_CASE("what no node writes is refused") {
    CHECK_FALSE(parse_properties("bare"));
    CHECK_FALSE(parse_properties("a,b", "file"));
    CHECK_FALSE(parse_properties("a=1,a=2"));
    CHECK_FALSE(parse_properties("=1"));
    CHECK_FALSE(parse_properties("a=" + std::string(8200, 'x')));
}

TEST_CASE("texts that mean the same are written alike") {
    const auto normal = [](std::string_view text) {
        return write_properties(*parse_properties(text, "virtio"), "virtio");
    };
    CHECK(normal("firewall=1,bridge=vmbr0,virtio=BC:24:11:00:00:01") ==
          "BC:24:11:00:00:01,bridge=vmbr0,firewall=1");
    CHECK(normal("BC:24:11:00:00:01,bridge=vmbr0,firewall=1") ==
          normal("virtio=BC:24:11:00:00:01,firewall=1,bridge=vmbr0"));
    CHECK(write_properties({{"b", "2"}, {"a", "1"}}) == "a=1,b=2");
    CHECK(write_properties({}) == "");
}

TEST_CASE("what is written is read as the same, also where a value cannot stand without its key") {
    for (auto text : {"file=a=b,size=1G", "file=,size=1G", "file= a", "a,size=1G", "size=1G"}) {
        const auto read = parse_properties(text, "file");
        REQUIRE(read);
        CHECK(parse_properties(write_properties(*read, "file"), "file") == read);
    }
}

TEST_CASE("forms are percent-encoded, list members stand one by one") {
    CHECK(form_of({{"description", "a=b&c +ä\n"}, {"command", "ls"}, {"command", "-l"}}) ==
          "description=a%3Db%26c%20%2B%C3%A4%0A&command=ls&command=-l");
    CHECK(form_of({}) == "");
    CHECK(percent_encoded(std::string_view("\0~.-_", 5)) == "%00~.-_");
}
