// SPDX-License-Identifier: MIT
/// Libvirt through its module: typed calls become those of the module, with the time that each may take.

#include "hypervisor/module_driver.hpp"

#include "base/module.hpp"
#include "hypervisor/common/states.hpp"
#include "hypervisor/xml/backup.hpp"
#include "hypervisor/xml/disk.hpp"
#include "hypervisor/xml/domain.hpp"
#include "hypervisor/xml/interface.hpp"

namespace blockhost {

Module::Module(const std::string& uri, Access access, std::chrono::seconds longest) {
    const auto connect =
        reinterpret_cast<ModuleOpener>(load_symbol("hypervisor-libvirt.so", module_opener_symbol));
    Failure failure;
    connection_.reset(
        connect(uri.c_str(), access == Access::write, static_cast<int>(longest.count()), &failure));
    failure.raise();
}

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto change_span = seconds(120);
constexpr auto begin_span = seconds(30); ///< the guest's file systems are frozen meanwhile

/// Looks end after 10 s, changes after 2 minutes: libvirt probes QEMU at its first define, and waits for
/// QEMU's end at a kill.
class ModuleDriver final : public Hypervisor {
  public:
    ModuleDriver(const std::string& uri, Access access, seconds longest) : module_(uri, access, longest) {}

    std::optional<Power> power(const std::string& name) override { return look(calls_.power, name); }
    std::string disk_trouble(const std::string& name, milliseconds limit) override {
        return ask(calls_.disk_trouble, within(limit), name);
    }
    std::vector<std::string> undefined() override { return look(calls_.undefined); }
    std::optional<DomainView> find(const std::string& name) override { return look(calls_.find, name); }
    std::vector<std::string> other_definitions(const std::string& name) override {
        return look(calls_.other_definitions, name);
    }
    std::vector<DomainState> states() override { return look(calls_.states); }
    std::vector<DomainUse> uses() override { return look(calls_.uses); }
    std::optional<PoolView> find_pool(const std::string& name) override {
        auto found = look(calls_.find_pool, name);
        if (!found) return std::nullopt;
        found->view.path = pool_target(found->xml);
        return std::move(found->view);
    }
    std::optional<VolumeView> find_volume(const std::string& path) override {
        return look(calls_.find_volume, path);
    }
    HostView host() override { return look(calls_.host); }
    std::string agent(const std::string& name, const std::string& command, int in_seconds,
                      std::optional<milliseconds> limit) override {
        const milliseconds usual = seconds(in_seconds) + libvirt::agent_extra;
        return ask(calls_.agent, within(limit.value_or(usual)), name, command, in_seconds);
    }
    std::vector<DomainStats> stats(const std::vector<std::string>& names, milliseconds limit) override {
        return ask(calls_.stats, within(limit), names);
    }
    std::optional<BlockJob> block_job(const std::string& name, const std::string& target) override {
        return look(calls_.block_job, name, target);
    }
    Tuning tuning(const std::string& name, TuningOf which) override {
        return look(calls_.tuning, name, devices_of(name), which);
    }
    std::optional<std::string> backup_under_way(const std::string& name) override {
        const auto xml = look(calls_.backup_under_way, name);
        return xml ? std::optional(backup_socket(*xml)) : std::nullopt;
    }
    std::vector<CheckpointView> checkpoints(const std::string& name) override {
        return look(calls_.checkpoints, name);
    }
    void watch(const std::string& name) override { look(calls_.watch, name); }
    Wake wait(milliseconds span) override { return ask(calls_.wait, span); }

