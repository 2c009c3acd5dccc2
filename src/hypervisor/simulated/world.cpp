// SPDX-License-Identifier: MIT
/// The simulated hypervisor: the --mock world and the tests' double. Its world is a folder (store.hpp),
/// shared by any number of processes and outliving them; its guests boot in a moment.
///
/// Fault points (base/fault.hpp): "simulated.<call>" before each call's effect or look,
/// "simulated.<call>.after" after a change took effect. With BLOCKHOST_SIM_LATE=1 a change of a process that
/// is killed or hangs at the point before its effect takes effect 0.3 to 0.9 s later all the same, as with a
/// real libvirtd: those that Store::carry_out names.

#include "hypervisor/open.hpp"

#include "base/exceptions.hpp"
#include "base/fault.hpp"
#include "base/patience.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "hypervisor/simulated/counters.hpp"
#include "hypervisor/simulated/guest.hpp"
#include "hypervisor/simulated/image.hpp"
#include "hypervisor/simulated/store.hpp"
#include "hypervisor/xml/domain.hpp"
#include "hypervisor/xml/interface.hpp"

#include <cstdlib>
#include <deque>
#include <sys/stat.h>

namespace blockhost {
namespace {

using namespace simulated;
using namespace std::chrono_literals;

constexpr auto poll_period = 20ms;

class Simulated final : public Hypervisor {
  public:
    Simulated(const std::filesystem::path& world, bool late) : store_(world), late_(late) {}

    std::optional<Power> power(const std::string& name) override {
        return look("state", [&]() -> std::optional<Power> {
            auto domain = store_.domain(name);
            if (!domain) return std::nullopt;
            return Power{domain->state, domain->reason};
        });
    }
    std::string disk_trouble(const std::string& name, std::chrono::milliseconds) override {
        return look("disk_trouble", [&]() -> std::string {
            const auto domain = store_.domain(name);
            const bool full = domain && is_alive(domain->state) && store_.behaviour_of(name).disk == "full";
            return full ? "no space left for vda" : "";
        });
    }
    std::vector<std::string> undefined() override {
        return look("undefined", [&] {
            std::vector<std::string> names;
            for (const auto& name : store_.domains())
                if (!must_find(name).persistent) names.push_back(name);
            return names;
        });
    }

    std::optional<DomainView> find(const std::string& name) override {
        return look("find", [&]() -> std::optional<DomainView> {
            auto domain = store_.domain(name);
            if (!domain) return std::nullopt;
            return DomainView{name,
                              domain->uuid,
                              domain->state,
                              domain->reason,
                              store_.domain_xml(name),
                              domain->persistent};
        });
    }

    std::vector<std::string> other_definitions(const std::string&) override {
        return {}; // what runs here is what is defined, and nothing is ever saved
    }
    std::vector<DomainState> states() override {
        return look("states", [&] {
            std::vector<DomainState> all;
            for (const auto& name : store_.domains()) {
                auto domain = must_find(name);
                all.push_back({name, domain.state, std::move(domain.reason)});
            }
            return all;
        });
    }

    std::vector<DomainUse> uses() override {
        return look("uses", [&] {
            std::vector<DomainUse> all;
            for (const auto& name : store_.domains()) {
                auto xml = store_.domain_xml(name);
                all.push_back({name, must_find(name).uuid, read_domain(xml).memory_mib, xml});
            }
            return all;
        });
    }

    std::optional<PoolView> find_pool(const std::string& name) override {
        return look("find_pool", [&]() -> std::optional<PoolView> {
            auto folder = store_.pool_folder(name);
            if (!folder) return std::nullopt;
            auto available = store_.behaviour().pool_available;
            const bool active = std::filesystem::is_directory(*folder);
            return PoolView{name, std::move(*folder), active, available, available};
        });
    }

    std::optional<VolumeView> find_volume(const std::string& path) override {
        return look("find_volume", [&]() -> std::optional<VolumeView> {
            if (!std::filesystem::exists(path)) return std::nullopt;
            if (!store_.pool_holds(path))
                throw Error(Code::hypervisor,
                            "no active storage pool holds " + path + ", so libvirt cannot tell what it is");
            return view_of(path);
        });
    }

