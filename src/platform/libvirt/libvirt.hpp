// SPDX-License-Identifier: MIT
#pragma once
/// This host's libvirt as a platform: the VMs of this instance. Every change is one of this program's
/// operations, so that its steps, its journal and its state machine do the work.

#include "platform/platform.hpp"
#include "vm/context.hpp"

#include <map>
#include <mutex>
#include <thread>

namespace blockhost::platform {

/// A guest's id is its VM's name, its incarnation "uuid:" and its domain's uuid. A note is the id of the
/// operation to come; a handle is the kind of action, the VM's name and that id, separated by blanks. Actions
/// run in threads of this object, each with a connection of its own.
class Libvirt final : public Platform {
  public:
    Libvirt(Paths paths, Reality reality);
    /// Waits for the actions that run.
    ~Libvirt() override;

    Host host() override;
    std::vector<Lack> preflight() override;
    /// As LibvirtReading tells them.
    Guests guests() override;
    std::optional<Guest> guest(const GuestId& id) override;
    /// libvirt's reason of the state tells, and this host's own records: who stopped it by a verb, whose time
    /// is over. A libvirtd that was started anew has forgotten the reason.
    Outage outage(const Guest& guest, bool seen_running) override;
    std::unique_ptr<Reading> read() override;
    std::optional<Error> misfit(const GuestId& id, Kind kind) const override;
    /// Snapshots and backups are not built for libvirt, and of a configuration it has no name, start at boot
    /// or protection of its own.
    std::optional<Error> refusal(const Action& action, Kind kind) const override;
    /// Error{invalid} for what `refusal` refuses.
    Note note(const Target& target, const Action& action) override;
    Trace trace(const Target& target, const Action& action, const Note& note) override;
    /// Finishes what a dead process left of the operation, in its direction.
    ActionState look(const Handle& handle) override;
    /// Asks the operation to give up, as destroy does.
    void interrupt(const Handle& handle) override;

  private:
    void begin_permitted(const Permit& permit, const Note& note,
                         const std::function<void(const Handle&)>& accepted) override;
    struct Running {
        std::thread thread;
        std::optional<ActionState> end;
    };
    void start_thread(const Target& target, const Action& action, const OperationId& operation,
                      const Handle& handle);
    void let_go();
    void run(const Target& target, const Action& action, const OperationId& operation, const Handle& handle);

    Paths paths_;
    Reality reality_;
    Silence silence_;
    std::mutex mutex_; ///< of running_
    std::map<Handle, Running> running_;
};

} // namespace blockhost::platform
