#pragma once
/// Where everything of ours lives under one relocatable root.

#include <filesystem>
#include <string>

namespace blockhost {

/// Built once, in main, from the environment; handed down, never looked up again.
struct Paths {
    std::filesystem::path root;                   ///< "/" or BLOCKHOST_ROOT, absolute
    std::filesystem::path etc, state, run, share; ///< <root>/{etc,var/lib,run,usr/share}/blockhost
    std::filesystem::path templates;              ///< state/templates
    std::filesystem::path template_packages;      ///< state/template-packages
    std::filesystem::path cache;                  ///< <root>/var/cache/blockhost: root's alone
    std::filesystem::path disks;                  ///< state/vms: built-in default of db.yaml's storage_path
    std::filesystem::path cloud_init;             ///< state/cloud-init
    std::filesystem::path consoles;               ///< state/console
    std::filesystem::path metrics;                ///< state/metrics
    std::filesystem::path journal;                ///< state/journal, or mock-world/journal
    std::filesystem::path mints;                  ///< state/mints: mints under way, and the last of each kind
    std::filesystem::path suspended;              ///< state/suspended: a file for each VM that must stay off
    std::filesystem::path kept_off; ///< state/kept-off: a file for each VM that an admin stopped
    std::filesystem::path world;    ///< mock only: ./mock-world
    bool is_default_root = true;

    std::filesystem::path db_yaml() const { return etc / "db.yaml"; }
    std::filesystem::path web3_defaults() const { return etc / "web3-defaults.yaml"; }
    std::filesystem::path broker_allocation() const { return etc / "broker-allocation.json"; }
    std::filesystem::path engine_manifest() const { return share / "engine.json"; }
    std::filesystem::path root_agent_socket() const { return run / "root-agent.sock"; }
};

/// Reads BLOCKHOST_ROOT (must be absolute when set; throws Error{config} otherwise). Unset and empty mean
/// "/".
Paths paths_from_environment();
/// The same configuration, but world, journal, locks, seeds, consoles and metrics in ./mock-world of folder
/// `cwd`: state is the world folder itself, run its run/.
Paths mock_paths(const Paths& real, const std::filesystem::path& cwd);

} // namespace blockhost