    void ensure_pool(const std::string& name, const std::string& path) override {
        refuse_other_folder(name, path);
        change(calls_.ensure_pool, name, render_pool(name, path));
    }
    void ensure_filter(const FilterSpec& filter) override {
        change(calls_.ensure_filter, filter.name, render_filter(filter));
    }
    VolumeView create_volume(const std::string& pool, const VolumeSpec& volume) override {
        return change(calls_.create_volume, pool, render_volume(volume));
    }
    void delete_volume(const std::string& path, const std::string& /*owner*/) override {
        change(calls_.delete_volume, path);
    }
    void define(const DomainSpec& domain) override { change(calls_.define, render_domain(domain)); }
    void redefine(const std::string& name) override { change(calls_.redefine, name); }
    void start(const std::string& name) override { change(calls_.start, name); }
    void start_transient(const TrialSpec& domain) override {
        change(calls_.start_transient, render_trial(domain));
    }
    void unpause(const std::string& name) override { change(calls_.unpause, name); }
    void shutdown(const std::string& name) override { change(calls_.shutdown, name); }
    void power_off(const std::string& name) override { change(calls_.power_off, name); }
    void undefine(const std::string& name) override { change(calls_.undefine, name); }
    void tune(const std::string& name, Subsystem subsystem, const Tuning& wanted, TuningOf which) override {
        change(calls_.tune, name, devices_of(name, subsystem), subsystem, wanted, which);
    }
    void set_interface(const std::string& name, const std::string& element, TuningOf which) override {
        change(calls_.set_interface, name, element, which);
    }
    void bind_filter(const std::string& name, const FilterBinding& binding) override {
        change(calls_.bind_filter, name, binding.tap, render_binding(binding));
    }
    void set_metadata(const std::string& name, const std::optional<DomainMark>& mark) override {
        change(calls_.set_metadata, name, mark ? render_mark(*mark) : "");
    }
    void configure(const std::string& name, const DomainSettings& settings) override {
        SettingsText text{settings.cpus, settings.memory_mib, settings.description, {}};
        if (settings.tags) text.tags = render_tags(*settings.tags);
        change(calls_.configure, name, text);
    }
    void grow_disk(const std::string& name, const std::string& path, std::uint64_t capacity_bytes) override {
        change(calls_.grow_disk, name, path, capacity_bytes);
    }
    FrozenExport begin_backup(const std::string& name, const BackupSpec& spec) override {
        ask(calls_.begin_backup, within(begin_span), name, render_backup(spec), render_checkpoint(spec));
        return {spec.socket, "", export_bitmap(spec)};
    }
    void end_backup(const std::string& name) override { change(calls_.end_backup, name); }
    void delete_checkpoint(const std::string& name, const std::string& checkpoint,
                           CheckpointPart part) override {
        change(calls_.delete_checkpoint, name, checkpoint, part == CheckpointPart::knowledge);
    }
    void restore_checkpoint(const std::string& name, const CheckpointView& checkpoint) override {
        change(calls_.restore_checkpoint, name, checkpoint.xml);
    }
    void set_disk(const std::string& name, const std::string& target, const std::string& path) override {
        change(calls_.set_disk, name, disk_with(must_find(name).xml, target, path));
    }
    void add_layer(const std::string& name, const std::string& target, const std::string& path) override {
        for (const std::string& running : other_definitions(name))
            if (file_of_disk(running, target) == path) return;
        change(calls_.add_layer, name, render_layer(must_find(name).xml, target, path));
    }
    void commit_layer(const std::string& name, const std::string& target, const std::string& into) override {
        change(calls_.commit_layer, name, target, into);
    }
    void end_block_job(const std::string& name, const std::string& target, JobEnd end) override {
        change(calls_.end_block_job, name, target, end);
    }
    void remove_pool(const std::string& name) override { change(calls_.remove_pool, name); }
    void remove_filter(const std::string& name) override { change(calls_.remove_filter, name); }

  private:
    DomainView must_find(const std::string& name) {
        if (auto view = find(name)) return *std::move(view);
        throw Error(Code::not_found, "libvirt has no domain " + name);
    }

    template<class Result, class... Parameters>
    Result ask(ModuleCall<Result, Parameters...> call, milliseconds span,
               const std::type_identity_t<Parameters>&... arguments) {
        const AskingTime counted;
        return module_.ask(call, span, arguments...);
    }
    template<class Result, class... Parameters>
    Result look(ModuleCall<Result, Parameters...> call,
                const std::type_identity_t<Parameters>&... arguments) {
        return ask(call, within(libvirt::look_span), arguments...);
    }
    template<class Result, class... Parameters>
    Result change(ModuleCall<Result, Parameters...> call,
                  const std::type_identity_t<Parameters>&... arguments) {
        return ask(call, within(change_span), arguments...);
    }

    Module module_;
    const ModuleCalls& calls_ = module_.calls();
};

} // namespace

std::unique_ptr<Hypervisor> open_libvirt(const std::string& uri, Access access, seconds longest) {
    return std::make_unique<ModuleDriver>(uri, access, longest);
}

} // namespace blockhost
