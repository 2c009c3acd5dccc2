// SPDX-License-Identifier: MIT
/// See driver.hpp.

#include "hypervisor/rootagent/driver.hpp"

#include "base/files/files.hpp"
#include "base/root_agent.hpp"
#include "base/text/json.hpp"
#include "hypervisor/forwarding.hpp"
#include "hypervisor/settings_json.hpp"
#include "hypervisor/tuning_json.hpp"
#include "hypervisor/xml/domain.hpp"

#include <boost/json/object.hpp>

namespace blockhost {

namespace {

using namespace std::chrono_literals;
namespace bj = boost::json;

/// It carries out one action at a time, others' too.
constexpr auto change_span = 120s;
/// What an agent's answer may take beyond what it was given: the other side's start, and libvirt's greeting.
constexpr auto agent_extra = 15s;
constexpr const char* definition_file = "domain.xml";
constexpr std::string_view disk_suffix = ".qcow2";

Error needs_root(const std::string& what) {
    return Error(Code::denied, what + " needs root", "run it with sudo");
}

/// A file of the storage folder: whose disk it is, by its name, and which operation made it ("" for a disk of
/// the 0.2.0 provisioner).
struct Disk {
    std::string vm, operation;
};
std::optional<Disk> disk_named(std::string_view file) {
    if (!file.ends_with(disk_suffix)) return std::nullopt;
    const std::string_view stem = file.substr(0, file.size() - disk_suffix.size());
    const auto dot = stem.rfind('.');
    if (dot != stem.npos) {
        const auto name = VmName::try_parse(stem.substr(0, dot));
        const auto operation = name ? operation_of_volume(*name, file) : std::nullopt;
        if (operation) return Disk{name->str(), operation->str()};
    }
    if (!VmName::try_parse(stem)) return std::nullopt;
    return Disk{std::string(stem), ""};
}

std::string_view side(TuningOf which) {
    return which == TuningOf::running ? "running" : "definition";
}

class RootAgentDriver final : public Forwarding {
  public:
    RootAgentDriver(std::unique_ptr<Hypervisor> looks, Paths paths)
        : looks_(std::move(looks)), paths_(std::move(paths)) {}

    void answer_by(const Deadline& end) override {
        Forwarding::answer_by(end);
        looks_->answer_by(end);
    }

    /// libvirt lets nobody speak to a guest who may only look.
    std::string agent(const std::string& name, const std::string& command, int seconds,
                      std::optional<std::chrono::milliseconds> limit) override {
        const bj::object with{{"command", command}, {"seconds", seconds}};
        const auto reply =
            step(name, "", "ask-agent", with, limit.value_or(std::chrono::seconds(seconds) + agent_extra));
        return json::string_or(reply, "reply", "");
    }

    void ensure_pool(const std::string& name, const std::string& path) override {
        refuse_other_folder(name, path);
    }
    void ensure_filter(const FilterSpec&) override {}

