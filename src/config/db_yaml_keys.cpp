// SPDX-License-Identifier: MIT
// The keys of db.yaml.
#include "config/db_yaml_keys.hpp"

#include <array>

namespace blockhost {

namespace {

constexpr std::array keys{
    ConfigKey{"bridge", "interface name", "br0", "the bridge that VMs are attached to"},
    ConfigKey{"db_file", "path", "/var/lib/blockhost/vms.json", "the VM database"},
    ConfigKey{"storage_pool", "pool name", "blockhost",
              "libvirt's pool for the disks; made when it is missing"},
    ConfigKey{"storage_path", "path", "/var/lib/blockhost/vms", "the pool's folder"},
    ConfigKey{"ip_pool.network", "IPv4 network", "192.168.122.0/24", "the network of the VMs' addresses"},
    ConfigKey{"ip_pool.start", "last octet or address", "200", "the first address handed out"},
    ConfigKey{"ip_pool.end", "last octet or address", "250", "the last address handed out"},
    ConfigKey{"ip_pool.gateway", "IPv4 address",
              "the network's first address when ip_pool is missing, else none", "the VMs' gateway"},
    ConfigKey{"ipv6_pool.start", "integer", "2",
              "the first address handed out, counted from the broker's prefix"},
    ConfigKey{"ipv6_pool.end", "integer", "254", "the last address handed out, counted likewise"},
    ConfigKey{"gc_grace_days", "integer", "7", "days between a VM's suspension and its destruction"},
    ConfigKey{"default_expiry_days", "integer", "30", "days that a resume gives a VM whose expiry is past"},
    ConfigKey{"domain_type", "auto, kvm or qemu", "auto",
              "whether guests run on KVM; auto: where the CPU can"},
    ConfigKey{"resolvers", "IP address, or a list of them", "the gateway", "DNS servers handed to guests"},
    ConfigKey{"template_url", "https:// URL", "Debian's generic cloud image",
              "the image that templates are made from; SHA512SUMS lies beside it"},
    ConfigKey{"memory_overcommit", "number", "1.0",
              "our VMs may be promised the host's memory, less 1 GiB, times this"},
    ConfigKey{"disk_overcommit", "number", "10",
              "a new disk may be as large as the pool's free room times this"},
    ConfigKey{"boot_kernel", "path", "none",
              "direct kernel boot, for templates without a boot loader: the kernel"},
    ConfigKey{"boot_initrd", "path", "none", "its initial RAM disk"},
    ConfigKey{"boot_arguments", "text", "none", "its command line"},
};

} // namespace

std::span<const ConfigKey> db_yaml_keys() {
    return keys;
}

} // namespace blockhost
