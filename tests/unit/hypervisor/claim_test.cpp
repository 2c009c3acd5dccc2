// SPDX-License-Identifier: MIT
#include "hypervisor/hypervisor.hpp"
#include "hypervisor/xml/claim.hpp"
#include "hypervisor/xml/domain.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;

namespace {

const InstanceId here = *InstanceId::try_parse("0123456789abcdef0123456789abcdef");
const InstanceId elsewhere = *InstanceId::try_parse("f123456789abcdef0123456789abcdef");

Claim claim(const std::string& name, const std::string& uuid, const std::string& marked_uuid) {
    DomainMark mark;
    mark.instance = here.str();
    mark.name = "web-001";
    mark.uuid = marked_uuid;
    return {name, uuid, mark};
}

} // namespace

TEST_CASE("a domain is ours when its metadata, its name and its uuid agree") {
    const Claim ours = claim("web-001", "u-1", "u-1");
    CHECK(ours.standing(here) == Standing::ours);
    CHECK(ours.ours(here)->name == "web-001");
    CHECK(ours.standing(elsewhere) == Standing::another_instance);
    CHECK(ours.ours(elsewhere) == nullptr);
    CHECK(claim("web-001", "U-1", "u-1").standing(here) == Standing::ours);
    CHECK(Claim("web-001", "u-1", {}).standing(here) == Standing::unmarked);
}

TEST_CASE("a domain with our metadata that is not the one create made is told from a renamed one") {
    const auto [name, uuid, standing, words] =
        GENERATE(table<std::string, std::string, Standing, std::string>({
            {"web-002", "u-1", Standing::renamed, "what was web-001 until it was renamed in libvirt"},
            {"web-002", "u-2", Standing::copy, "a copy of web-001"},
            {"web-001", "u-2", Standing::remade,
             "a domain that was defined anew with another uuid than create gave it (u-1)"},
            {"web-002", "", Standing::copy, "a copy of web-001"},
        }));
    const Claim seen = claim(name, uuid, "u-1");
    CHECK(seen.standing(here) == standing);
    CHECK(seen.words(here) == words);
    CHECK(seen.ours(here) == nullptr);
    CHECK(seen.genuine() == nullptr);
    CHECK((seen.made() != nullptr) == (standing == Standing::renamed));
}

TEST_CASE("metadata of an earlier build names no uuid: the name alone tells") {
    CHECK(claim("web-001", "u-1", "").standing(here) == Standing::ours);
    CHECK(claim("web-002", "u-1", "").standing(here) == Standing::copy);
}

TEST_CASE("what the bulk look shows of a domain is judged like its definition") {
    const std::string mark = "<vm xmlns='" + std::string(metadata_namespace) + "' instance='" + here.str() +
                             "' uuid='u-1'><name>web-001</name></vm>";
    CHECK(claim_of({"web-001", "u-1", 32, mark}).standing(here) == Standing::ours);
    CHECK(claim_of({"web-002", "u-2", 32, mark}).standing(here) == Standing::copy);
    CHECK(claim_of({"web-001", "u-1", 32, ""}).standing(here) == Standing::unmarked);
    const std::string definition =
        "<domain><name>web-001</name><uuid>u-1</uuid><metadata>" + mark + "</metadata></domain>";
    CHECK(read_domain(definition).claim.standing(here) == Standing::ours);
}
