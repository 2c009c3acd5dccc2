// SPDX-License-Identifier: MIT
#include "agent/backups/guest_restore.hpp"

#include "base/text/text.hpp"
#include "platform/proxmox/guest_config.hpp"

#include <algorithm>

namespace blockhost::agent {

using execution::Operation;
using execution::State;
using platform::Guest;
using platform::Power;
using platform::Target;

namespace {

Error end_of(const Operation& operation) {
    if (operation.error) return *operation.error;
    return Error(Code::no_answer,
                 "operation " + operation.id + " is " + std::string(to_string(operation.state)) + ": " +
                     text::printable(operation.detail),
                 "look with 'blockhost-libvirt operations " + operation.id + "'");
}

Target target_of(const Guest& guest) {
    return {guest.id, guest.incarnation};
}

Guest require_guest(Engine& engine, const platform::GuestId& id) {
    auto guest = engine.platform().guest(id);
    if (!guest)
        throw Error(Code::not_found, "there is no guest " + text::printable(id),
                    "leave out --swap: the backup is then restored to a new guest");
    if (!guest->lock.empty())
        throw Error(Code::wrong_state,
                    "guest " + guest->id + " is locked for " + text::printable(guest->lock),
                    "wait until that is over; nothing is changed");
    return std::move(*guest);
}

/// Throws where the place knows that nothing whole comes of it.
void require_sound(const platform::StoredBackup& backup) {
    if (backup.verified == false)
        throw Error(Code::wrong_state,
                    text::printable(backup.id) + " is damaged: its place verified it, and failed",
                    "restore another one: 'blockhost-libvirt backup list' shows the verdicts");
    if (backup.guest.empty())
        throw Error(Code::invalid, text::printable(backup.id) + " is no backup of a guest",
                    "'blockhost-libvirt backup list' shows those that are");
}

/// Why a guest that was made is not what its backup says; empty: it is.
std::string difference(const Guest& made, const platform::StoredBackup& backup,
                       const platform::GuestConfig& archived) {
    if (made.kind != backup.kind) return "it is of another kind";
    if (made.power != Power::stopped) return "it is not off";
    if (!made.config) return "its configuration cannot be read";
    if (made.config->start_on_boot) return "it would start by itself";
    if (archived.memory_mib && made.config->memory_mib != archived.memory_mib) return "it has other memory";
    if (archived.disk_mib && made.config->disk_mib != archived.disk_mib) return "it has another disk";
    return "";
}

RestoredGuest make(Engine& engine, const platform::StoredBackup& backup, const platform::GuestId& id,
                   platform::GuestConfig config, const StepTalk& talk) {
    require_sound(backup);
    const platform::GuestConfig archived = require_keeper(engine.platform()).config_in(backup);
    talk.stage("restoring " + text::printable(backup.id) + " to a new guest");
    const Operation operation =
        carry_out_step(engine,
                       {.source = {execution::Source::Kind::shell, talk.requester},
                        .target = {id, ""},
                        .action = platform::Create{.source = backup.id, .config = std::move(config)}},
                       talk.check);
    const auto made = engine.platform().guest(operation.made.guest);
    const std::string wrong = made ? difference(*made, backup, archived) : "it is gone";
    if (!wrong.empty()) {
        const std::string left = take_back(engine, operation.id, talk.check);
        throw Error(Code::hypervisor,
                    "guest " + operation.made.guest + ", made of " + text::printable(backup.id) +
                        ", is not what the backup says: " + wrong,
                    left.empty() ? "it was taken back; look at the backup" : left);
    }
    return {*made, operation.id, operation.warnings};
}

/// What a swap has done so far, to be put back.
class Swap {
  public:
    Swap(Engine& engine, const SwapWish& wish, const StepTalk& talk)
        : engine_(engine), wish_(wish), talk_(talk), old_(require_guest(engine, wish.backup.guest)),
          was_running_(old_.power == Power::running), check_(talk.check) {
        if (!old_.config || old_.incarnation.empty())
            throw Error(Code::wrong_state,
                        "guest " + old_.id + " cannot be read, or cannot be told from a later one of its id",
                        "leave out --swap: the backup is then restored to a new guest");
        if (old_.kind != wish.backup.kind)
            throw Error(Code::wrong_state, "guest " + old_.id + " is of another kind than the backup",
                        "leave out --swap: the backup is then restored to a new guest");
    }

    SwappedGuest run() {
        platform::GuestConfig network;
        for (const auto& [key, value] : old_.config->details)
            if (platform::proxmox::is_network_device(key)) network.details.emplace(key, value);
        SwappedGuest done{make(engine_, wish_.backup, "", std::move(network), talk_), old_.id, false, {}};
        try {
            replace(done);
        } catch (const Error& error) {
            throw put_back(done, error);
        }
        if (wish_.destroy_old) destroy_old(done);
        done.made.guest = engine_.platform().guest(done.made.guest.id).value_or(done.made.guest);
        return done;
    }

