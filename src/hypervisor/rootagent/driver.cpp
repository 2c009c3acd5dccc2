/// See driver.hpp.

#include "hypervisor/rootagent/driver.hpp"

#include "base/files.hpp"
#include "base/json.hpp"
#include "base/root_agent.hpp"
#include "hypervisor/domain_xml.hpp"
#include "hypervisor/guarded.hpp"
#include "hypervisor/tuning_json.hpp"

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

class RootAgentDriver final : public Hypervisor {
  public:
    RootAgentDriver(std::unique_ptr<Hypervisor> looks, Paths paths)
        : looks_(std::move(looks)), paths_(std::move(paths)) {}

  private:
    bj::object ask(std::string_view action, const bj::object& parameters,
                   std::chrono::milliseconds span = change_span) const {
        return call_root_agent(paths_.root_agent_socket(), action, parameters, span);
    }
    bj::object step(const std::string& name, const std::string& operation, std::string_view step,
                    const bj::object& with, std::chrono::milliseconds span = change_span) const {
        return ask("vm-step", {{"name", name}, {"operation", operation}, {"step", step}, {"with", with}},
                   span);
    }
    void change(Failure& f, std::string_view action, const bj::object& parameters) const noexcept {
        guarded(f, [&] { ask(action, parameters); });
    }

    // looking

    std::optional<PowerState> do_state(const std::string& name, Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->state(name); });
    }
    std::optional<DomainView> do_find(const std::string& name, Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->find(name); });
    }
    std::vector<std::string> do_other_definitions(const std::string& name, Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->other_definitions(name); });
    }
    std::vector<DomainState> do_states(Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->states(); });
    }
    void do_expect_states() noexcept override { looks_->expect_states(); }
    std::vector<DomainUse> do_uses(Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->uses(); });
    }
    std::optional<PoolView> do_find_pool(const std::string& name, Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->find_pool(name); });
    }
    std::optional<VolumeView> do_find_volume(const std::string& path, Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->find_volume(path); });
    }
    HostView do_host(Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->host(); });
    }
    std::vector<DomainStats> do_stats(const std::vector<std::string>& names, std::chrono::milliseconds limit,
                                      Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->stats(names, limit); });
    }
    Tuning do_tuning(const std::string& name, const TunedDevices&, TuningOf which,
                     Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->tuning(name, which); });
    }
    void do_watch(const std::string& name, Failure& f) noexcept override {
        guarded(f, [&] { looks_->watch(name); });
    }
    Wake do_wait(std::chrono::milliseconds span, Failure& f) noexcept override {
        return guarded(f, [&] { return looks_->wait(span); });
    }

    /// libvirt lets nobody speak to a guest who may only look.
    std::string do_agent(const std::string& name, const std::string& command, int seconds,
                         std::optional<std::chrono::milliseconds> limit, Failure& f) noexcept override {
        return guarded(f, [&] {
            const bj::object with{{"command", command}, {"seconds", seconds}};
            const auto reply = step(name, "", "ask-agent", with,
                                    limit.value_or(std::chrono::seconds(seconds) + agent_extra));
            return json::string_or(reply, "reply", "");
        });
    }

    // changing

    void do_ensure_pool(const std::string&, const std::string&, Failure&) noexcept override {}
    void do_ensure_filter(const std::string&, const std::string&, Failure&) noexcept override {}

    VolumeView do_create_volume(const std::string&, const std::string& xml, Failure& f) noexcept override {
        return guarded(f, [&] {
            const auto spec = volume_spec_of(xml);
            const auto disk = spec ? disk_named(spec->name) : std::nullopt;
            if (!disk) throw Error(Code::internal, "a volume is to be made that no VM of ours has");
            const auto reply = step(disk->vm, disk->operation, "create-volume",
                                    {{"capacity_bytes", spec->capacity_bytes}, {"backing", spec->backing}});
            return VolumeView{json::string_or(reply, "path", ""), spec->capacity_bytes, 0};
        });
    }
    void do_delete_volume(const std::string& path, Failure& f) noexcept override {
        guarded(f, [&] {
            const std::string file = std::filesystem::path(path).filename().string();
            const auto disk = disk_named(file);
            if (!disk) throw Error(Code::internal, "a volume is to be deleted that no VM of ours has");
            step(disk->vm, disk->operation, "delete-volume", {{"file", file}});
        });
    }
    /// The other side reads the definition from a file, as the action wants it.
    void do_define(const std::string& xml, Failure& f) noexcept override {
        guarded(f, [&] {
            const auto spec = spec_of(xml);
            if (!spec)
                throw Error(Code::internal, "a domain is to be defined that our renderer did not make");
            const auto all = Folder::open_or_make(paths_.cloud_init, 0711);
            const auto own = all.make_sub(spec->name.str(), 0711);
            own.replace(definition_file, xml, {.mode = 0640, .uid = {}, .gid = {}});
            Failure failure;
            change(failure, "virsh-define", {{"xml_path", (own.path() / definition_file).string()}});
            own.remove(definition_file);
            failure.raise();
        });
    }
    void do_start(const std::string& name, Failure& f) noexcept override {
        change(f, "virsh-start", {{"domain", name}});
    }
    void do_start_transient(const std::string&, Failure& f) noexcept override {
        guarded(f, [] { throw needs_root("starting a domain that is never defined"); });
    }
    void do_unpause(const std::string& name, Failure& f) noexcept override {
        guarded(f, [&] { step(name, "", "unpause", {}); });
    }
    void do_shutdown(const std::string& name, Failure& f) noexcept override {
        change(f, "virsh-shutdown", {{"domain", name}});
    }
    void do_power_off(const std::string& name, Failure& f) noexcept override {
        change(f, "virsh-destroy", {{"domain", name}});
    }
    void do_undefine(const std::string& name, Failure& f) noexcept override {
        change(f, "virsh-undefine", {{"domain", name}, {"remove_storage", false}});
    }
    void do_tune(const std::string& name, const TunedDevices&, Subsystem subsystem, const Tuning& wanted,
                 TuningOf which, Failure& f) noexcept override {
        guarded(f, [&] {
            step(name, "", "tune",
                 {{"subsystem", to_string(subsystem)},
                  {"of", which == TuningOf::running ? "running" : "definition"},
                  {"limits", to_json(wanted)}});
        });
    }
    void do_set_metadata(const std::string& name, const std::string& xml, Failure& f) noexcept override {
        guarded(f, [&] { step(name, "", "set-mark", {{"mark", xml}}); });
    }
    void do_remove_pool(const std::string&, Failure& f) noexcept override {
        guarded(f, [] { throw needs_root("removing a storage pool"); });
    }
    void do_remove_filter(const std::string&, Failure& f) noexcept override {
        guarded(f, [] { throw needs_root("removing a network filter"); });
    }

    std::unique_ptr<Hypervisor> looks_;
    Paths paths_;
};

} // namespace

std::unique_ptr<Hypervisor> through_root_agent(std::unique_ptr<Hypervisor> looks, Paths paths) {
    return std::make_unique<RootAgentDriver>(std::move(looks), std::move(paths));
}

} // namespace blockhost
