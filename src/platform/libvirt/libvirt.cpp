// SPDX-License-Identifier: MIT
#include "platform/libvirt/libvirt.hpp"

#include "base/exceptions.hpp"
#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "hypervisor/xml/metadata.hpp"
#include "operations/configure.hpp"
#include "operations/create.hpp"
#include "operations/destroy.hpp"
#include "operations/power.hpp"
#include "operations/recover.hpp"
#include "operations/resume.hpp"
#include "platform/libvirt/reading.hpp"
#include "safety/start.hpp"
#include "vm/observation.hpp"

#include <algorithm>
#include <sys/utsname.h>
#include <system_error>

namespace blockhost::platform {

namespace {

using Phase = ActionState::Phase;

/// What libvirt's reason says of a domain that is off.
Outage outage_of(const DomainView& domain) {
    using Cause = Outage::Cause;
    if (domain.state == PowerState::crashed) return {Cause::crash, "its guest panicked, libvirt says"};
    if (domain.state != PowerState::off) return {Cause::unknown, "it is not off any more"};
    struct Row {
        std::string_view reason, why;
        Cause cause;
    };
    static constexpr Row table[]{
        {"crashed", "it crashed, libvirt says", Cause::crash},
        {"failed", "its last start failed, libvirt says", Cause::crash},
        {"daemon", "libvirtd ended it when it found it again", Cause::crash},
        {"shutdown", "it was shut down, from inside or by a press of its power button", Cause::on_purpose},
        {"destroyed", "somebody forced it off", Cause::on_purpose},
        {"migrated", "it was moved to another host", Cause::on_purpose},
        {"saved", "its memory was saved to disk", Cause::on_purpose},
        {"from snapshot", "it was reverted to a snapshot that is off", Cause::on_purpose},
    };
    for (const Row& row : table)
        if (row.reason == domain.reason) return {row.cause, std::string(row.why)};
    return {Cause::unknown, "libvirt does not know why: it was not on since the daemon was started"};
}

/// What a handle says.
struct Ref {
    ActionKind kind;
    VmName name;
    OperationId operation;
};

Handle handle_of(ActionKind kind, const VmName& name, const OperationId& operation) {
    return std::string(to_string(kind)) + " " + name.str() + " " + operation.str();
}

Ref read_handle(const Handle& handle) {
    const auto words = text::split(handle, ' ');
    if (words.size() == 3) {
        const auto kind = action_kind(words[0]);
        const auto name = VmName::try_parse(words[1]);
        const auto operation = OperationId::try_parse(words[2]);
        if (kind && name && operation) return {*kind, *name, *operation};
    }
    throw Error(Code::invalid, text::printable(handle) + " is no handle of an operation",
                "it is three words: the action, the VM's name, the operation's id");
}

/// Whether the guest of that name is what that create made: somebody else may have taken the name.
bool was_made_by(World& world, const VmName& name, const OperationId& operation) {
    const Observation seen = observe(world, name);
    const auto mark = seen.domain ? read_mark(seen.domain->xml) : std::nullopt;
    return mark && mark->operation == operation.str();
}

OperationId operation_in(const Note& note) {
    const auto operation = OperationId::try_parse(note);
    if (!operation) throw Error(Code::internal, "no note of an operation: " + text::printable(note));
    return *operation;
}

bool is_built(ActionKind kind) {
    switch (kind) {
    case ActionKind::start:
    case ActionKind::stop:
    case ActionKind::resume:
    case ActionKind::set_config:
    case ActionKind::grow:
    case ActionKind::create:
    case ActionKind::destroy:
        return true;
    default:
        return false;
    }
}

std::string detail(const GuestConfig& config, const std::string& key, std::string_view otherwise) {
    const auto found = config.details.find(key);
    return found == config.details.end() ? std::string(otherwise) : found->second;
}

/// Why no guest is made so; nothing: nothing speaks against it.
std::optional<Error> refusal_of(const Create& create) {
    const GuestConfig& config = create.config;
    if (!create.source.empty())
        return Error(Code::invalid,
                     "a new guest is made of the current template, not of " + text::printable(create.source),
                     "leave the source out");
    if (!config.description.empty() || !config.tags.empty() || config.start_on_boot || config.is_protected)
        return Error(Code::invalid,
                     "libvirt's guests have no description, tags, start at boot or protection yet",
                     "leave them out");
    for (const auto& [key, value] : config.details)
        if (key != "owner_wallet" && key != "username" && key != "ssh_key")
            return Error(Code::invalid, "a new guest cannot be given " + text::printable(key),
                         "it takes owner_wallet, username and ssh_key");
    if (!config.details.contains("owner_wallet"))
        return Error(Code::invalid, "a new guest has an owner, and none is named", "give an owner_wallet");
    return std::nullopt;
}

operations::CreateRequest request_of(World& world, const VmName& name, const Create& create) {
    const GuestConfig& config = create.config;
    if (const auto refusal = refusal_of(create)) throw Error(*refusal);
    const EngineManifest engine = read_engine_manifest(world.paths);
    operations::CreateRequest request{
        .vm = {.name = name,
               .wallet = Wallet(detail(config, "owner_wallet", ""), engine.address_pattern),
               .username = Username(detail(config, "username", "admin")),
               .nft_token_id = {}},
        .user_data = {},
        .ssh_key = detail(config, "ssh_key", "")};
    if (config.cpus) request.vm.cpus = *config.cpus;
    if (config.memory_mib) request.vm.memory_mib = *config.memory_mib;
    constexpr std::int64_t gib = 1024;
    if (config.disk_mib) request.vm.disk_gib = (*config.disk_mib + gib - 1) / gib;
    return request;
}

DomainSettings settings_of(const SetConfig& set) {
    DomainSettings settings{.memory_mib = set.memory_mib, .tags = set.tags};
    if (set.cpus) settings.cpus = *set.cpus;
    if (set.description) settings.description = normal_description(*set.description);
    return settings;
}

/// Why no guest is configured so; nothing: nothing speaks against it.
std::optional<Error> refusal_of(const SetConfig& set) {
    if (set.name)
        return Error(Code::invalid, "a VM's name under libvirt is what it is known by, and stays",
                     "make a new VM under another name");
    if (set.start_on_boot)
        return Error(Code::invalid,
                     "libvirt's guests have no start at boot of their own: each that was not stopped on "
                     "purpose is started",
                     "leave start_on_boot out, and say with power whether it is to run");
    if (set.is_protected)
        return Error(Code::invalid, "libvirt's guests have no protection of their own",
                     "leave it out: nobody destroys one for a desired state without a signature");
    return refusal_of(settings_of(set));
}

/// Carries an action out, to its end; what is worth knowing of it goes to `warnings`. Throws what it fails
/// with.
struct Do {
    World& world;
    const VmName& name;
    const OperationId& operation;
    std::vector<std::string>& warnings;