    HostView host() override {
        return look("host", [&] {
            auto behaviour = store_.behaviour();
            return HostView{behaviour.host_memory_mib, behaviour.host_cpus};
        });
    }

    std::vector<DomainStats> stats(const std::vector<std::string>& names,
                                   std::chrono::milliseconds limit) override {
        const AskingTime counted;
        bool hangs = false;
        auto all = look("stats", [&] {
            std::vector<DomainStats> found;
            for (const auto& name : names.empty() ? store_.domains() : names) {
                const auto domain = store_.domain(name);
                if (!domain) continue;
                const auto behaviour = store_.behaviour_of(name);
                hangs |= behaviour.stats == "hangs" && store_.first_hang(name, *domain);
                found.push_back(stats_of(name, *domain, store_.domain_xml(name), behaviour));
            }
            return found;
        });
        if (!hangs) return all;
        pause_for(limit);
        throw Error(Code::no_answer, "the simulated world does not answer: a QEMU hangs");
    }

    std::optional<BlockJob> block_job(const std::string& name, const std::string&) override {
        return look("block_job", [&]() -> std::optional<BlockJob> {
            const auto domain = must_find(name);
            if (!is_alive(domain.state) || domain.committing.empty()) return std::nullopt;
            const bool ready = domain.committed <= millis_now();
            return BlockJob{.commits = true, .ready = ready, .done_bytes = ready ? 1u : 0u, .all_bytes = 1};
        });
    }
    Tuning tuning(const std::string& name, TuningOf which) override {
        const auto devices = devices_of(name);
        return look("tuning", [&] {
            auto domain = must_be_tunable(name, which);
            auto found = which == TuningOf::running ? domain.running : domain.definition;
            if (devices.mac.empty()) found.inbound = found.outbound = std::nullopt;
            if (devices.disk.empty()) found.iops.reset();
            return found;
        });
    }
    void tune(const std::string& name, Subsystem subsystem, const Tuning& wanted, TuningOf which) override {
        devices_of(name, subsystem);
        change("tune", [&] {
            auto domain = must_be_tunable(name, which);
            auto behaviour = store_.behaviour();
            if (which == TuningOf::running && behaviour.tune_refuses == to_string(subsystem))
                throw Error(Code::hypervisor, "libvirt cannot set the " + behaviour.tune_refuses +
                                                  " limits of " + name + ": simulated refusal");
            if (behaviour.tune_forgets == to_string(subsystem)) return;
            set(which == TuningOf::running ? domain.running : domain.definition, subsystem, wanted);
            store_.put(name, domain);
        });
    }
    void set_interface(const std::string& name, const std::string& element, TuningOf which) override {
        change("set_interface", [&] {
            must_be_tunable(name, which);
            store_.put_xml(name, with_interface(store_.domain_xml(name), element));
        });
    }
    void bind_filter(const std::string& name, const FilterBinding&) override {
        change("bind_filter", [&] { must_be_tunable(name, TuningOf::running); });
    }
    void set_metadata(const std::string& name, const std::optional<DomainMark>& mark) override {
        change("set_metadata", [&] {
            must_find(name);
            store_.put_xml(name, with_metadata(store_.domain_xml(name), mark ? render_mark(*mark) : ""));
        });
    }

