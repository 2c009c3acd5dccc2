// SPDX-License-Identifier: MIT
#include "agent/engine.hpp"

#include "agent/record.hpp"
#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"
#include "config/agent_json.hpp"
#include "hub/memory.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <set>

namespace blockhost::agent {

using authority::Pending;
using authority::SignedOperation;
using execution::Id;
using execution::Operation;
using execution::State;

namespace {

/// With this host's name, and with what a hub was told last of the record.
authority::GateSettings completed(authority::GateSettings settings, const std::string& host,
                                  store::Database& database) {
    settings.host = host;
    const std::string head = hub::Memory(database).known_audit();
    if (!head.empty() && !settings.known_elsewhere) settings.known_elsewhere = parse_head(head);
    return settings;
}

Error does_not_wait(const Id& id) {
    return Error(Code::not_found, "no operation " + text::printable(id) + " waits for a signature",
                 "'blockhost-libvirt pending' lists those that do");
}

/// Whether single signatures count, for one operation that waits.
class Scrutiny {
  public:
    Scrutiny(const Pending& pending, authority::TrustFiles trust, authority::Roles roles, Instant at)
        : pending_(pending), trust_(std::move(trust)), roles_(std::move(roles)), at_(at) {
        roles_.two_signers.clear(); // each is looked at alone
    }
    /// Their signers. Throws as the gate does for one that does not count, and for two by one key.
    std::vector<authority::Signer> require(const std::vector<std::string>& signatures) const {
        std::vector<authority::Signer> signers;
        signers.reserve(signatures.size());
        for (const std::string& each : signatures)
            signers.push_back(authority::signer_of(pending_.bytes, each, trust_, at_));
        authority::require_may_sign(roles_, signers, pending_.envelope.change);
        return signers;
    }
    /// The key of one that counts.
    std::optional<std::string> key_of(const std::string& signature) const {
        try {
            return require({signature}).front().key;
        } catch (const Error& error) {
            if (error.code() != Code::denied && error.code() != Code::invalid) throw;
            return std::nullopt;
        }
    }

