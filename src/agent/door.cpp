// SPDX-License-Identifier: MIT
#include "agent/door.hpp"

#include <algorithm>
#include <memory>

namespace blockhost::agent {

namespace {

using authority::Gate;
using authority::Pending;
using authority::Seen;
using execution::Operation;
using execution::State;
using execution::Verdict;
using execution::Waits;
using platform::Permit;

authority::Source source_of(const execution::Source& source) {
    using Kind = execution::Source::Kind;
    switch (source.kind) {
    case Kind::shell:
    case Kind::selftest:
        return authority::Source::root_shell;
    case Kind::hub:
        return authority::Source::hub;
    case Kind::desired:
        return authority::Source::desired_state;
    case Kind::local:
        return authority::Source::local;
    case Kind::timer:
    case Kind::healing:
    case Kind::drill:
    case Kind::take_back: // nobody's wish but the agent's own
        break;
    }
    return authority::Source::timer;
}

std::optional<Seen> seen_in(const std::optional<platform::Guest>& guest) {
    if (!guest) return std::nullopt;
    return Seen{guest->incarnation, guest->digest};
}

/// Nothing was decided: the same question may be answered later.
bool is_undecided(const Error& error) {
    return error.code() == Code::io || error.code() == Code::busy || error.code() == Code::clock ||
           error.code() == Code::program || error.code() == Code::config;
}

/// Whether it was begun, or may have been.
bool may_have_begun(const Operation& operation) {
    return operation.begun_at || operation.state == State::noted || operation.state == State::unknown;
}

/// Whether the guest has no data afterwards that it did not have before.
bool adds_no_data(const platform::Action& action) {
    using enum platform::ActionKind;
    const platform::ActionKind kind = kind_of(action);
    return kind == stop || kind == snapshot || kind == delete_snapshot || kind == rollback ||
           kind == backup || kind == delete_backup || kind == destroy;
}

/// Whether a trial of the agent's own made that guest, and nobody else has taken it into use since.
bool is_scratch_guest(const std::vector<Operation>& last_first, const platform::Target& guest) {
    for (const Operation& each : last_first) {
        if (execution::makes_guest(each.action) && each.made == guest)
            return each.state == State::done && is_trial(each.source.kind);
        if (!is_trial(each.source.kind) && may_have_begun(each) && !adds_no_data(each.action)) return false;
    }
    return false;
}

/// Whether such a trial took the snapshot that has that name now.
bool is_scratch_snapshot(const std::vector<Operation>& last_first, const platform::Target& guest,
                         const std::string& name) {
    for (const Operation& each : last_first) {
        if (each.target.guest != guest.guest || !may_have_begun(each) || each.state == State::failed)
            continue;
        const auto* taken = std::get_if<platform::TakeSnapshot>(&each.action);
        const auto* deleted = std::get_if<platform::DeleteSnapshot>(&each.action);
        if (deleted != nullptr && deleted->snapshot == name) return false;
        if (taken != nullptr && taken->snapshot == name)
            return each.state == State::done && each.target == guest && is_trial(each.source.kind);
    }
    return is_scratch_guest(last_first, guest);
}

/// Whether what the action would lose was made for a trial.
bool is_scratch(execution::Journal& journal, const platform::Target& target, const platform::Action& action) {
    if (target.incarnation.empty()) return false;
    if (const auto* gone = std::get_if<platform::DeleteSnapshot>(&action))
        return is_scratch_snapshot(journal.about_guest(target.guest), target, gone->snapshot);
    const platform::ActionKind kind = kind_of(action);
    return (kind == platform::ActionKind::destroy || kind == platform::ActionKind::rollback) &&
           is_scratch_guest(journal.about_guest(target.guest), target);
}

/// One who asks on behalf of operations.
class Asker {
  public:
    Asker(Gate& gate, Look look, Reconsider reconsider)
        : gate_(gate), look_(std::move(look)), reconsider_(std::move(reconsider)) {}