    std::string agent(const std::string& name, const std::string& command, int seconds,
                      std::optional<std::chrono::milliseconds> limit) override {
        const AskingTime counted;
        Millis delay = 0;
        const bool freezes = command.find("guest-fsfreeze-freeze") != command.npos;
        auto reply = alone([&] {
            if (freezes)
                late_point({{"call", "freeze"}, {"name", name}});
            else
                fault::point("simulated.agent");
            auto domain = must_find(name);
            if (domain.state != PowerState::running)
                throw Error(Code::wrong_state,
                            "libvirt cannot ask the guest agent of " + name + ": domain is not running");
            if (store_.domain_xml(name).find("org.qemu.guest_agent.0") == std::string::npos)
                throw Error(Code::guest, "libvirt cannot ask the guest agent of " + name +
                                             ": QEMU guest agent is not configured");
            auto behaviour = store_.behaviour_of(name);
            if (behaviour.agent == "slow" && command.find(behaviour.agent_at) != command.npos)
                delay = behaviour.agent_ms;
            return guest_.answer({name, command, domain, behaviour, store_});
        });
        const auto patience = std::min<std::chrono::milliseconds>(std::chrono::seconds(seconds),
                                                                  limit.value_or(std::chrono::hours(1)));
        pause_for(std::min<std::chrono::milliseconds>(patience, std::chrono::milliseconds(delay)));
        if (std::chrono::milliseconds(delay) <= patience) return reply;
        throw Error(Code::guest,
                    "libvirt cannot ask the guest agent: Guest agent is not responding: Guest agent not "
                    "available for now");
    }

    std::optional<std::string> backup_under_way(const std::string& name) override {
        return look("backup_under_way", [&]() -> std::optional<std::string> {
            const auto domain = must_find(name);
            return domain.backup_scratch ? std::optional(domain.backup_socket) : std::nullopt;
        });
    }
    std::vector<CheckpointView> checkpoints(const std::string& name) override {
        return look("checkpoints", [&] { return store_.checkpoints(name); });
    }
    FrozenExport begin_backup(const std::string& name, const BackupSpec& spec) override {
        late_change({{"call", "begin_backup"},
                     {"name", name},
                     {"disk", spec.disk},
                     {"socket", spec.socket},
                     {"scratch", spec.scratch},
                     {"checkpoint", spec.checkpoint},
                     {"since", spec.since}});
        return {"", spec.scratch, spec.since};
    }
    void end_backup(const std::string& name) override {
        change("end_backup", [&] { store_.end_backup(name); });
    }
    void delete_checkpoint(const std::string& name, const std::string& checkpoint,
                           CheckpointPart part) override {
        change("delete_checkpoint",
               [&] { store_.delete_checkpoint(name, checkpoint, part == CheckpointPart::knowledge); });
    }
    void restore_checkpoint(const std::string& name, const CheckpointView& checkpoint) override {
        change("restore_checkpoint", [&] { store_.restore_checkpoint(name, checkpoint); });
    }

    void watch(const std::string& name) override {
        look("watch", [&] {
            watched_ = name;
            kept_.clear();
            position_ = store_.events_end();
            agent_was_up_ = agent_is_up_now();
        });
    }

    Wake wait(std::chrono::milliseconds span) override {
        const AskingTime counted;
        for (auto deadline = Deadline::in(span);;
             pause_for(std::min<std::chrono::milliseconds>(poll_period, deadline.left()))) {
            alone([&] { gather(); });
            if (!kept_.empty()) {
                auto event = kept_.front();
                kept_.pop_front();
                return event;
            }
            if (deadline.passed()) return Wake::timeout;
        }
    }

    void ensure_pool(const std::string& name, const std::string& path) override {
        refuse_other_folder(name, path);
        change("ensure_pool", [&] {
            const auto there = store_.pool_folder(name);
            if (!there) store_.put_pool(name, path);
            if (there && !std::filesystem::is_directory(*there))
                throw Error(Code::hypervisor, "libvirt cannot start storage pool " + name +
                                                  ": cannot open directory '" + *there +
                                                  "': No such file or directory");
        });
    }
    void ensure_filter(const FilterSpec& filter) override {
        change("ensure_filter", [&] { store_.put_filter(filter.name, render_filter(filter)); });
    }
    VolumeView create_volume(const std::string& pool, const VolumeSpec& volume) override {
        late_change({{"call", "create_volume"},
                     {"pool", pool},
                     {"name", volume.name},
                     {"capacity_bytes", volume.capacity_bytes},
                     {"backing", volume.backing}});
        return view_of(store_.volume_path(pool, volume.name));
    }
    void delete_volume(const std::string& path, const std::string&) override {
        change("delete_volume", [&] {
            if (!std::filesystem::exists(path)) return;
            if (!store_.pool_holds(path))
                throw Error(Code::hypervisor,
                            path + " is a file that no active storage pool knows, and stays");
            std::filesystem::remove(path);
        });
    }
    void define(const DomainSpec& domain) override {
        late_change({{"call", "define"}, {"xml", render_domain(domain)}});
    }
    void redefine(const std::string& name) override {
        change("redefine", [&] {
            auto domain = must_find(name);
            if (domain.persistent) return;
            if (store_.behaviour_of(name).redefine == "refused")
                throw Error(Code::hypervisor, "libvirt cannot define " + name + " again: simulated refusal");
            domain.persistent = true;
            domain.definition = domain.running;
            store_.put(name, domain);
            store_.tell(name);
        });
    }
    void start(const std::string& name) override { late_change({{"call", "start"}, {"name", name}}); }