  private:
    const Pending& pending_;
    authority::TrustFiles trust_;
    authority::Roles roles_;
    Instant at_;
};

/// With the signatures that came before for the same bytes and count still, one a key: who signs again
/// replaces what was signed before. Throws as Scrutiny::require.
SignedOperation with_earlier(SignedOperation document, const std::string& earlier, const Scrutiny& scrutiny) {
    std::set<std::string> keys;
    for (const authority::Signer& signer : scrutiny.require(document.signatures)) keys.insert(signer.key);
    if (earlier.empty()) return document;
    const SignedOperation before = authority::parse_signed_operation(earlier);
    if (before.envelope != document.envelope) return document;
    for (const std::string& each : before.signatures)
        if (const auto key = scrutiny.key_of(each); key && keys.insert(*key).second)
            document.signatures.push_back(each);
    return document;
}

authority::TrustFiles trust_of(const authority::AuthoritySettings& settings) {
    if (settings.allowed_signers.empty())
        throw Error(Code::config, "agent.json names no file of allowed signers",
                    R"(name one: {"authority": {"allowed_signers": "/etc/…"}})");
    return authority::read_trust_files(settings.allowed_signers, settings.revoked);
}

} // namespace

authority::AuthoritySettings authority_of(const Paths& paths) {
    const AgentJson agent = read_agent_json(paths);
    const boost::json::value* section = agent.member("authority");
    return authority::authority_settings(section != nullptr ? *section : boost::json::object(),
                                         agent.where("authority"));
}

Engine::Engine(const Paths& paths, authority::AuthoritySettings settings, Open open, Times times)
    : open_(std::move(open)), times_(std::move(times)), settings_(std::move(settings)), platform_(open_()),
      host_(platform_->host()), folder_(database_folder(paths)), gates_own_(open_database(paths)),
      audit_(authority::Audit::open(database_folder(paths), record_name)), journal_(open_database(paths)),
      accepted_(open_database(paths)),
      gate_({.settings = completed(settings_.gate, host_.name, gates_own_),
             .database = gates_own_,
             .audit = audit_,
             .trust = [this] { return trust_of(settings_); },
             .provenance =
                 [this](const std::string& operation, const platform::Target& target,
                        const platform::Action& action) {
                     return provenance_in(journal_, operation, target, action);
                 },
             .clock = times_.clock}) {
    const auto doubt = note_time(gates_own_, times_.clock());
    if (doubt && times_.doubtful_clock) times_.doubtful_clock(*doubt);
}

void Engine::start_over(std::string_view by) {
    gate_.start_over(by);
    waiting(); // what waits no longer is ended
}

std::vector<Pending> Engine::waiting() {
    return end_what_waits_no_longer(gate_, journal_, [this](const auto& id) { return look(id); });
}

Pending Engine::waiting_one(const Id& id) {
    const auto all = waiting();
    const auto found = std::ranges::find(all, id, &Pending::operation);
    if (found == all.end() || !journal_.find(id)) throw does_not_wait(id);
    return *found;
}

void Engine::approve(const Id& id, const SignedOperation& document) {
    const Pending pending = waiting_one(id);
    if (document.envelope != pending.bytes)
        throw Error(Code::denied, "what was signed is not what " + id + " waits for",
                    "sign what 'blockhost-libvirt pending " + id + "' prints now");
    const Scrutiny scrutiny(pending, trust_of(settings_), settings_.gate.roles, times_.clock());
    const std::string earlier = journal_.find(id).value().signed_operation;
    const std::string all = to_text(with_earlier(document, earlier, scrutiny));
    try {
        journal_.approved(id, all);
    } catch (const execution::Overtaken&) {
        throw does_not_wait(id);
    }
}

void Engine::reject(const Id& id, std::string_view by) {
    if (!gate_.reject(id, by)) throw does_not_wait(id);
    try {
        journal_.ended(id, {.state = State::rejected,
                            .error = Error(Code::denied, "an operator rejected it: " + std::string(by))});
    } catch (const execution::Overtaken&) { // it ended meanwhile
    }
}

std::optional<Error> Engine::reconsider(const Operation& operation) {
    if (operation.source.kind != execution::Source::Kind::healing) return std::nullopt;
    const auto unwanted = [&](const std::string& why) {
        return Error(Code::wrong_state,
                     text::printable(operation.target.guest) + " is not started again: " + why,
                     "start it where it is wanted on");
    };
    const auto guest = look(operation.target.guest);
    if (!guest || guest->incarnation != operation.target.incarnation)
        return unwanted("it is another one now");
    if (guest->power != platform::Power::stopped) return unwanted("it is not off any more");
    if (accepted_.power_of(guest->id).value_or(WantedPower::running) != WantedPower::running)
        return unwanted("the desired state does not want it on any more");
    const platform::Outage outage = platform_->outage(*guest, true);
    if (outage.cause != platform::Outage::Cause::crash) return unwanted(outage.why);
    return std::nullopt;
}

void Engine::work(const std::function<bool()>& stop, execution::Runner::Told told) {
    const auto ownership = execution::Ownership::take(folder_);
    execution::Runner runner(ownership, journal_, open_,
                             door_to(
                                 gate_, [this](const auto& id) { return look(id); },
                                 [this](const Operation& operation) { return reconsider(operation); }),
                             times_.runner, std::move(told), record_of(gate_));
    runner.run(execution::Runner::Until::idle, stop);
}

Operation Engine::finish(const Id& id, const std::function<void()>& check) {
    const auto stop = [&] {
        try {
            check();
            return false;
        } catch (const Error&) {
            return true;
        }
    };
    for (constexpr std::chrono::milliseconds between(200);;) {
        auto operation = journal_.find(id);
        if (!operation)
            throw Error(Code::not_found, "there is no operation " + text::printable(id),
                        "'blockhost-libvirt operations' lists them");
        if (is_end(operation->state) || operation->state == State::waiting) return std::move(*operation);
        try {
            work(stop);
        } catch (const Error& error) {
            if (error.code() != Code::busy) throw;
            pause_for(between, check);
        }
        check();
    }
}

std::optional<Operation> Engine::by_shell(const platform::GuestId& id, const platform::Action& action,
                                          const std::string& requester, const std::function<void()>& act,
                                          const std::function<void()>& check) {
    const auto guest = look(id);
    if (!guest) {
        act();
        return std::nullopt;
    }
    const platform::Target target{id, guest->incarnation};
    if (settings_.gate.require == authority::RequireSignatures::all)
        return queued_by_shell(target, action, requester, check);
    const Id operation = random_hex(16);
    const auto verdict = gate_.decide({.operation = operation,
                                       .source = authority::Source::root_shell,
                                       .requester = requester,
                                       .target = target,
                                       .action = action,
                                       .seen = authority::Seen{guest->incarnation, guest->digest},
                                       .signed_operation = {}});
    if (const auto* refused = std::get_if<Error>(&verdict)) throw Error(*refused);
    if (!std::holds_alternative<platform::Permit>(verdict))
        throw Error(Code::internal, "the gate wants a signature of the operator who asks");
    try {
        act();
    } catch (const Error& error) {
        gate_.ended(operation, to_string(State::failed), error.what());
        throw;
    } catch (...) { // the caller's own word for leaving it
        gate_.ended(operation, to_string(State::cancelled), "it was left as it is");
        throw;
    }
    try {
        gate_.ended(operation, to_string(State::done), "");
    } catch (const Error& error) {
        throw error.within("it was done, and is not on record as done");
    }
    return std::nullopt;
}

Operation Engine::queued_by_shell(const platform::Target& target, const platform::Action& action,
                                  const std::string& requester, const std::function<void()>& check) {
    waiting(); // what waits no longer is ended
    constexpr std::size_t most = 100;
    for (Operation& each : journal_.of_guest(target.guest, most))
        if (each.state == State::waiting && each.target == target && each.action == action)
            return std::move(each);
    const auto submitted = journal_.submit(
        {.source = {execution::Source::Kind::shell, requester}, .target = target, .action = action});
    return finish(submitted.operation.id, check);
}

} // namespace blockhost::agent