    VolumeView create_volume(const std::string&, const VolumeSpec& volume) override {
        const auto disk = disk_named(volume.name);
        if (!disk) throw Error(Code::internal, "a volume is to be made that no VM of ours has");
        const auto reply = step(disk->vm, disk->operation, "create-volume",
                                {{"capacity_bytes", volume.capacity_bytes}, {"backing", volume.backing}});
        return {json::string_or(reply, "path", ""), volume.capacity_bytes, 0};
    }
    void delete_volume(const std::string& path, const std::string& owner) override {
        step(owner, "", "delete-volume", {{"file", std::filesystem::path(path).filename().string()}});
    }
    /// The other side reads the definition from a file, as the action wants it.
    void define(const DomainSpec& domain) override {
        const AskingTime counted;
        const auto own = paths_.cloud_init.make(0711).make_sub(domain.name.str(), 0711);
        own.replace(definition_file, render_domain(domain), {.mode = 0640, .uid = {}, .gid = {}});
        try {
            ask("virsh-define", {{"xml_path", (own.path() / definition_file).string()}});
        } catch (...) {
            own.remove(definition_file);
            throw;
        }
        own.remove(definition_file);
    }
    void redefine(const std::string& name) override { step(name, "", "redefine", {}); }
    void start(const std::string& name) override { ask("virsh-start", {{"domain", name}}); }
    void start_transient(const TrialSpec&) override {
        throw needs_root("starting a domain that is never defined");
    }
    void unpause(const std::string& name) override { step(name, "", "unpause", {}); }
    void shutdown(const std::string& name) override { ask("virsh-shutdown", {{"domain", name}}); }
    void power_off(const std::string& name) override { ask("virsh-destroy", {{"domain", name}}); }
    void undefine(const std::string& name) override {
        ask("virsh-undefine", {{"domain", name}, {"remove_storage", false}});
    }
    void tune(const std::string& name, Subsystem subsystem, const Tuning& wanted, TuningOf which) override {
        devices_of(name, subsystem);
        step(name, "", "tune",
             {{"subsystem", to_string(subsystem)}, {"of", side(which)}, {"limits", to_json(wanted)}});
    }
    /// The other side finds out by itself what the interface lacks.
    void set_interface(const std::string& name, const std::string&, TuningOf which) override {
        step(name, "", "guard-interface", {{"of", side(which)}});
    }
    void bind_filter(const std::string&, const FilterBinding&) override {
        throw needs_root("binding a network filter");
    }
    void set_metadata(const std::string& name, const std::optional<DomainMark>& mark) override {
        step(name, "", "set-mark", {{"mark", mark ? render_mark(*mark) : ""}});
    }
    void configure(const std::string& name, const DomainSettings& settings) override {
        step(name, "", "configure", {{"settings", to_json(settings)}});
    }
    /// The other side finds out by itself which disk the VM has.
    void grow_disk(const std::string& name, const std::string&, std::uint64_t capacity_bytes) override {
        step(name, "", "grow-disk", {{"capacity_bytes", capacity_bytes}});
    }
    FrozenExport begin_backup(const std::string&, const BackupSpec&) override {
        throw needs_root("a backup of a running VM");
    }
    /// The other side ends none but ours.
    void end_backup(const std::string& name) override { step(name, "", "end-backup", {}); }
    void delete_checkpoint(const std::string&, const std::string&, CheckpointPart) override {
        throw needs_root("deleting a checkpoint");
    }
    void restore_checkpoint(const std::string&, const CheckpointView&) override {
        throw needs_root("restoring a checkpoint");
    }
    void set_disk(const std::string&, const std::string&, const std::string&) override {
        throw needs_root("putting another disk into a definition");
    }
    void add_layer(const std::string&, const std::string&, const std::string&) override {
        throw needs_root("putting an overlay on a disk");
    }
    void commit_layer(const std::string&, const std::string&, const std::string&) override {
        throw needs_root("committing an overlay");
    }
    void end_block_job(const std::string&, const std::string&, JobEnd) override {
        throw needs_root("ending a block job");
    }
    void remove_pool(const std::string&) override { throw needs_root("removing a storage pool"); }
    void remove_filter(const std::string&) override { throw needs_root("removing a network filter"); }

  private:
    void pass_on(const std::function<void(Hypervisor&)>& call) override { call(*looks_); }

    bj::object ask(std::string_view action, const bj::object& parameters,
                   std::chrono::milliseconds span = change_span) const {
        const AskingTime counted;
        return call_root_agent(paths_.root_agent_socket(), action, parameters, within(span));
    }
    bj::object step(const std::string& name, const std::string& operation, std::string_view step,
                    const bj::object& with, std::chrono::milliseconds span = change_span) const {
        return ask("vm-step", {{"name", name}, {"operation", operation}, {"step", step}, {"with", with}},
                   span);
    }

    std::unique_ptr<Hypervisor> looks_;
    Paths paths_;
};

} // namespace

std::unique_ptr<Hypervisor> through_root_agent(std::unique_ptr<Hypervisor> looks, Paths paths) {
    return std::make_unique<RootAgentDriver>(std::move(looks), std::move(paths));
}

} // namespace blockhost