    /// Nothing here ends with the connection: processes come and go, the world stays.
    void start_transient(const TrialSpec& domain) override {
        change("start_transient", [&] { store_.start_transient(render_trial(domain)); });
    }

    void unpause(const std::string& name) override {
        change("unpause", [&] {
            auto domain = must_find(name);
            if (domain.state == PowerState::running) return;
            if (domain.state != PowerState::paused)
                throw Error(Code::wrong_state,
                            "libvirt cannot resume " + name +
                                ": Requested operation is not valid: domain is not paused");
            domain.state = PowerState::running;
            domain.reason = domain.reason == reason::asleep ? "event wakeup" : "unpaused";
            store_.put(name, domain);
            store_.tell(name);
            store_.meet_full_disk(name);
        });
    }

    void shutdown(const std::string& name) override {
        change("shutdown", [&] {
            auto domain = must_find(name);
            auto behaviour = store_.behaviour();
            if (domain.state == PowerState::off || domain.state == PowerState::stopping) return;
            if (domain.state != PowerState::running)
                throw Error(Code::wrong_state, "libvirt cannot shut " + name +
                                                   " down: Requested operation is not valid: domain is not "
                                                   "running");
            if (behaviour.shutdown == "ignores") return;
            domain.ends = millis_now() + behaviour.shutdown_ms;
            store_.put(name, domain);
        });
    }

    void power_off(const std::string& name) override {
        change("power_off", [&] { store_.power_off(name, "destroyed"); });
    }
    void undefine(const std::string& name) override {
        change("undefine", [&] { store_.undefine(name); });
    }
    void configure(const std::string& name, const DomainSettings& settings) override {
        change("configure", [&] {
            must_be_tunable(name, TuningOf::definition);
            store_.put_xml(name, with_settings(store_.domain_xml(name), settings));
        });
    }
    void grow_disk(const std::string& name, const std::string& path, std::uint64_t capacity_bytes) override {
        change("grow_disk", [&] {
            if (must_find(name).backup_scratch)
                throw Error(Code::hypervisor, "libvirt cannot make the disk of " + name +
                                                  " larger: block device is in use by a backup");
            if (!store_.pool_holds(path))
                throw Error(Code::hypervisor, "no active storage pool has the disk " + path + " of " + name);
            if (qcow2_virtual_size(path) < capacity_bytes) resize_qcow2(path, capacity_bytes);
        });
    }
    void set_disk(const std::string& name, const std::string& target, const std::string& path) override {
        must_have_definition(name);
        late_change({{"call", "set_disk"}, {"name", name}, {"target", target}, {"path", path}});
    }
    void add_layer(const std::string& name, const std::string& target, const std::string& path) override {
        late_change({{"call", "add_layer"}, {"name", name}, {"target", target}, {"path", path}});
    }
    void commit_layer(const std::string& name, const std::string&, const std::string& into) override {
        change("commit_layer", [&] {
            auto domain = must_be_tunable(name, TuningOf::running);
            if (!domain.committing.empty()) return;
            domain.committing = into;
            domain.committed = millis_now() + store_.behaviour_of(name).commit_ms;
            store_.put(name, domain);
        });
    }
    void end_block_job(const std::string& name, const std::string& target, JobEnd end) override {
        change("end_block_job", [&] {
            auto domain = must_find(name);
            if (!is_alive(domain.state) || domain.committing.empty()) return;
            if (end == JobEnd::pivot && domain.committed > millis_now())
                throw Error(Code::busy, "the disk of " + name + " is still being committed");
            if (end == JobEnd::pivot) {
                commit_content(read_domain(store_.domain_xml(name)).disks.front());
                store_.set_disk(name, target, domain.committing);
            }
            domain.committing.clear();
            store_.put(name, domain);
        });
    }
    void remove_pool(const std::string& name) override {
        change("remove_pool", [&] { store_.remove_pool(name); });
    }
    void remove_filter(const std::string& name) override {
        change("remove_filter", [&] { store_.remove_filter(name); });
    }