    Verdict ask(const Operation& operation) {
        if (const auto unwanted = reconsider(operation)) return *unwanted;
        authority::Request request{.operation = operation.id,
                                   .source = source_of(operation.source),
                                   .requester =
                                       std::string(to_string(operation.source.kind)) +
                                       (operation.source.name.empty() ? "" : " " + operation.source.name),
                                   .target = operation.target,
                                   .action = operation.action,
                                   .seen = {},
                                   .signed_operation = operation.signed_operation};
        // What loses nothing is permitted whatever is there.
        const platform::ActionKind kind = kind_of(operation.action);
        if (!is_on_storage(kind) &&
            authority::class_of(to_string(kind), authority::Provenance::ordinary) != authority::Class::benign)
            request.seen = look_at(operation.target.guest);
        auto decided = gate_.decide(request);
        if (auto* permit = std::get_if<Permit>(&decided)) return std::move(*permit);
        if (std::holds_alternative<Pending>(decided)) return Waits{"a signature is needed"};
        const Error refused = std::get<Error>(decided);
        if (is_undecided(refused)) throw Error(refused);
        if (request.signed_operation.empty()) return refused;
        auto renewed = gate_.renew(request);
        if (auto* permit = std::get_if<Permit>(&renewed)) return std::move(*permit);
        request.signed_operation.clear();
        const auto unsigned_one = gate_.decide(request);
        if (!std::holds_alternative<Pending>(unsigned_one)) return refused;
        return Waits{std::string("a signature is needed; what was signed is refused: ") + refused.what()};
    }

  private:
    std::optional<Seen> look_at(const platform::GuestId& id) {
        const std::lock_guard lock(mutex_);
        return id.empty() ? std::nullopt : seen_in(look_(id));
    }

    std::optional<Error> reconsider(const Operation& operation) {
        const std::lock_guard lock(mutex_);
        return reconsider_ ? reconsider_(operation) : std::nullopt;
    }

    Gate& gate_;
    Look look_;
    Reconsider reconsider_;
    std::mutex mutex_; ///< of look_ and reconsider_
};

} // namespace

execution::Door door_to(Gate& gate, Look look, Reconsider reconsider) {
    const auto asker = std::make_shared<Asker>(gate, std::move(look), std::move(reconsider));
    return [asker](const Operation& operation) { return asker->ask(operation); };
}

execution::Runner::Record record_of(Gate& gate) {
    return [&gate](const Operation& operation) {
        gate.ended(operation.id, to_string(operation.state),
                   operation.error ? operation.error->what() : operation.detail);
    };
}

authority::Provenance provenance_in(execution::Journal& journal, const execution::Id& id,
                                    const platform::Target& target, const platform::Action& action) {
    using authority::Provenance;
    const auto operation = journal.find(id);
    if (operation && !operation->undoes.empty()) {
        const auto made = journal.find(operation->undoes);
        const bool is_its_guest = made && made->state == State::done && made->made == target &&
                                  operation->target == target && !target.incarnation.empty();
        const bool is_undoing = std::holds_alternative<platform::Destroy>(action) &&
                                kind_of(operation->action) == kind_of(action);
        if (is_its_guest && is_undoing) return Provenance::made_in_this_transaction;
    }
    return is_scratch(journal, target, action) ? Provenance::scratch : Provenance::ordinary;
}

std::vector<Pending> end_what_waits_no_longer(Gate& gate, execution::Journal& journal, const Look& look) {
    // In this order: what begins to wait meanwhile is not in the journal's list.
    const auto open = journal.open();
    auto still = gate.waiting([&](const platform::GuestId& id) { return seen_in(look(id)); });
    for (const Operation& operation : open) {
        if (operation.state != execution::State::waiting) continue;
        if (std::ranges::find(still, operation.id, &Pending::operation) != still.end()) continue;
        try {
            journal.ended(
                operation.id,
                {.state = execution::State::failed,
                 .error = Error(Code::wrong_state,
                                "it waits for no signature any more: its time is over, or its guest "
                                "changed since",
                                "look at the guest, and ask again if it is still wanted")});
        } catch (const execution::Overtaken&) { // it was approved meanwhile
        }
    }
    // The journal knows better what ended otherwise, or was approved and waits for its turn.
    std::erase_if(still, [&](const Pending& each) {
        const auto operation = journal.find(each.operation);
        return operation && operation->state != execution::State::waiting;
    });
    return still;
}

} // namespace blockhost::agent