    void operator()(const Start&) const { operations::start(world, name); }
    void operator()(const Stop& stop) const {
        if (stop.patience.count() > 0 &&
            operations::stop(world, name, stop.patience) != operations::Stopped::still_running)
            return;
        if (!stop.force && stop.patience.count() == 0)
            throw Error(Code::invalid, "a stop needs time, or force", "give it some seconds of patience");
        if (!stop.force)
            throw Error(Code::guest, name.str() + " did not shut down within its time", "force it off");
        world.chosen_operation = operation; // the stop's is over: who looks finds the kill
        operations::kill(world, name);
    }
    void operator()(const Resume&) const {
        const auto record = world.registry.read().find(name);
        if (record && record->status == RecordStatus::suspended)
            operations::resume(world, {.name = name, .extend_days = {}});
        else
            operations::start(world, name);
    }
    void operator()(const SetConfig& set) const {
        if (operations::configure(world,
                                  {.name = name, .settings = settings_of(set), .seen_digest = set.digest})
                .waits_for_start)
            warnings.push_back(name.str() + " has its new CPUs and memory from its next start on");
    }
    void operator()(const Grow& grow) const {
        operations::configure(world, {.name = name, .disk_mib = grow.disk_mib});
    }
    void operator()(const Create& create) const {
        operations::create(world, request_of(world, name, create), [](const operations::CreateResult&) {});
    }
    void operator()(const Destroy&) const { operations::destroy(world, name); }
    template<class Other>
    void operator()(const Other&) const {
        throw Error(Code::internal, "an action that is not built for libvirt");
    }
};

/// Whether the guest is in the power state that such an action ends in.
bool has_power_of(const Guest& guest, ActionKind kind) {
    if (kind == ActionKind::stop) return guest.power == Power::stopped;
    return (kind == ActionKind::start || kind == ActionKind::resume) && guest.power == Power::running;
}

bool has_settings_of(const GuestConfig& config, const SetConfig& set) {
    return (!set.cpus || config.cpus == set.cpus) &&
           (!set.memory_mib || config.memory_mib == set.memory_mib) &&
           (!set.description || config.description == normal_description(*set.description)) &&
           (!set.tags || config.tags == *set.tags);
}

/// Whether the guest, which is the one that was meant, is as nothing but the action would have left it.
bool is_as_after(const Guest& guest, const Action& action) {
    if (const auto* set = std::get_if<SetConfig>(&action))
        return guest.config && has_settings_of(*guest.config, *set);
    if (const auto* grow = std::get_if<Grow>(&action))
        return guest.config && guest.config->disk_mib >= grow->disk_mib;
    return has_power_of(guest, kind_of(action));
}

ActionState failed(const Error& error) {
    ActionState state;
    state.phase = Phase::failed;
    state.error = error;
    return state;
}

} // namespace

Libvirt::Libvirt(Paths paths, Reality reality) : paths_(std::move(paths)), reality_(reality) {}

Libvirt::~Libvirt() {
    for (auto& [handle, running] : running_)
        if (running.thread.joinable()) running.thread.join();
}

Host Libvirt::host() {
    World world(paths_, reality_, Intent::look, silence_);
    const HostView view = world.hypervisor().host();
    Host host;
    host.platform = "libvirt";
    utsname names{};
    if (uname(&names) == 0) {
        host.name = names.nodename;
        host.kernel = std::string(names.sysname) + " " + names.release;
    }
    host.memory_mib = static_cast<std::int64_t>(view.memory_mib);
    host.cpus = static_cast<int>(view.cpus);
    return host;
}

std::vector<Lack> Libvirt::preflight() {
    return {};
}

Guests Libvirt::guests() {
    return LibvirtReading(paths_, reality_, silence_).guests();
}

std::optional<Guest> Libvirt::guest(const GuestId& id) {
    return read()->guest(id);
}

std::unique_ptr<Reading> Libvirt::read() {
    return std::make_unique<LibvirtReading>(paths_, reality_, silence_);
}

Outage Libvirt::outage(const Guest& guest, bool) {
    World world(paths_, reality_, Intent::look, silence_);
    const VmName name(guest.id);
    const Observation seen = observe(world, name);
    if (!seen.record || !seen.domain || incarnation_of(seen.domain->uuid) != guest.incarnation)
        return {Outage::Cause::unknown, "it is not the one that was looked at any more"};
    const bool should_run = seen.record->status == RecordStatus::active;
    if (safety::is_kept_off(world, name))
        return {Outage::Cause::on_purpose, "an operator stopped it", should_run};
    if (seen.record->expires_at && *seen.record->expires_at <= now())
        return {Outage::Cause::on_purpose, "its time is over", should_run};
    Outage outage = outage_of(*seen.domain);
    outage.should_run = should_run;
    return outage;
}

std::optional<Error> Libvirt::misfit(const GuestId& id, Kind kind) const {
    if (!VmName::try_parse(id)) return Error(Code::invalid, text::printable(id, 80) + " is no VM's name");
    if (kind == Kind::container)
        return Error(Code::invalid, id + " is wanted as a container, and libvirt's guests are VMs");
    return std::nullopt;
}

std::optional<Error> Libvirt::refusal(const Action& action, Kind) const {
    if (!is_built(kind_of(action)))
        return Error(Code::invalid,
                     "libvirt's guests have no action " + std::string(to_string(kind_of(action))) + " yet",
                     "the platform can start, stop, resume, set-config, grow, create and destroy");
    if (const auto* create = std::get_if<Create>(&action)) return refusal_of(*create);
    if (const auto* set = std::get_if<SetConfig>(&action)) return refusal_of(*set);
    return std::nullopt;
}

Note Libvirt::note(const Target& target, const Action& action) {
    if (const auto refused = refusal(action, Kind::vm)) throw Error(*refused);
    static_cast<void>(VmName(target.guest));
    const World world(paths_, reality_, Intent::change, silence_);
    return OperationId::make(world.instance).str();
}

void Libvirt::begin_permitted(const Permit& permit, const Note& note,
                              const std::function<void(const Handle&)>& accepted) {
    const Target& target = permit.target();
    const Action& action = permit.action();
    const OperationId operation = operation_in(note);
    const VmName name(target.guest);
    const auto guest = this->guest(target.guest);
    if (!std::holds_alternative<Create>(action)) {
        if (!guest) throw Error(Code::not_found, "there is no guest " + name.str());
        if (target.incarnation.empty() || guest->incarnation != target.incarnation)
            throw Error(Code::wrong_state,
                        "guest " + name.str() + " is not the one that is meant: it was made anew since",
                        "look at it, and decide again");
    } else if (guest) {
        throw Error(Code::exists, "there is a guest " + name.str() + " already", "choose another name");
    }
    if (std::holds_alternative<Destroy>(action) && guest->power != Power::stopped)
        throw Error(Code::wrong_state, "the guest runs", "stop it first");
    const Handle handle = handle_of(kind_of(action), name, operation);
    {
        const std::lock_guard lock(mutex_);
        let_go();
        const auto [place, is_new] = running_.try_emplace(handle);
        if (!is_new) throw Error(Code::internal, "a note serves one action");
    }
    std::exception_ptr thrown;
    try {
        accepted(handle);
    } catch (...) {
        thrown = std::current_exception(); // the action goes on all the same
    }
    start_thread(target, action, operation, handle);
    if (thrown) std::rethrow_exception(thrown);
}

void Libvirt::start_thread(const Target& target, const Action& action, const OperationId& operation,
                           const Handle& handle) {
    const std::lock_guard lock(mutex_);
    try {
        running_[handle].thread = std::thread(
            [this, target, action, operation, handle] { run(target, action, operation, handle); });
    } catch (const std::system_error& error) {
        running_[handle].end = failed(Error(Code::io, std::string("no thread can be made: ") + error.what(),
                                            "nothing was begun: try again later"));
    }
}

/// A thread that stored its end needs nothing any more. Of many ends some are kept.
void Libvirt::let_go() {
    constexpr std::size_t most = 256;
    for (auto each = running_.begin(); each != running_.end();) {
        if (each->second.end && each->second.thread.joinable()) each->second.thread.join();
        const bool is_over = each->second.end && running_.size() > most;
        each = is_over ? running_.erase(each) : std::next(each);
    }
}

void Libvirt::run(const Target& target, const Action& action, const OperationId& operation,
                  const Handle& handle) {
    const VmName name(target.guest);
    ActionState end;
    end.phase = Phase::done;
    try {
        World world(paths_, reality_, Intent::change, silence_);
        world.chosen_operation = operation;
        world.meant_domain = uuid_of(target.incarnation); // looked at above, but somebody may be faster
        std::visit(Do{world, name, operation, end.warnings}, action);
    } catch (const std::exception& error) {
        end = failed(as_error(error));
    }
    end.guest = name.str();
    const std::lock_guard lock(mutex_);
    running_[handle].end = std::move(end);
}

Trace Libvirt::trace(const Target& target, const Action& action, const Note& note) {
    const OperationId operation = operation_in(note);
    const VmName name(target.guest);
    World world(paths_, reality_, Intent::look, silence_);
    Trace trace;
    trace.guest = name.str();
    trace.handle = handle_of(kind_of(action), name, operation);
    bool begun = false;
    {
        const std::lock_guard lock(mutex_);
        begun = running_.contains(trace.handle);
    }
    if (const auto entry = world.journal.peek(name); entry && entry->operation == operation) begun = true;
    if (begun || world.journal.was_rolled_back(operation)) {
        trace.kind = Trace::Kind::begun;
        return trace;
    }
    trace.handle.clear();
    const auto guest = this->guest(name.str());
    const bool same = guest && guest->incarnation == target.incarnation;
    const bool done = std::holds_alternative<Destroy>(action)  ? !guest
                      : std::holds_alternative<Create>(action) ? was_made_by(world, name, operation)
                                                               : same && is_as_after(*guest, action);
    if (done) trace.kind = Trace::Kind::done;
    return trace;
}

ActionState Libvirt::look(const Handle& handle) {
    const Ref ref = read_handle(handle);
    ActionState state;
    state.guest = ref.name.str();
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = running_.find(handle); found != running_.end())
            return found->second.end.value_or(state);
    }
    World world(paths_, reality_, Intent::change, silence_);
    const auto entry = world.journal.peek(ref.name);
    const bool is_open = entry && entry->operation == ref.operation;
    if (is_open && world.journal.held(ref.name)) return state;
    const operations::Direction direction =
        is_open ? operations::operation_of(entry->verb).direction : operations::Direction::abandon;
    if (is_open)
        for (const operations::Recovery& recovery :
             operations::recover(world, ref.name, operations::Mode::act)) {
            if (recovery.owner_alive) return state;
            if (!recovery.failure.empty())
                throw Error(Code::hypervisor_down,
                            "what a dead process left cannot be finished now: " + recovery.failure,
                            "look again later, or run 'blockhost-libvirt recover'");
        }
    if (world.journal.was_rolled_back(ref.operation))
        return failed(Error(Code::interrupted, "its process died, and what it had made was removed"));
    // Of these the guest tells, since recovery leaves one alone that is another one by now.
    const bool guest_tells = ref.kind == ActionKind::set_config || ref.kind == ActionKind::grow;
    if (is_open && direction == operations::Direction::roll_forward && !guest_tells) {
        state.phase = Phase::done;
        return state;
    }
    const auto guest = is_open ? this->guest(ref.name.str()) : std::nullopt;
    if (guest && has_power_of(*guest, ref.kind)) {
        state.phase = Phase::done;
        state.warnings.emplace_back("its process died: the guest is as it would be afterwards");
        return state;
    }
    state.phase = Phase::unknown;
    state.detail = is_open ? "its process died" : "nothing is left of it";
    return state;
}

void Libvirt::interrupt(const Handle& handle) {
    constexpr std::chrono::milliseconds asking(300), between(20);
    constexpr std::chrono::seconds beginning(10);
    const Ref ref = read_handle(handle);
    const World world(paths_, reality_, Intent::change, silence_);
    const auto runs_here = [&] {
        const std::lock_guard lock(mutex_);
        const auto found = running_.find(handle);
        return found != running_.end() && !found->second.end;
    };
    // One that was begun just now may not be in the journal yet.
    for (const auto deadline = Deadline::in(beginning);; pause_for(between)) {
        const auto entry = world.journal.peek(ref.name);
        if (entry && entry->operation == ref.operation) break;
        if (!runs_here() || deadline.passed()) return;
    }
    try {
        world.journal.take(ref.name, Journal::Manner::ask_to_give_up, Deadline::in(asking), Interruption());
    } catch (const Error& error) {
        if (error.code() != Code::busy) throw; // it was asked
    }
}

} // namespace blockhost::platform
