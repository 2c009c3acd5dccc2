// SPDX-License-Identifier: MIT
/// The other small files of a host, by the input's first character: b broker allocation, e engine manifest
/// (and, behind ---, a wallet), n network mode, i instance id, h the host's interfaces, d libvirtd's pid
/// file.

#include "base/text/text.hpp"
#include "config/config.hpp"
#include "host/interfaces.hpp"
#include "host/libvirt_installation.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>

using namespace blockhost;

namespace {

struct Root {
    fuzz::MemoryFolder folder;
    Paths paths;
    Root() {
        for (const char* name : {"etc", "share", "state", "world", "run"})
            std::filesystem::create_directory(folder.path() / name);
        paths.root = folder.path();
        paths.etc = folder.path() / "etc";
        paths.share = folder.path() / "share";
        paths.state = folder.path() / "state";
    }
};

void broker(const Root& root, std::string_view text) {
    root.folder.set("etc/broker-allocation.json", text);
    std::optional<BrokerAllocation> allocation;
    fuzz::answered([&] { allocation = read_broker_allocation(root.paths); });
    if (!allocation) return;
    fuzz::check(allocation->prefix.length() == 128 || allocation->prefix.contains(allocation->gateway()),
                "the gateway lies in the prefix");
    fuzz::check(Ipv6Prefix::try_parse(allocation->prefix.str()).has_value(), "a prefix can be read again");
    const std::string& zone = allocation->dns_zone;
    fuzz::check(zone.size() <= 253 && text::printable(zone, 253) == zone, "a zone is a plain name");
}

void engine(const Root& root, std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    root.folder.set("share/engine.json", parts[0]);
    EngineManifest manifest;
    fuzz::answered([&] { manifest = read_engine_manifest(root.paths); });
    if (!manifest.found) return; // it was refused
    const std::string wallet = parts.size() > 1 ? parts[1] : "0x00000000000000000000000000000000000000a1";
    fuzz::answered(
        [&] { fuzz::check(Wallet(wallet, manifest.address_pattern).str() == wallet, "a wallet stays"); });
}

void mode(const Root& root, std::string_view text) {
    root.folder.set("etc/network-mode", text);
    fuzz::answered([&] {
        const std::string mode = read_network_mode(root.paths);
        fuzz::check(!mode.empty() && mode.size() <= 64 && mode.find_first_of("/. \n") == mode.npos,
                    "a network mode is a plain word");
    });
}

void instance(const Root& root, std::string_view text) {
    root.folder.set("state/instance-id", text);
    fuzz::answered(
        [&] { fuzz::check(existing_instance_id(root.paths)->str().size() == 32, "an id has 32 digits"); });
}

void interfaces(const Root& root, std::string_view text) {
    root.folder.set("world/interfaces.json", text);
    fuzz::answered([&] {
        const auto found = host::simulated_interfaces(root.folder.path() / "world");
        fuzz::check(std::ranges::is_sorted(found, {}, &host::Interface::name), "interfaces are sorted");
        for (const auto& each : found)
            for (const auto& address : each.addresses)
                fuzz::check(address.network().contains(address.address), "an address lies in its network");
    });
}

void daemon(const Root& root, std::string_view text) {
    root.folder.set("run/libvirtd.pid", text);
    (void)host::daemon_started(root.folder.path()); // never throws
}

void config_files(std::string_view input) {
    static const Root root;
    switch (fuzz::take_selector(input)) {
    case 'b':
        return broker(root, input);
    case 'e':
        return engine(root, input);
    case 'n':
        return mode(root, input);
    case 'i':
        return instance(root, input);
    case 'h':
        return interfaces(root, input);
    case 'd':
        return daemon(root, input);
    default:
        return;
    }
}

} // namespace

FUZZ_TARGET(config_files)
