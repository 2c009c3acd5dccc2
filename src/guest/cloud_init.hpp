// SPDX-License-Identifier: MIT
#pragma once
/// What a guest gets at its first boot: user-data, meta-data, network-config, and the seed image with them.

#include "config/config.hpp"
#include "model/vm.hpp"

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::guest {

/// Python's string.Template.safe_substitute: "$$" becomes "$", known ${id} and $id are replaced, all else
/// stays.
std::string substitute(std::string_view text, const std::map<std::string, std::string>& variables);

/// What user-data is made from. With `verbatim`, user-data is that text. Otherwise it is the template
/// nft-auth.yaml from <share>/cloud-init/templates (with BLOCKHOST_DEV=1, never as root, also from
/// ./cloud-init/templates), substituted. When that file is absent and no engine is installed, it is the
/// fallback template (an installed data file), with `ssh_key` if given. Throws Error{invalid} for an
/// `ssh_key` that public_keys refuses or that would not be used. Throws Error{config} when an engine is
/// installed and the template is absent: a sold VM must have a login.
struct UserDataInput {
    const VmRequest& request;
    Ipv4 ip;
    std::optional<Ipv6> ipv6;
    std::string dns_zone; ///< empty: none
    Web3Defaults web3;
    bool engine_installed = false;
    std::optional<std::string> verbatim;
    std::string ssh_key;    ///< content of a public key file, for the fallback only; empty: none
    std::string secret_key; ///< 64 hex digits
};
std::string render_user_data(const UserDataInput& input, const Paths& paths);

/// "<hex>.<dns_zone>" when there are both an IPv6 address and a zone, else "<name>.local".
std::string fqdn(const VmName& name, const std::optional<Ipv6>& ipv6, const std::string& dns_zone);

/// network-config version 2, without the outer `network:`, for guests with netplan, networkd or eni.
struct NetworkInput {
    Mac mac;
    Ipv4 ip;
    int prefix_length;
    Ipv4 gateway;
    std::vector<std::string> resolvers; ///< empty: the gateway
    std::optional<Ipv6> ipv6, gateway6;
    std::optional<int> mtu = {}; ///< nothing: the usual 1500
};
std::string render_network_config(const NetworkInput& input);

/// Contains instance-id "<name>-<uuid>" and local-hostname.
std::string render_meta_data(const VmName& name, const Uuid& uuid);

struct Seed {
    std::string user_data, meta_data, network_config;
};
/// The content of cidata.iso.
enum class SeedImage {
    iso,      ///< ISO 9660 with Joliet and Rock Ridge, label "cidata", made by the module seed-image.so
    stand_in, ///< all texts in a row, when no guest reads it: needs no module
};
/// The path of a VM's seed image: <cloud-init>/<name>/cidata.iso.
std::filesystem::path seed_path(const StatePlace& cloud_init, const VmName& name);
/// Makes folder <cloud-init>/<name>/ with user-data (0600), network-config and cidata.iso (0600). The
/// folder's mode is 0710 with group libvirt-qemu, or 0711 when that group is missing or may not be given.
/// Replaces what an earlier VM of that name left. Returns the image's path.
std::filesystem::path write_seed(const StatePlace& cloud_init, const VmName& name, const Seed& seed,
                                 SeedImage image);
/// Removes the folder, and `<name>.img` if it is a regular file. True when something was removed.
bool remove_seed(const StatePlace& cloud_init, const VmName& name);

} // namespace blockhost::guest
