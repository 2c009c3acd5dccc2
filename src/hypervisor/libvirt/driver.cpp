// SPDX-License-Identifier: MIT
/// The libvirt driver: a module that the executable loads at first need, with one exported symbol.
///
/// Everything libvirt is asked runs on a worker thread, so that each call ends here even when the daemon
/// hangs. A connection that was given up answers nothing more. No exception leaves this file.

#include "hypervisor/module_interface.hpp"

#include "hypervisor/libvirt/agent.hpp"
#include "hypervisor/libvirt/backups.hpp"
#include "hypervisor/libvirt/border.hpp"
#include "hypervisor/libvirt/connection.hpp"
#include "hypervisor/libvirt/domains.hpp"
#include "hypervisor/libvirt/events.hpp"
#include "hypervisor/libvirt/layers.hpp"
#include "hypervisor/libvirt/stats.hpp"
#include "hypervisor/libvirt/storage.hpp"
#include "hypervisor/libvirt/surroundings.hpp"
#include "hypervisor/libvirt/tuning.hpp"

#include <type_traits>

namespace blockhost::libvirt {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

extern const ModuleCalls all_calls;

class Driver final : public ModuleConnection {
  public:
    Driver(std::string uri, bool write, milliseconds longest)
        : ModuleConnection(all_calls), uri_(std::move(uri)),
          connection_(open_on(worker_, uri_, write, longest)) {}

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

    /// `function(connection, arguments…)` on the worker, within `span`. Throws Failed.
    template<class Result, class... Parameters, class... Arguments>
    Result ask(milliseconds span, Result (*function)(virConnectPtr, Parameters...), Arguments... arguments) {
        using Value = std::conditional_t<std::is_void_v<Result>, bool, Result>;
        auto result = run<Value>(span, [connection = connection_, function, arguments...]() -> Value {
            if constexpr (std::is_void_v<Result>)
                return function(connection->get(), arguments...), true;
            else
                return function(connection->get(), arguments...);
        });
        if constexpr (!std::is_void_v<Result>) return result;
    }

    std::string agent(milliseconds span, const std::string& name, const std::string& command, int seconds) {
        return run<std::string>(span, [connection = connection_, agents = agents_, name, command, seconds] {
            return agents->ask(connection->get(), name, command, seconds);
        });
    }
    void watch(milliseconds span, const std::string& name) {
        events_->aim(name);
        if (subscription_) return;
        subscription_ =
            run<std::shared_ptr<Subscription>>(span, [connection = connection_, events = events_] {
                return std::make_shared<Subscription>(connection->get(), events);
            });
    }
    Wake wait(milliseconds span) { return events_->next(span); }

  private:
    template<class Value>
    Value run(milliseconds span, std::function<Value()> function) {
        return answered(worker_, uri_, span, std::move(function));
    }

    std::string uri_;
    Worker worker_;
    std::shared_ptr<Events> events_ = std::make_shared<Events>();
    std::shared_ptr<Agents> agents_ = std::make_shared<Agents>(); ///< the worker's only
    std::shared_ptr<Connection> connection_;
    std::shared_ptr<Subscription> subscription_; ///< made by the first watch()
};

/// A function of one connection, or of the driver, as a ModuleCall.
template<auto function>
struct Called;
template<class Result, class... Parameters, Result (*function)(virConnectPtr, Parameters...)>
struct Called<function> {
    static Result call(ModuleConnection& on, milliseconds span, Failure& failure,
                       Parameters... arguments) noexcept {
        return guarded(
            failure, [&]() -> Result { return static_cast<Driver&>(on).ask(span, function, arguments...); });
    }
};
template<class Result, class... Parameters, Result (Driver::*function)(milliseconds, Parameters...)>
struct Called<function> {
    static Result call(ModuleConnection& on, milliseconds span, Failure& failure,
                       Parameters... arguments) noexcept {
        return guarded(failure,
                       [&]() -> Result { return (static_cast<Driver&>(on).*function)(span, arguments...); });
    }
};
template<auto function>
constexpr auto called = Called<function>::call;

const ModuleCalls all_calls{
    .power = called<domains::power>,
    .disk_trouble = called<domains::disk_trouble>,
    .undefined = called<domains::undefined>,
    .find = called<domains::find>,
    .other_definitions = called<domains::other_definitions>,
    .states = called<domains::states>,
    .uses = called<domains::uses>,
    .find_pool = called<storage::find_pool>,
    .find_volume = called<storage::find_volume>,
    .host = called<domains::host>,
    .agent = called<&Driver::agent>,
    .stats = called<figures::stats>,
    .block_job = called<layers::block_job>,
    .tuning = called<tuning::read>,
    .backup_under_way = called<backups::under_way>,
    .checkpoints = called<backups::checkpoints>,
    .watch = called<&Driver::watch>,
    .wait = called<&Driver::wait>,

    .ensure_pool = called<storage::ensure_pool>,
    .ensure_filter = called<domains::ensure_filter>,
    .create_volume = called<storage::create_volume>,
    .delete_volume = called<storage::delete_volume>,
    .define = called<domains::define>,
    .redefine = called<domains::redefine>,
    .start = called<domains::start>,
    .start_transient = called<domains::start_transient>,
    .unpause = called<domains::unpause>,
    .shutdown = called<domains::shutdown>,
    .power_off = called<domains::power_off>,
    .undefine = called<domains::undefine>,
    .tune = called<tuning::set>,
    .set_interface = called<domains::set_interface>,
    .bind_filter = called<domains::bind_filter>,
    .set_metadata = called<domains::set_metadata>,
    .configure = called<domains::configure>,
    .grow_disk = called<storage::grow_disk>,
    .begin_backup = called<backups::begin>,
    .end_backup = called<backups::end>,
    .delete_checkpoint = called<backups::delete_checkpoint>,
    .restore_checkpoint = called<backups::restore_checkpoint>,
    .set_disk = called<layers::set_disk>,
    .add_layer = called<layers::add_layer>,
    .commit_layer = called<layers::commit_layer>,
    .end_block_job = called<layers::end_block_job>,
    .remove_pool = called<storage::remove_pool>,
    .remove_filter = called<domains::remove_filter>,

    .networks = called<surroundings::networks>,
    .retire_network = called<surroundings::retire_network>,
    .pool_is_settled = called<surroundings::pool_is_settled>,
};

} // namespace
} // namespace blockhost::libvirt

extern "C" __attribute__((visibility("default"))) blockhost::ModuleConnection*
blockhost_open_libvirt(const char* uri, bool write, int longest_seconds, blockhost::Failure* failure) {
    return blockhost::libvirt::guarded(*failure, [&]() -> blockhost::ModuleConnection* {
        return new blockhost::libvirt::Driver(uri, write, std::chrono::seconds(longest_seconds));
    });
}