  private:
    void replace(SwappedGuest& done) {
        if (was_running_) {
            talk_.stage("switching guest " + old_.id + " off");
            step(target_of(old_), platform::Stop{.patience = std::chrono::minutes(3), .force = true});
        }
        auto tags = old_.config->tags;
        tags.insert(std::string(replaced_tag));
        change_old(false, tags);
        const bool starts_by_itself = old_.config->start_on_boot;
        if (starts_by_itself) {
            platform::SetConfig change;
            change.digest = done.made.guest.digest;
            change.start_on_boot = true;
            step(target_of(done.made.guest), change, done.made.operation);
        }
        if (!was_running_ || wish_.then == SwapWish::Then::stay_off) return;
        talk_.stage("starting guest " + done.made.guest.id);
        step(target_of(done.made.guest), platform::Start{}, done.made.operation);
        done.runs = true;
    }

    void step(const Target& target, platform::Action action, const execution::Id& after = {}) {
        carry_out_step(engine_,
                       {.source = {execution::Source::Kind::shell, talk_.requester},
                        .target = target,
                        .action = std::move(action),
                        .after = after},
                       check_);
    }

    void change_old(bool starts_by_itself, const std::set<std::string>& tags) {
        const auto now = engine_.platform().guest(old_.id);
        platform::SetConfig change;
        change.digest = now ? now->digest : old_.digest;
        change.start_on_boot = starts_by_itself;
        change.tags = tags;
        step(target_of(old_), change);
    }

    /// The error to throw: the first one, and what could not be put back.
    Error put_back(const SwappedGuest& done, const Error& error) {
        check_ = [] {}; // a signal ends the swap, and not what it owes the old guest
        std::vector<std::string> left;
        const auto mend = [&](const std::string& what, const std::function<void()>& act) {
            try {
                act();
            } catch (const Error& failed) {
                left.push_back(what + ": " + failed.message());
            }
        };
        talk_.stage("putting guest " + old_.id + " back");
        mend("the new guest " + done.made.guest.id + " stays", [&] {
            if (const std::string why = take_back(engine_, done.made.operation, check_); !why.empty())
                throw Error(Code::wrong_state, why);
        });
        mend("guest " + old_.id + " is not as it was", [&] {
            const auto now = engine_.platform().guest(old_.id);
            if (now && now->config &&
                (now->config->tags != old_.config->tags ||
                 now->config->start_on_boot != old_.config->start_on_boot))
                change_old(old_.config->start_on_boot, old_.config->tags);
        });
        mend("guest " + old_.id + " is off", [&] {
            if (was_running_) step(target_of(old_), platform::Start{});
        });
        return Error(error.code(), "guest " + old_.id + " was not replaced: " + error.message(),
                     left.empty() ? "it is as it was" : text::join(left, "; "));
    }

    void destroy_old(SwappedGuest& done) {
        talk_.stage("asking for the destroy of guest " + old_.id);
        done.destroyed = carry_out_step(engine_,
                                        {.source = {execution::Source::Kind::shell, talk_.requester},
                                         .target = target_of(old_),
                                         .action = platform::Destroy{}},
                                        talk_.check, MayWait::yes);
    }

    Engine& engine_;
    const SwapWish& wish_;
    const StepTalk& talk_;
    const Guest old_; ///< as it was
    const bool was_running_;
    std::function<void()> check_;
};

} // namespace

Operation carry_out_step(Engine& engine, const execution::Request& request,
                         const std::function<void()>& check, MayWait may_wait) {
    const auto submitted = engine.journal().submit(request);
    Operation ended = finish_or_cancel(engine, submitted.operation.id, check);
    if (ended.state == State::done) return ended;
    if (ended.state != State::waiting) throw end_of(ended);
    if (may_wait == MayWait::yes) return ended;
    engine.journal().cancel(ended.id, "the call that asked for it does not wait");
    throw Error(Code::denied, "it needs an operator's signature: " + text::printable(ended.detail),
                "this host requires signatures of everybody");
}

std::string take_back(Engine& engine, const execution::Id& made_by, const std::function<void()>& check) {
    try {
        const Operation undoing = engine.finish(engine.journal().take_back(made_by).id, check);
        return undoing.state == State::done ? "" : "it could not be taken back: " + end_of(undoing).message();
    } catch (const Error& error) {
        if (error.code() == Code::interrupted) throw;
        return "it could not be taken back: " + error.message();
    }
}

RestoredGuest restore_guest(Engine& engine, const RestoreWish& wish, const StepTalk& talk) {
    platform::GuestConfig config;
    config.name = wish.name;
    return make(engine, wish.backup, wish.id, std::move(config), talk);
}

SwappedGuest swap_guest(Engine& engine, const SwapWish& wish, const StepTalk& talk) {
    return Swap(engine, wish, talk).run();
}

} // namespace blockhost::agent
