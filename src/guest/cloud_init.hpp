#pragma once
/// What a guest is told at its first boot: user-data, meta-data, network-config, and the seed image they
/// travel on.

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

/// The text of user-data.
/// With `verbatim`, that text. Else nft-auth.yaml from <share>/cloud-init/templates (and
/// ./cloud-init/templates with BLOCKHOST_DEV=1, never as root), substituted; where no engine is installed and
/// that file is absent, our fallback template (installed data file, with `ssh_key` when given). Throws
/// Error{config} when an engine is installed and the template is absent: nobody sells a VM without a login.
struct UserDataInput {
    const VmRequest& request;
    Ipv4 ip;
    std::optional<Ipv6> ipv6;
    std::string dns_zone; ///< empty: none
    Web3Defaults web3;
    bool engine_installed = false;
    std::optional<std::string> verbatim;
    std::string ssh_key;    ///< empty: none; only for the fallback, and one public key, else Error{invalid}
    std::string secret_key; ///< 64 hex digits
};
std::string render_user_data(const UserDataInput& input, const Paths& paths);

/// "<hex>.<dns_zone>" with both, else "<name>.local".
std::string fqdn(const VmName& name, const std::optional<Ipv6>& ipv6, const std::string& dns_zone);

/// Version 2, without the outer `network:`; comes up under netplan, networkd and eni.
struct NetworkInput {
    Mac mac;
    Ipv4 ip;
    int prefix_length;
    Ipv4 gateway;
    std::vector<std::string> resolvers; ///< empty: the gateway
    std::optional<Ipv6> ipv6, gateway6;
};
std::string render_network_config(const NetworkInput& input);

/// instance-id "<name>-<uuid>", local-hostname.
std::string render_meta_data(const VmName& name, const Uuid& uuid);

struct Seed {
    std::string user_data, meta_data, network_config;
};
/// What cidata.iso is.
enum class SeedImage {
    iso,      ///< ISO 9660 with Joliet and Rock Ridge, label "cidata"; the module seed-image.so makes it
    stand_in, ///< the texts one after another, where no guest reads it: needs no module
};
/// Where a VM's seed image is: <cloud-init>/<name>/cidata.iso.
std::filesystem::path seed_path(const std::filesystem::path& cloud_init_folder, const VmName& name);
/// Makes folder <cloud-init>/<name>/ (0711, or 0710 with group libvirt-qemu where that group exists and we
/// may) with user-data (0600), network-config and cidata.iso (0600). Replaces what an earlier VM of that name
/// left. Returns the image's path.
std::filesystem::path write_seed(const std::filesystem::path& cloud_init_folder, const VmName& name,
                                 const Seed& seed, SeedImage image);
/// Removes the folder, and `<name>.img` if that is a regular file. True when something was removed.
bool remove_seed(const std::filesystem::path& cloud_init_folder, const VmName& name);

} // namespace blockhost::guest
