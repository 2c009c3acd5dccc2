// The files and folders of ours, where Paths puts them.
#include "config/path_table.hpp"

#include "config/paths.hpp"

#include <algorithm>

namespace blockhost {

std::vector<PathRow> path_table() {
    const Paths paths = paths_from_environment();
    std::vector<PathRow> table;
    const auto add = [&](const std::filesystem::path& path, std::string_view meaning) {
        table.push_back({"/" + path.lexically_relative(paths.root).native(), meaning});
    };
    add(paths.db_yaml(), "the configuration");
    add(paths.web3_defaults(), "length and lifetime of login codes; node, contract and key of mint-nft");
    add(paths.broker_allocation(), "the IPv6 prefix of this host; without it VMs have no IPv6");
    add(paths.etc / "network-modes.enabled", "the one enabled network mode");
    add(paths.engine_manifest(), "the installed engine's manifest");
    add(paths.state, "records, disks and everything else that must be kept");
    add(paths.state / "vms.json", "the VM database, where db.yaml names no other");
    add(paths.state / "instance-id", "what VMs of this BlockHost are recognised by");
    add(paths.templates, "versions of the template; blockhost-base.qcow2 is a link to the current one");
    add(paths.template_packages, "packages that are installed into templates");
    add(paths.disks, "the VMs' disks, where db.yaml names no other folder");
    add(paths.cloud_init, "the VMs' seeds");
    add(paths.consoles, "the guests' serial consoles");
    add(paths.metrics, "the last figures of each VM, for rates");
    add(paths.journal, "operations under way, limits with an end, and history");
    add(paths.mints, "mints under way, and the last of each kind");
    add(paths.suspended, "a file for each VM that must stay off");
    add(paths.kept_off, "a file for each VM that an admin stopped");
    add(paths.cache, "builds of templates");
    add(paths.run, "locks, and the root agent's socket");
    add(paths.root_agent_socket(), "the root agent's socket");
    std::ranges::sort(table, {}, &PathRow::path);
    return table;
}

} // namespace blockhost
