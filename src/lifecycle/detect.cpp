/// See detect.hpp.

#include "lifecycle/detect.hpp"

#include "base/module.hpp"
#include "base/text.hpp"
#include "config/templates.hpp"
#include "host/capability.hpp"
#include "host/libvirt_installation.hpp"
#include "hypervisor/load.hpp"
#include "hypervisor/rpc/driver.hpp"
#include "hypervisor/start_veto.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>

namespace blockhost {

namespace {

constexpr const char* install_libvirt = "apt-get install libvirt-daemon-system";

/// A look whose failure is a finding.
Finding look(std::string_view what, const std::function<Finding()>& at) {
    try {
        Finding finding = at();
        finding.what = what;
        return finding;
    } catch (const Error& error) {
        return {what, false, error.message(), error.hint()};
    } catch (const std::exception& error) {
        return {what, false, error.what(), ""};
    }
}

Finding present(std::string found) {
    return {{}, true, std::move(found)};
}

Finding missing(std::string found, std::string advice) {
    return {{}, false, std::move(found), std::move(advice)};
}

Finding driver_module() {
    const auto module = module_file("hypervisor-libvirt.so");
    return module ? present(module->string())
                  : missing("hypervisor-libvirt.so is not installed",
                            "reinstall the package blockhost-provisioner-libvirt");
}

Finding libvirt_client() {
    std::string found;
    for (const char* name : {"libvirt.so.0", "libvirt-qemu.so.0"}) {
        const auto library = host::find_library(name);
        if (!library) return missing(fmt::format("{} is not installed", name), install_libvirt);
        found += (found.empty() ? "" : ", ") + library->string();
    }
    return present(found);
}

Finding socket_of_daemon() {
    const auto socket = host::daemon_socket(libvirt_uri());
    if (socket) return present(socket->string());
    return missing("no libvirt daemon has a socket here",
                   std::string("start it: systemctl start libvirtd; where there is none: ") +
                       install_libvirt);
}

/// How libvirt is looked at: see rpc/driver.hpp. What only its library can do works either way.
Finding connection(bool driver_works) {
    if (!driver_works) return missing("not tried", "see above");
    open_direct(libvirt_uri(), Access::read);
    const auto fallbacks = rpc_fallbacks();
    return present(fallbacks.count == 0
                       ? "libvirt answers"
                       : fmt::format("libvirt answers its own library alone: {}", fallbacks.last_reason));
}

/// Everything below db.yaml is said in one way when that cannot be read.
const DbConfig& readable(const std::optional<DbConfig>& config) {
    if (config) return *config;
    throw Error(Code::config, "not looked at: the configuration cannot be read", "mend that first");
}

Finding virtualization(const std::optional<DbConfig>& config) {
    const bool kvm = host::kvm_works();
    const DomainType wanted = config ? config->domain_type : DomainType::automatic;
    if (wanted == DomainType::kvm && !kvm)
        return missing("db.yaml wants KVM, and KVM cannot run guests here",
                       "switch on virtualization in the firmware, or set domain_type: auto");
    if (wanted == DomainType::qemu) return present("emulation, as db.yaml wants it: guests run, slowly");
    return present(kvm ? "KVM can run guests" : "KVM cannot run guests here; emulation can, slowly");
}

Finding bridge(const host::Network& network, const Paths& paths, const DbConfig& config) {
    if (network.is_bridge(config.bridge)) return present(config.bridge);
    return missing(config.bridge + " is not a bridge on this host",
                   "make it, or set bridge in " + paths.db_yaml().string());
}

Finding pool_of(const PoolView& pool, const std::string& folder) {
    if (pool.path != folder)
        return missing(fmt::format("the pool {} lies in {}, not in {}", pool.name, pool.path, folder),
                       "set storage_pool or storage_path in db.yaml");
    if (!pool.active)
        return missing(fmt::format("the pool {} is not active", pool.name), "virsh pool-start " + pool.name);
    return present(
        fmt::format("{} in {}, {} free", pool.name, folder, text::human_bytes(pool.available_bytes)));
}

Finding storage(const Paths& paths, const DbConfig& config, Reality reality, bool driver_works) {
    const std::string folder = (reality == Reality::simulated ? paths.disks : config.storage_path).string();
    const auto instance = existing_instance_id(paths);
    if (!instance && !paths.is_default_root)
        return present("none yet; the first create makes it in " + folder);
    const std::string name = pool_name(config, paths, instance.value_or(InstanceId::random()));
    if (!driver_works)
        return missing(fmt::format("libvirt cannot be asked about the pool {}", name), "see above");
    const auto libvirt = reality == Reality::simulated ? open_simulated(paths.world)
                                                       : open_libvirt(libvirt_uri(), Access::read);
    const auto pool = libvirt->find_pool(name);
    if (!pool) return present(fmt::format("{}: none yet; the first create makes it in {}", name, folder));
    return pool_of(*pool, folder);
}

Finding start_veto(const Paths& paths) {
    using State = host::VetoHook::State;
    const auto hook = host::veto_hook(host::changed_at(paths.state / veto_asked_file));
    const std::string path = hook.path.string();
    switch (hook.state) {
    case State::absent:
        return missing(path + " is not there: whoever may use virsh can start a suspended VM",
                       "link it to blockhost-start-veto and run: systemctl reload libvirtd");
    case State::unusable:
        return missing(path + " cannot be executed", "link it to blockhost-start-veto");
    case State::unnoticed:
        return missing(path + " is newer than libvirtd, which was not seen asking it",
                       "systemctl reload libvirtd (running VMs are left alone)");
    case State::ready:
        break;
    }
    return present(path);
}

} // namespace

bool all_ok(const std::vector<Finding>& findings) {
    return std::all_of(findings.begin(), findings.end(), [](const Finding& each) { return each.ok; });
}

std::vector<Finding> look_for_driver(Reality reality) {
    if (reality == Reality::simulated) return {{"driver", true, "the simulated world needs nothing"}};
    return {look("driver module", driver_module), look("libvirt client", libvirt_client),
            look("daemon socket", socket_of_daemon)};
}

std::vector<Finding> look_at_host(const Paths& paths, Reality reality, bool driver_works) {
    const bool simulated = reality == Reality::simulated;
    std::vector<Finding> findings;
    std::optional<DbConfig> config;
    if (!simulated) findings.push_back(look("connection", [&] { return connection(driver_works); }));
    findings.push_back(look("configuration", [&] {
        config = read_db_config(paths);
        return present(paths.db_yaml().string());
    }));
    if (!simulated) findings.push_back(look("virtualization", [&] { return virtualization(config); }));
    findings.push_back(look("bridge", [&] {
        return simulated ? bridge(host::SimulatedNetwork(paths.world), paths, readable(config))
                         : bridge(host::KernelNetwork(paths), paths, readable(config));
    }));
    findings.push_back(
        look("storage pool", [&] { return storage(paths, readable(config), reality, driver_works); }));
    findings.push_back(look("template", [&] {
        if (simulated) open_simulated(paths.world); // which makes it
        return present(template_image(paths).string());
    }));
    if (!simulated) findings.push_back(look("start veto", [&] { return start_veto(paths); }));
    return findings;
}

} // namespace blockhost
