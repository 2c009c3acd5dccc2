// SPDX-License-Identifier: MIT
// The files and folders of BlockHost, from Paths.
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
    add(paths.etc / "backup.json", "the repository that backups go to");
    add(paths.etc / "backup.password", "its password, for root alone");
    add(paths.web3_defaults(), "length and lifetime of login codes; node, contract and key of mint-nft");
    add(paths.broker_allocation(), "the IPv6 prefix of this host; without it VMs have no IPv6");
    add(paths.etc / "network-modes.enabled", "the one enabled network mode");
    add(paths.engine_manifest(), "the installed engine's manifest");
    add(paths.state.string(), "records, disks and everything else that must be kept");
    add(paths.state.string("vms.json"), "the VM database, where db.yaml names no other");
    add(paths.state.string("instance-id"), "what VMs of this BlockHost are recognised by");
    add(paths.state.string("mounts.json"), "the file systems of their own that folders of ours lie on");
    add(paths.templates.string(),
        "versions of the template; blockhost-base.qcow2 is a link to the current one");
    add(paths.template_packages.string(), "packages that are installed into templates");
    add(paths.disks.string(), "the VMs' disks, where db.yaml names no other folder");
    add(paths.cloud_init.string(), "the VMs' seeds");
    add(paths.consoles.string(), "the guests' serial consoles");
    add(paths.metrics.string(), "the last figures of each VM, for rates");
    add(paths.journal.string(), "operations under way, limits with an end, and history");
    add(paths.mints.string(), "mints under way, and the last of each kind");
    add(paths.suspended.string(), "a file for each VM that must stay off");
    add(paths.kept_off.string(), "a file for each VM that an admin stopped");
    add(paths.state.string("half-kept"), "a file for each VM whose undo snapshot is being kept");
    add(paths.cache, "builds of templates");
    add(paths.run, "locks, and the root agent's socket");
    add(paths.root_agent_socket(), "the root agent's socket");
    std::ranges::sort(table, {}, &PathRow::path);
    return table;
}

} // namespace blockhost
