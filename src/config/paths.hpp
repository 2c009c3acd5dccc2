// SPDX-License-Identifier: MIT
#pragma once
/// Where all files of BlockHost lie, under one relocatable root.

#include "base/files/state_folder.hpp"

#include <filesystem>
#include <string>

namespace blockhost {

/// Built once from the environment, in main, and passed down; nothing else reads the environment for it.
struct Paths {
    std::filesystem::path root;            ///< "/" or BLOCKHOST_ROOT, absolute
    std::filesystem::path etc, run, share; ///< <root>/{etc,run,usr/share}/blockhost
    std::filesystem::path cache;           ///< <root>/var/cache/blockhost: for root only
    StateFolder state;                     ///< <root>/var/lib/blockhost, or mock-world
    StatePlace templates;                  ///< state/templates
    StatePlace template_packages;          ///< state/template-packages
    StatePlace disks;                      ///< state/vms: the default of db.yaml's storage_path
    StatePlace cloud_init;                 ///< state/cloud-init
    StatePlace consoles;                   ///< state/console
    StatePlace metrics;                    ///< state/metrics
    StatePlace journal;                    ///< state/journal
    StatePlace mints;                      ///< state/mints: mints in progress, and the last of each kind
    StatePlace suspended;                  ///< state/suspended: a file for each VM that must stay off
    StatePlace kept_off;                   ///< state/kept-off: a file for each VM that an admin stopped
    std::filesystem::path world;           ///< mock only: ./mock-world
    bool is_default_root = true;

    std::filesystem::path db_yaml() const { return etc / "db.yaml"; }
    std::filesystem::path web3_defaults() const { return etc / "web3-defaults.yaml"; }
    std::filesystem::path broker_allocation() const { return etc / "broker-allocation.json"; }
    std::filesystem::path engine_manifest() const { return share / "engine.json"; }
    std::filesystem::path root_agent_socket() const { return run / "root-agent.sock"; }
};

/// Reads BLOCKHOST_ROOT (throws Error{config} when it is not absolute). Unset and empty mean "/".
Paths paths_from_environment();
/// The same configuration files, but with ./mock-world in folder `cwd` as the world. That folder is also the
/// state folder (journal, seeds, consoles, metrics …), and holds run/ (locks) and cache/.
Paths mock_paths(const Paths& real, const std::filesystem::path& cwd);

} // namespace blockhost
