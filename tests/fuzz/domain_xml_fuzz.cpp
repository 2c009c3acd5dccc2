// SPDX-License-Identifier: MIT
/// Definitions as libvirt, a root agent's caller or an admin gives them: domains, pools, networks.

#include "hypervisor/files/start_veto.hpp"
#include "hypervisor/surroundings.hpp"
#include "hypervisor/xml/domain.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

using namespace blockhost;

namespace {

/// XML keeps such a text as it is, wherever it stands.
bool is_plain(const std::string& text) {
    return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

bool is_plain(const DomainMark& mark) {
    return std::ranges::all_of(std::array{mark.instance, mark.operation, mark.state_folder, mark.name,
                                          mark.uuid, mark.wallet, mark.username, mark.network_mode,
                                          mark.expires_at, mark.created_at},
                               [](const std::string& text) { return is_plain(text); });
}

bool is_same(const DomainMark& a, const DomainMark& b) {
    const auto all = [](const DomainMark& m) {
        return std::tie(m.instance, m.operation, m.state_folder, m.name, m.uuid, m.ip, m.ipv6, m.wallet,
                        m.username, m.network_mode, m.expires_at, m.created_at);
    };
    return all(a) == all(b);
}

void marks(const std::string& xml, const DomainMark& mark) {
    const std::string element = render_mark(mark);
    const auto again = read_mark(element);
    fuzz::check(again.has_value(), "a mark that was written can be read");
    if (is_plain(mark)) fuzz::check(is_same(*again, mark), "a mark comes back as it was written");
    std::string with;
    if (!fuzz::answered([&] { with = with_metadata(xml, element); })) return;
    const auto inside = read_mark(with);
    fuzz::check(inside.has_value(), "a mark that was put into a definition is there");
    if (is_plain(mark)) fuzz::check(is_same(*inside, mark), "it is the one that was put there");
    fuzz::check(!read_domain(with_metadata(with, "")).claim.unproven(), "a mark that was taken out is gone");
}

void domain_xml(std::string_view input) {
    const std::string xml(input);
    if (const auto spec = spec_of(xml)) {
        fuzz::check(render_domain(*spec) == xml, "a definition says what its spec says, and nothing else");
        const DomainFacts facts = read_domain(xml);
        fuzz::check(facts.name == spec->name.str() && facts.claim.genuine() != nullptr,
                    "it is read as what it was made from");
    }
    const auto mark = read_mark(xml);
    if (mark) marks(xml, *mark);
    fuzz::answered([&] {
        const DomainFacts facts = read_domain(xml);
        std::error_code ignored;
        const bool elsewhere =
            facts.claim.unproven() && std::filesystem::exists(facts.claim.unproven()->state_folder, ignored);
        if (!elsewhere) (void)reason_to_stay_off(facts.name, xml);
    });
    fuzz::answered([&] { (void)disk_sources(xml); });
    fuzz::answered([&] { (void)tuned_devices(xml); });
    fuzz::answered([&] { fuzz::check(!pool_target(xml).empty(), "a pool has a folder"); });
    const LibvirtNetwork network{"default", xml, true, true};
    (void)bridge_of(network);
    (void)makes_its_bridge(network);
    (void)dhcp_ranges({network});
}

} // namespace

FUZZ_TARGET(domain_xml)
