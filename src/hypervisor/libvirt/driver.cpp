/// The libvirt driver: a module that the executable loads at first need, with one exported symbol here
/// (surroundings.cpp has the other).
///
/// Everything libvirt is asked runs on a worker thread, so that each call ends here even when the daemon
/// hangs: looks after 10 s, changes after 2 minutes (libvirt probes QEMU at its first define, and waits for
/// QEMU's end at a kill). A connection that was given up answers nothing more. No exception leaves this file.

#include "hypervisor/load.hpp"

#include "hypervisor/libvirt/agent.hpp"
#include "hypervisor/libvirt/border.hpp"
#include "hypervisor/libvirt/connection.hpp"
#include "hypervisor/libvirt/domains.hpp"
#include "hypervisor/libvirt/events.hpp"
#include "hypervisor/libvirt/figures.hpp"
#include "hypervisor/libvirt/storage.hpp"
#include "hypervisor/libvirt/tuning.hpp"
#include "hypervisor/meanings.hpp"

#include <type_traits>

namespace blockhost::libvirt {
namespace {

using namespace std::chrono_literals;

constexpr auto change_span = 120s;

class Driver final : public Hypervisor {
  public:
    Driver(std::string uri, bool write, std::chrono::milliseconds longest)
        : uri_(std::move(uri)), connection_(open_on(worker_, uri_, write, longest)) {}

    ~Driver() override {
        if (worker_.stuck()) return; // the thread that hangs keeps its share, and nobody waits for it
        Failure ignored;
        guarded(ignored, [&] {
            worker_.run<bool>(2s, [agents = agents_, subscription = std::move(subscription_),
                                   connection = std::move(connection_)]() mutable {
                agents->restore(connection->get());
                subscription.reset();
                connection.reset();
                return true;
            });
        });
    }

  private:
    /// `function(connection, arguments…)` on the worker, within `span`.
    template<class Result, class... Parameters, class... Arguments>
    Result ask(std::chrono::milliseconds span, Failure& f, Result (*function)(virConnectPtr, Parameters...),
               Arguments... arguments) noexcept {
        return guarded(f, [&]() -> Result {
            using Value = std::conditional_t<std::is_void_v<Result>, bool, Result>;
            auto result = run<Value>(span, [connection = connection_, function, arguments...]() -> Value {
                if constexpr (std::is_void_v<Result>)
                    return function(connection->get(), arguments...), true;
                else
                    return function(connection->get(), arguments...);
            });
            if constexpr (!std::is_void_v<Result>) return result;
        });
    }

    template<class Value>
    Value run(std::chrono::milliseconds span, std::function<Value()> function) {
        return answered(worker_, uri_, span, std::move(function));
    }

    std::optional<PowerState> do_state(const std::string& name, Failure& f) noexcept override {
        return ask(look_span, f, domains::state, name);
    }
    std::optional<DomainView> do_find(const std::string& name, Failure& f) noexcept override {
        return ask(look_span, f, domains::find, name);
    }
    std::vector<std::string> do_other_definitions(const std::string& name, Failure& f) noexcept override {
        return ask(look_span, f, domains::other_definitions, name);
    }
    std::vector<DomainState> do_states(Failure& f) noexcept override {
        return ask(look_span, f, domains::states);
    }
    std::vector<DomainUse> do_uses(Failure& f) noexcept override { return ask(look_span, f, domains::uses); }
    std::optional<PoolView> do_find_pool(const std::string& name, Failure& f) noexcept override {
        return ask(look_span, f, storage::find_pool, name);
    }
    std::optional<VolumeView> do_find_volume(const std::string& path, Failure& f) noexcept override {
        return ask(look_span, f, storage::find_volume, path);
    }
    HostView do_host(Failure& f) noexcept override { return ask(look_span, f, domains::host); }
    std::string do_agent(const std::string& name, const std::string& command, int seconds,
                         std::optional<std::chrono::milliseconds> limit, Failure& f) noexcept override {
        return guarded(f, [&] {
            return run<std::string>(limit.value_or(std::chrono::seconds(seconds) + agent_extra),
                                    [connection = connection_, agents = agents_, name, command, seconds] {
                                        return agents->ask(connection->get(), name, command, seconds);
                                    });
        });
    }
    std::vector<DomainStats> do_stats(const std::vector<std::string>& names, std::chrono::milliseconds limit,
                                      Failure& f) noexcept override {
        return ask(limit, f, figures::stats, names);
    }
    Tuning do_tuning(const std::string& name, const TunedDevices& devices, TuningOf which,
                     Failure& f) noexcept override {
        return ask(look_span, f, tuning::read, name, devices, which);
    }

