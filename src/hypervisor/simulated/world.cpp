/// The simulated hypervisor: the --mock world and the tests' double. Its world is a folder (store.hpp),
/// shared by any number of processes and outliving them; its guests boot in a moment.
///
/// Fault points (base/fault.hpp): "simulated.<call>" before each call's effect or look,
/// "simulated.<call>.after" after a change took effect. With BLOCKHOST_SIM_LATE=1 a define, start or volume
/// creation of a process that is killed or hangs at the point before its effect takes effect 0.3 to 0.9 s
/// later all the same, as with a real libvirtd.

#include "hypervisor/load.hpp"

#include "base/fault.hpp"
#include "hypervisor/domain_xml.hpp"
#include "hypervisor/guarded.hpp"
#include "hypervisor/qcow2.hpp"
#include "hypervisor/simulated/counters.hpp"
#include "hypervisor/simulated/guest.hpp"
#include "hypervisor/simulated/store.hpp"

#include <cstdlib>
#include <deque>
#include <sys/stat.h>
#include <thread>

namespace blockhost {
namespace {

using namespace simulated;
using namespace std::chrono_literals;

constexpr auto poll_period = 20ms;

class Simulated final : public Hypervisor {
  public:
    Simulated(const std::filesystem::path& world, bool late) : store_(world), late_(late) {}

  private:
    template<class Body>
    auto look(const char* call, Failure& f, Body body) noexcept -> decltype(body()) {
        return guarded(f, [&] {
            auto entered = store_.enter();
            fault::point(std::string("simulated.") + call);
            return body();
        });
    }

    template<class Body>
    void change(const std::string& call, Failure& f, Body body) noexcept {
        guarded(f, [&] {
            auto entered = store_.enter();
            fault::point("simulated." + call);
            body();
            fault::point("simulated." + call + ".after");
        });
    }

    /// A change that libvirtd would carry out even for a caller that died meanwhile.
    void late_change(const std::string& call, const std::string& first, const std::string& second,
                     Failure& f) noexcept {
        guarded(f, [&] {
            auto entered = store_.enter();
            if (late_) {
                auto note = store_.note_pending(call, first, second);
                try {
                    fault::point("simulated." + call);
                } catch (const Error& error) {
                    if (error.code() != Code::no_answer) store_.done_with(note);
                    throw;
                }
                store_.done_with(note);
            } else {
                fault::point("simulated." + call);
            }
            store_.carry_out(call, first, second);
            fault::point("simulated." + call + ".after");
        });
    }

    DomainFile must_find(const std::string& name) const {
        if (auto domain = store_.domain(name)) return *domain;
        throw Error(Code::not_found, "libvirt has no domain " + name);
    }

    std::optional<PowerState> do_state(const std::string& name, Failure& f) noexcept override {
        return look("state", f, [&]() -> std::optional<PowerState> {
            auto domain = store_.domain(name);
            if (!domain) return std::nullopt;
            return domain->state;
        });
    }

