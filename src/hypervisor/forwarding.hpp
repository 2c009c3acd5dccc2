// SPDX-License-Identifier: MIT
#pragma once
/// A hypervisor that stands before another one and passes on what it does not do itself.

#include "hypervisor/hypervisor.hpp"
#include "hypervisor/xml/backup.hpp"

#include <functional>
#include <type_traits>

namespace blockhost {

/// Passes every call on; a driver overrides those that it carries out itself.
class Forwarding : public Hypervisor {
  public:
    using Milliseconds = std::chrono::milliseconds;

    std::optional<Power> power(const std::string& name) override { return passed(&Observer::power, name); }
    std::string disk_trouble(const std::string& name, Milliseconds limit) override {
        return passed(&Observer::disk_trouble, name, limit);
    }
    std::vector<std::string> undefined() override { return passed(&Observer::undefined); }
    std::optional<DomainView> find(const std::string& name) override { return passed(&Observer::find, name); }
    std::vector<std::string> other_definitions(const std::string& name) override {
        return passed(&Observer::other_definitions, name);
    }
    std::vector<DomainState> states() override { return passed(&Observer::states); }
    void expect_states() override { passed(&Observer::expect_states); }
    std::vector<DomainUse> uses() override { return passed(&Observer::uses); }
    std::optional<PoolView> find_pool(const std::string& name) override {
        return passed(&Observer::find_pool, name);
    }
    std::optional<VolumeView> find_volume(const std::string& path) override {
        return passed(&Observer::find_volume, path);
    }
    HostView host() override { return passed(&Observer::host); }
    std::string agent(const std::string& name, const std::string& command, int seconds,
                      std::optional<Milliseconds> limit) override {
        return passed(&Observer::agent, name, command, seconds, limit);
    }
    std::vector<DomainStats> stats(const std::vector<std::string>& names, Milliseconds limit) override {
        return passed(&Observer::stats, names, limit);
    }
    std::optional<BlockJob> block_job(const std::string& name, const std::string& target) override {
        return passed(&Observer::block_job, name, target);
    }
    Tuning tuning(const std::string& name, TuningOf which) override {
        return passed(&Observer::tuning, name, which);
    }
    std::optional<std::string> backup_under_way(const std::string& name) override {
        return passed(&Observer::backup_under_way, name);
    }
    std::vector<CheckpointView> checkpoints(const std::string& name) override {
        return passed(&Observer::checkpoints, name);
    }
    void watch(const std::string& name) override { passed(&Observer::watch, name); }
    Wake wait(Milliseconds span) override { return passed(&Observer::wait, span); }

    void ensure_pool(const std::string& name, const std::string& path) override {
        passed(&Hypervisor::ensure_pool, name, path);
    }
    void ensure_filter(const FilterSpec& filter) override { passed(&Hypervisor::ensure_filter, filter); }
    VolumeView create_volume(const std::string& pool, const VolumeSpec& volume) override {
        return passed(&Hypervisor::create_volume, pool, volume);
    }
    void delete_volume(const std::string& path, const std::string& owner) override {
        passed(&Hypervisor::delete_volume, path, owner);
    }
    void define(const DomainSpec& domain) override { passed(&Hypervisor::define, domain); }
    void redefine(const std::string& name) override { passed(&Hypervisor::redefine, name); }
    void start(const std::string& name) override { passed(&Hypervisor::start, name); }
    void start_transient(const TrialSpec& domain) override { passed(&Hypervisor::start_transient, domain); }
    void unpause(const std::string& name) override { passed(&Hypervisor::unpause, name); }
    void shutdown(const std::string& name) override { passed(&Hypervisor::shutdown, name); }
    void power_off(const std::string& name) override { passed(&Hypervisor::power_off, name); }
    void undefine(const std::string& name) override { passed(&Hypervisor::undefine, name); }
    void tune(const std::string& name, Subsystem subsystem, const Tuning& wanted, TuningOf which) override {
        passed(&Hypervisor::tune, name, subsystem, wanted, which);
    }
    void set_interface(const std::string& name, const std::string& element, TuningOf which) override {
        passed(&Hypervisor::set_interface, name, element, which);
    }
    void bind_filter(const std::string& name, const FilterBinding& binding) override {
        passed(&Hypervisor::bind_filter, name, binding);
    }
    void set_metadata(const std::string& name, const std::optional<DomainMark>& mark) override {
        passed(&Hypervisor::set_metadata, name, mark);
    }
    void configure(const std::string& name, const DomainSettings& settings) override {
        passed(&Hypervisor::configure, name, settings);
    }
    void grow_disk(const std::string& name, const std::string& path, std::uint64_t capacity_bytes) override {
        passed(&Hypervisor::grow_disk, name, path, capacity_bytes);
    }
    FrozenExport begin_backup(const std::string& name, const BackupSpec& spec) override {
        return passed(&Hypervisor::begin_backup, name, spec);
    }
    void end_backup(const std::string& name) override { passed(&Hypervisor::end_backup, name); }
    void delete_checkpoint(const std::string& name, const std::string& checkpoint,
                           CheckpointPart part) override {
        passed(&Hypervisor::delete_checkpoint, name, checkpoint, part);
    }
    void restore_checkpoint(const std::string& name, const CheckpointView& checkpoint) override {
        passed(&Hypervisor::restore_checkpoint, name, checkpoint);
    }
    void set_disk(const std::string& name, const std::string& target, const std::string& path) override {
        passed(&Hypervisor::set_disk, name, target, path);
    }
    void add_layer(const std::string& name, const std::string& target, const std::string& path) override {
        passed(&Hypervisor::add_layer, name, target, path);
    }
    void commit_layer(const std::string& name, const std::string& target, const std::string& into) override {
        passed(&Hypervisor::commit_layer, name, target, into);
    }
    void end_block_job(const std::string& name, const std::string& target, JobEnd end) override {
        passed(&Hypervisor::end_block_job, name, target, end);
    }
    void remove_pool(const std::string& name) override { passed(&Hypervisor::remove_pool, name); }
    void remove_filter(const std::string& name) override { passed(&Hypervisor::remove_filter, name); }

  protected:
    /// Makes `call` of the one that this stands before.
    virtual void pass_on(const std::function<void(Hypervisor&)>& call) = 0;

  private:
    template<class Interface, class Result, class... Parameters, class... Arguments>
    Result passed(Result (Interface::*function)(Parameters...), const Arguments&... arguments) {
        if constexpr (std::is_void_v<Result>) {
            pass_on([&](Hypervisor& other) { (other.*function)(arguments...); });
        } else {
            std::optional<Result> result;
            pass_on([&](Hypervisor& other) { result.emplace((other.*function)(arguments...)); });
            return *std::move(result);
        }
    }
};

} // namespace blockhost