    void do_watch(const std::string& name, Failure& f) noexcept override {
        guarded(f, [&] {
            events_->aim(name);
            if (subscription_) return;
            subscription_ =
                run<std::shared_ptr<Subscription>>(look_span, [connection = connection_, events = events_] {
                    return std::make_shared<Subscription>(connection->get(), events);
                });
        });
    }
    Wake do_wait(std::chrono::milliseconds span, Failure& f) noexcept override {
        return guarded(f, [&] { return events_->next(span); });
    }

    void do_ensure_pool(const std::string& name, const std::string& xml, Failure& f) noexcept override {
        ask(change_span, f, storage::ensure_pool, name, xml);
    }
    void do_ensure_filter(const std::string& name, const std::string& xml, Failure& f) noexcept override {
        ask(change_span, f, domains::ensure_filter, name, xml);
    }
    VolumeView do_create_volume(const std::string& pool, const std::string& xml,
                                Failure& f) noexcept override {
        return ask(change_span, f, storage::create_volume, pool, xml);
    }
    void do_delete_volume(const std::string& path, Failure& f) noexcept override {
        ask(change_span, f, storage::delete_volume, path);
    }
    void do_define(const std::string& xml, Failure& f) noexcept override {
        ask(change_span, f, domains::define, xml);
    }
    void do_start(const std::string& name, Failure& f) noexcept override {
        ask(change_span, f, domains::start, name);
    }
    void do_start_transient(const std::string& xml, Failure& f) noexcept override {
        ask(change_span, f, domains::start_transient, xml);
    }
    void do_unpause(const std::string& name, Failure& f) noexcept override {
        ask(change_span, f, domains::unpause, name);
    }
    void do_shutdown(const std::string& name, Failure& f) noexcept override {
        ask(change_span, f, domains::shutdown, name);
    }
    void do_power_off(const std::string& name, Failure& f) noexcept override {
        ask(change_span, f, domains::power_off, name);
    }
    void do_undefine(const std::string& name, Failure& f) noexcept override {
        ask(change_span, f, domains::undefine, name);
    }
    void do_tune(const std::string& name, const TunedDevices& devices, Subsystem subsystem,
                 const Tuning& wanted, TuningOf which, Failure& f) noexcept override {
        ask(change_span, f, tuning::set, name, devices, subsystem, wanted, which);
    }
    void do_set_metadata(const std::string& name, const std::string& xml, Failure& f) noexcept override {
        ask(change_span, f, domains::set_metadata, name, xml);
    }
    void do_remove_pool(const std::string& name, Failure& f) noexcept override {
        ask(change_span, f, storage::remove_pool, name);
    }
    void do_remove_filter(const std::string& name, Failure& f) noexcept override {
        ask(change_span, f, domains::remove_filter, name);
    }

    std::string uri_;
    Worker worker_;
    std::shared_ptr<Events> events_ = std::make_shared<Events>();
    std::shared_ptr<Agents> agents_ = std::make_shared<Agents>(); ///< the worker's only
    std::shared_ptr<Connection> connection_;
    std::shared_ptr<Subscription> subscription_; ///< made by the first watch()
};

} // namespace
} // namespace blockhost::libvirt

extern "C" __attribute__((visibility("default"))) blockhost::Hypervisor*
blockhost_make_hypervisor(const char* uri, bool write, int longest_seconds, blockhost::Failure* failure) {
    return blockhost::libvirt::guarded(*failure, [&]() -> blockhost::Hypervisor* {
        return new blockhost::libvirt::Driver(uri, write, std::chrono::seconds(longest_seconds));
    });
}
