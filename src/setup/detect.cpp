// SPDX-License-Identifier: MIT
/// See detect.hpp.

#include "setup/detect.hpp"

#include "backup/housekeeping.hpp"
#include "base/exceptions.hpp"
#include "base/files/files.hpp"
#include "base/module.hpp"
#include "base/text/text.hpp"
#include "config/templates.hpp"
#include "host/capability.hpp"
#include "host/libvirt_installation.hpp"
#include "hypervisor/files/start_veto.hpp"
#include "hypervisor/open.hpp"
#include "hypervisor/rpc/driver.hpp"
#include "hypervisor/xml/domain.hpp"
#include "operations/lost_records.hpp"
#include "vm/clock_check.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>
#include <unistd.h>

namespace blockhost::setup {

namespace {

constexpr const char* install_libvirt = "apt-get install libvirt-daemon-system";

/// Turns a look that fails into a finding.
Finding look(std::string_view what, const std::function<Finding()>& at) {
    try {
        Finding finding = at();
        finding.what = what;
        return finding;
    } catch (const std::exception& thrown) {
        const Error error = as_error(thrown);
        return {what, false, error.message(), error.hint()};
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

/// Whether libvirt answers us directly, or only its own library (rpc/driver.hpp). What only the library can
/// do works either way.
Finding connection(bool driver_works) {
    if (!driver_works) return missing("not tried", "see above");
    open_direct(libvirt_uri(), Access::read);
    const auto fallbacks = rpc_fallbacks();
    return present(fallbacks.count == 0
                       ? "libvirt answers"
                       : fmt::format("libvirt answers its own library alone: {}", fallbacks.last_reason));
}

/// Gives every finding that needs db.yaml the same words when db.yaml cannot be read.
const DbConfig& readable(const std::optional<DbConfig>& config) {
    if (config) return *config;
    throw Error(Code::config, "not looked at: the configuration cannot be read", "mend that first");
}

/// Reads the configuration besides db.yaml that a create would read and refuse.
void require_readable(const Paths& paths) {
    read_web3_defaults(paths);
    read_broker_allocation(paths);
    read_engine_manifest(paths);
    read_network_mode(paths);
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
    if (network.is_bridge(config.bridge) && !network.is_up(config.bridge))
        return missing("the bridge " + config.bridge + " is down", "ip link set " + config.bridge + " up");
    if (network.is_bridge(config.bridge)) return present(config.bridge);
    return missing(config.bridge + " is not a bridge on this host",
                   "make it, or set bridge in " + paths.db_yaml().string());
}

/// The free room that the file system has now for users other than root. libvirt tells what it saw at the
/// pool's last refresh, including the part that is kept for root.
std::uint64_t free_bytes(const Paths& paths, const PoolView& pool, Reality reality) {
    if (reality == Reality::simulated) return pool.available_bytes;
    const auto folder = paths.state.at(pool.path);
    if (!folder)
        throw Error(Code::io, "there is no folder " + pool.path, "mount its file system, or make it");
    return files::room_on(folder->fd(), pool.path).free;
}

Finding pool_of(const Paths& paths, const PoolView& pool, const std::string& folder, Reality reality) {
    if (!paths.state.is_same(pool.path, folder))
        return missing(fmt::format("the pool {} lies in {}, not in {}", pool.name, pool.path, folder),
                       "set storage_pool or storage_path in db.yaml");
    if (!pool.active)
        return missing(fmt::format("the pool {} is not active", pool.name), "virsh pool-start " + pool.name);
    return present(fmt::format("{} in {}, {} free", pool.name, folder,
                               text::human_bytes(free_bytes(paths, pool, reality))));
}

std::unique_ptr<Observer> observer_of(const Paths& paths, Reality reality) {
    if (reality == Reality::simulated) return open_simulated(paths.world);
    return open_libvirt(libvirt_uri(), Access::read);
}

Finding storage(const Paths& paths, const DbConfig& config, Reality reality, bool driver_works) {
    const std::string folder =
        reality == Reality::simulated ? paths.disks.string() : config.storage_path.string();
    const auto instance = existing_instance_id(paths);
    if (!instance && !paths.is_default_root)
        return present("none yet; the first create makes it in " + folder);
    const std::string name = pool_name(config, paths, instance.value_or(InstanceId::random()));
    if (!driver_works)
        return missing(fmt::format("libvirt cannot be asked about the pool {}", name), "see above");
    const auto pool = observer_of(paths, reality)->find_pool(name);
    if (!pool) return present(fmt::format("{}: none yet; the first create makes it in {}", name, folder));
    return pool_of(paths, *pool, folder, reality);
}

/// Domains that carry BlockHost's metadata without being what it says concern only their admin. An admin who
/// renamed one of this instance's domains needs to know what that does.
Finding domains(const Paths& paths, Reality reality, bool driver_works) {
    const auto instance = existing_instance_id(paths);
    if (!instance) return present("none yet");
    if (!driver_works) return missing("libvirt cannot be asked about them", "see above");
    std::size_t ours = 0;
    std::string renamed, advice, strangers;
    for (const DomainUse& use : observer_of(paths, reality)->uses()) {
        const Claim claim = claim_of(use);
        const Standing standing = claim.standing(*instance);
        const std::string words = text::printable(use.name) + " is " + claim.words(*instance);
        if (standing == Standing::ours) ++ours;
        if (standing == Standing::remade || standing == Standing::copy) strangers += ", " + words;
        if (standing != Standing::renamed) continue;
        renamed += (renamed.empty() ? "" : ", ") + words;
        advice = fmt::format("virsh domrename {} {}", use.name, claim.unproven()->name);
    }
    if (!renamed.empty()) return missing(renamed, advice);
    return present(fmt::format("{} of this BlockHost{}", ours, strangers));
}

Finding start_veto(const Paths& paths) {
    using State = host::VetoHook::State;
    const auto state = paths.state.open();
    const auto hook = host::veto_hook(state ? host::changed_at(*state, veto_asked_file) : std::nullopt);
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

/// This instance's VMs that are lost when they go off by themselves.
Finding definitions(const Paths& paths, Reality reality, bool driver_works) {
    if (!driver_works && reality == Reality::real) return missing("not looked at", "see above");
    const auto libvirt = reality == Reality::simulated ? open_simulated(paths.world)
                                                       : open_direct(libvirt_uri(), Access::read);
    const auto instance = existing_instance_id(paths);
    std::string names;
    for (const std::string& name : libvirt->undefined()) {
        const auto view = libvirt->find(name);
        if (view && instance && read_domain(view->xml).claim.ours(*instance) != nullptr)
            names += (names.empty() ? "" : ", ") + name;
    }
    if (names.empty()) return present("every VM that runs has one");
    return missing(names + ": runs without one (virsh undefine?), and is gone when it goes off by itself",
                   "'blockhost-libvirt start NAME' defines it again; stop, kill and gc do so first");
}

Finding clock_of(const Paths& paths, Reality reality) {
    Silence silent;
    const World world(paths, reality, Intent::look, silent);
    if (const auto doubt = clock_doubt(world))
        return missing(doubt->what + ": gc refuses to suspend and destroy anything by it",
                       "timedatectl set-ntp true, or install chrony; if the clock is right, gc --execute "
                       "--force-clock goes on");
    return present("synchronised, and not behind anything that was written here");
}

/// A sentence for each VM that is off and whose next backup has to read all; empty: none.
std::string lost_records_of_all(World& world) {
    std::vector<std::string> lost;
    for (const VmRecord& record : world.registry.read().records()) {
        if (record.status == RecordStatus::destroyed) continue;
        for (std::string& each : operations::lost_records(world, observe(world, record.name)))
            lost.push_back(std::move(each));
    }
    return text::join(lost, "; ");
}

/// What went wrong with the last check, or is late, or costs more than it should; empty: nothing.
std::string trouble_of_backups(World& world, const backup::Settings& settings) {
    auto ledger = backup::Ledger::existing(world.paths, settings.repository_id);
    std::string late, failed;
    for (const auto& each : backup::stand_of(world.registry.read().records(), settings.policies,
                                             ledger ? &*ledger : nullptr, now()))
        if (each.is_overdue) late += (late.empty() ? "" : ", ") + each.vm.str();
    for (const auto chore : {backup::Chore::check, backup::Chore::read})
        if (const auto last = ledger ? ledger->last(chore) : std::nullopt; last && !last->error.empty())
            failed = fmt::format("the last check failed: {}", last->error);
    if (!late.empty()) late = "overdue: " + late;
    if (failed.empty()) failed = lost_records_of_all(world);
    return late.empty() || failed.empty() ? late + failed : late + "; " + failed;
}

/// Who is not root may read neither password nor ledger.
Finding backups(const Paths& paths) {
    const auto settings = backup::read_settings(paths);
    if (!settings) return present("none are set up");
    const std::string where = "they go to " + text::printable(settings->repository);
    if (geteuid() != 0) return present(where + "; how they stand only root can see");
    backup::require_password(paths);
    Silence silent;
    World world(paths, Reality::real, Intent::look, silent);
    const std::string trouble = trouble_of_backups(world, *settings);
    if (trouble.empty()) return present(where + ", none is overdue");
    return missing(trouble, "see 'blockhost-libvirt backup status'");
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
        require_readable(paths);
        return present(paths.db_yaml().string());
    }));
    if (!simulated) findings.push_back(look("virtualization", [&] { return virtualization(config); }));
    findings.push_back(look("bridge", [&] {
        return simulated ? bridge(host::SimulatedNetwork(paths, std::nullopt), paths, readable(config))
                         : bridge(host::KernelNetwork(paths, std::nullopt), paths, readable(config));
    }));
    findings.push_back(
        look("storage pool", [&] { return storage(paths, readable(config), reality, driver_works); }));
    findings.push_back(look("domains", [&] { return domains(paths, reality, driver_works); }));
    findings.push_back(look("template", [&] {
        if (simulated) open_simulated(paths.world); // it makes the template
        return present(template_image(paths).string());
    }));
    findings.push_back(look("definitions", [&] { return definitions(paths, reality, driver_works); }));
    findings.push_back(look("clock", [&] { return readable(config), clock_of(paths, reality); }));
    if (!simulated) findings.push_back(look("start veto", [&] { return start_veto(paths); }));
    if (!simulated) findings.push_back(look("backups", [&] { return backups(paths); }));
    return findings;
}

} // namespace blockhost::setup