    std::optional<DomainView> do_find(const std::string& name, Failure& f) noexcept override {
        return look("find", f, [&]() -> std::optional<DomainView> {
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

    std::vector<std::string> do_other_definitions(const std::string&, Failure&) noexcept override {
        return {}; // what runs here is what is defined, and nothing is ever saved
    }
    std::vector<DomainState> do_states(Failure& f) noexcept override {
        return look("states", f, [&] {
            std::vector<DomainState> all;
            for (const auto& name : store_.domains()) all.push_back({name, must_find(name).state});
            return all;
        });
    }

    std::vector<DomainUse> do_uses(Failure& f) noexcept override {
        return look("uses", f, [&] {
            std::vector<DomainUse> all;
            for (const auto& name : store_.domains()) {
                auto xml = store_.domain_xml(name);
                all.push_back({name, read_domain(xml).memory_mib, xml});
            }
            return all;
        });
    }

    std::optional<PoolView> do_find_pool(const std::string& name, Failure& f) noexcept override {
        return look("find_pool", f, [&]() -> std::optional<PoolView> {
            auto xml = store_.pool_xml(name);
            if (!xml) return std::nullopt;
            auto available = store_.behaviour().pool_available;
            return PoolView{name, "", *xml, true, available, available};
        });
    }

    static VolumeView view_of(const std::string& path) {
        struct stat file;
        if (::stat(path.c_str(), &file) < 0) throw errno_error("cannot look at", path, errno);
        return {path, qcow2_virtual_size(path), static_cast<std::uint64_t>(file.st_blocks) * 512};
    }

    std::optional<VolumeView> do_find_volume(const std::string& path, Failure& f) noexcept override {
        return look("find_volume", f, [&]() -> std::optional<VolumeView> {
            if (!std::filesystem::exists(path)) return std::nullopt;
            if (!store_.pool_holds(path))
                throw Error(Code::hypervisor,
                            "no active storage pool holds " + path + ", so libvirt cannot tell what it is");
            return view_of(path);
        });
    }

    HostView do_host(Failure& f) noexcept override {
        return look("host", f, [&] {
            auto behaviour = store_.behaviour();
            return HostView{behaviour.host_memory_mib, behaviour.host_cpus};
        });
    }

    std::vector<DomainStats> do_stats(const std::vector<std::string>& names, std::chrono::milliseconds limit,
                                      Failure& f) noexcept override {
        bool hangs = false;
        auto all = look("stats", f, [&] {
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
        if (!hangs || f.failed) return all;
        std::this_thread::sleep_for(limit);
        f = {true, Code::no_answer, "the simulated world does not answer: a QEMU hangs", ""};
        return {};
    }
    DomainFile must_be_tunable(const std::string& name, TuningOf which) const {
        auto domain = must_find(name);
        if (which == TuningOf::running && !is_alive(domain.state))
            throw Error(Code::wrong_state, name + " is not running");
        if (which == TuningOf::definition && !domain.persistent)
            throw Error(Code::wrong_state, name + " has no definition: it was undefined while it runs");
        return domain;
    }
    Tuning do_tuning(const std::string& name, const TunedDevices& devices, TuningOf which,
                     Failure& f) noexcept override {
        return look("tuning", f, [&] {
            auto domain = must_be_tunable(name, which);
            auto found = which == TuningOf::running ? domain.running : domain.definition;
            if (devices.mac.empty()) found.inbound = found.outbound = std::nullopt;
            if (devices.disk.empty()) found.iops.reset();
            return found;
        });
    }
    void do_tune(const std::string& name, const TunedDevices&, Subsystem subsystem, const Tuning& wanted,
                 TuningOf which, Failure& f) noexcept override {
        change("tune", f, [&] {
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
    void do_set_metadata(const std::string& name, const std::string& xml, Failure& f) noexcept override {
        change("set_metadata", f, [&] {
            must_find(name);
            store_.put_xml(name, with_metadata(store_.domain_xml(name), xml));
        });
    }

    std::string do_agent(const std::string& name, const std::string& command, int seconds,
                         std::optional<std::chrono::milliseconds> limit, Failure& f) noexcept override {
        Millis delay = 0;
        auto reply = look("agent", f, [&] {
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
        if (f.failed) return {};
        const auto patience = std::min<std::chrono::milliseconds>(std::chrono::seconds(seconds),
                                                                  limit.value_or(std::chrono::hours(1)));
        std::this_thread::sleep_for(
            std::min<std::chrono::milliseconds>(patience, std::chrono::milliseconds(delay)));
        if (std::chrono::milliseconds(delay) <= patience) return reply;
        f = {true, Code::guest,
             "libvirt cannot ask the guest agent: Guest agent is not responding: Guest agent not available "
             "for now",
             ""};
        return {};
    }

    void do_watch(const std::string& name, Failure& f) noexcept override {
        look("watch", f, [&] {
            watched_ = name;
            kept_.clear();
            position_ = store_.events_end();
            agent_was_up_ = agent_is_up_now();
        });
    }

    Wake do_wait(std::chrono::milliseconds span, Failure& f) noexcept override {
        return guarded(f, [&] {
            for (auto deadline = Deadline::in(span);; std::this_thread::sleep_for(
                     std::min<std::chrono::milliseconds>(poll_period, deadline.left()))) {
                gather();
                if (!kept_.empty()) {
                    auto event = kept_.front();
                    kept_.pop_front();
                    return event;
                }
                if (deadline.passed()) return Wake::timeout;
            }
        });
    }

    bool agent_is_up_now() const {
        auto domain = store_.domain(watched_);
        return domain && agent_is_up(*domain, store_.behaviour());
    }

    void gather() {
        auto entered = store_.enter();
        for (const auto& name : store_.events_since(position_))
            if (name == watched_) kept_.push_back(Wake::lifecycle);
        bool up = !watched_.empty() && agent_is_up_now();
        if (up != agent_was_up_) kept_.push_back(up ? Wake::agent_connected : Wake::agent_disconnected);
        agent_was_up_ = up;
    }

    void do_ensure_pool(const std::string& name, const std::string& xml, Failure& f) noexcept override {
        change("ensure_pool", f, [&] {
            if (!store_.pool_xml(name)) store_.put_pool(name, xml);
        });
    }
    void do_ensure_filter(const std::string& name, const std::string& xml, Failure& f) noexcept override {
        change("ensure_filter", f, [&] { store_.put_filter(name, xml); });
    }
    VolumeView do_create_volume(const std::string& pool, const std::string& xml,
                                Failure& f) noexcept override {
        late_change("create_volume", pool, xml, f);
        if (f.failed) return {};
        return guarded(f, [&] { return view_of(store_.volume_path(pool, xml)); });
    }
    void do_delete_volume(const std::string& path, Failure& f) noexcept override {
        change("delete_volume", f, [&] {
            if (!std::filesystem::exists(path)) return;
            if (!store_.pool_holds(path))
                throw Error(Code::hypervisor,
                            path + " is a file that no active storage pool knows, and stays");
            std::filesystem::remove(path);
        });
    }
    void do_define(const std::string& xml, Failure& f) noexcept override {
        late_change("define", xml, "", f);
    }
    void do_start(const std::string& name, Failure& f) noexcept override {
        late_change("start", name, "", f);
    }

    /// Nothing here ends with the connection: processes come and go, the world stays.
    void do_start_transient(const std::string& xml, Failure& f) noexcept override {
        change("start_transient", f, [&] { store_.start_transient(xml); });
    }

    void do_unpause(const std::string& name, Failure& f) noexcept override {
        change("unpause", f, [&] {
            auto domain = must_find(name);
            if (domain.state == PowerState::running) return;
            if (domain.state != PowerState::paused)
                throw Error(Code::wrong_state, "libvirt cannot resume " + name + ": domain is not paused");
            domain.state = PowerState::running;
            domain.reason = "unpaused";
            store_.put(name, domain);
            store_.tell(name);
        });
    }

    void do_shutdown(const std::string& name, Failure& f) noexcept override {
        change("shutdown", f, [&] {
            auto domain = must_find(name);
            auto behaviour = store_.behaviour();
            if (domain.state != PowerState::running || behaviour.shutdown == "ignores") return;
            domain.ends = millis_now() + behaviour.shutdown_ms;
            store_.put(name, domain);
        });
    }

    void do_power_off(const std::string& name, Failure& f) noexcept override {
        change("power_off", f, [&] { store_.power_off(name, "destroyed"); });
    }
    void do_undefine(const std::string& name, Failure& f) noexcept override {
        change("undefine", f, [&] { store_.undefine(name); });
    }
    void do_remove_pool(const std::string& name, Failure& f) noexcept override {
        change("remove_pool", f, [&] { store_.remove_pool(name); });
    }
    void do_remove_filter(const std::string& name, Failure& f) noexcept override {
        change("remove_filter", f, [&] { store_.remove_filter(name); });
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