  private:
    /// Alone in the world; what a file system refuses there is an Error too.
    template<class Body>
    auto alone(Body body) -> decltype(body()) {
        const AskingTime counted;
        try {
            const auto entered = store_.enter();
            return body();
        } catch (const Error&) {
            throw;
        } catch (const std::exception& thrown) {
            throw as_error(thrown);
        }
    }

    template<class Body>
    auto look(const std::string& call, Body body) -> decltype(body()) {
        return alone([&] {
            fault::point("simulated." + call);
            return body();
        });
    }

    template<class Body>
    void change(const std::string& call, Body body) {
        alone([&] {
            fault::point("simulated." + call);
            body();
            fault::point("simulated." + call + ".after");
        });
    }

    /// The point before a change that libvirtd would carry out even for a caller that died meanwhile.
    void late_point(const boost::json::object& call) {
        const std::string place = "simulated." + std::string(call.at("call").as_string());
        if (!late_) return fault::point(place);
        const auto note = store_.note_pending(call);
        try {
            fault::point(place);
        } catch (const Error& error) {
            if (error.code() != Code::no_answer) store_.done_with(note);
            throw;
        }
        store_.done_with(note);
    }

    void late_change(const boost::json::object& call) {
        alone([&] {
            late_point(call);
            store_.carry_out(call);
            fault::point("simulated." + std::string(call.at("call").as_string()) + ".after");
        });
    }

    DomainFile must_find(const std::string& name) const {
        if (auto domain = store_.domain(name)) return *domain;
        throw Error(Code::not_found, "libvirt has no domain " + name);
    }

    DomainFile must_be_tunable(const std::string& name, TuningOf which) const {
        auto domain = must_find(name);
        if (which == TuningOf::running && !is_alive(domain.state))
            throw Error(Code::wrong_state, name + " is not running");
        if (which == TuningOf::definition && !domain.persistent)
            throw Error(Code::wrong_state, name + " has no definition: it was undefined while it runs");
        return domain;
    }
    void must_have_definition(const std::string& name) {
        alone([&] { must_be_tunable(name, TuningOf::definition); });
    }
    static VolumeView view_of(const std::string& path) {
        struct stat file;
        if (::stat(path.c_str(), &file) < 0) throw errno_error("cannot look at", path, errno);
        return {path, qcow2_virtual_size(path), static_cast<std::uint64_t>(file.st_blocks) * 512};
    }

    bool agent_is_up_now() const {
        auto domain = store_.domain(watched_);
        return domain && agent_is_up(*domain, store_.behaviour());
    }

    void gather() {
        for (const auto& name : store_.events_since(position_))
            if (name == watched_) kept_.push_back(Wake::lifecycle);
        bool up = !watched_.empty() && agent_is_up_now();
        if (up != agent_was_up_) kept_.push_back(up ? Wake::agent_connected : Wake::agent_disconnected);
        agent_was_up_ = up;
    }

    Store store_;
    bool late_;
    Guest guest_;
    std::string watched_; ///< empty: nothing yet
    std::deque<Wake> kept_;
    std::size_t position_ = 0; ///< in the events
    bool agent_was_up_ = false;
};

} // namespace

std::unique_ptr<Hypervisor> open_simulated(const std::filesystem::path& world) {
    fault::arm_from_environment();
    const char* late = std::getenv("BLOCKHOST_SIM_LATE");
    return std::make_unique<Simulated>(world, late && std::string_view(late) == "1");
}

} // namespace blockhost
