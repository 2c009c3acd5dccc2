// SPDX-License-Identifier: MIT
// Operations before the gate: what is begun, what waits, and what a crash or a bad signature changes.
#include "agent/database.hpp"
#include "agent/door.hpp"
#include "base/files/files.hpp"
#include "base/text/json.hpp"
#include "tests/unit/authority/keys.hpp"
#include "tests/unit/execution/support.hpp"

using namespace blockhost;
using namespace blockhost::agent;
using namespace blockhost::execution;
using namespace blockhost::execution::test;
using namespace blockhost::platform;

namespace {

/// A host with a gate, one operator, and a guest "web".
struct AgentHost {
    TemporaryFolder folder{quick_place()};
    Keys keys;
    Paths paths = in(folder.path);
    store::Database gates_own = agent::open_database(paths);
    authority::Audit audit = authority::Audit::open(agent::database_folder(paths), "audit.jsonl");
    Journal journal{agent::open_database(paths)};
    authority::TrustFiles trust;
    std::optional<authority::Gate> gate;
    std::optional<Error> unreadable;
    Scripted platform;
    Guest guest;

    AgentHost() {
        trust.allowed_signers = "operator " + keys.make("alice") + "\n";
        keys.make("stranger");
        guest.id = "web";
        guest.incarnation = "made:0";
        guest.digest = "1";
        open();
    }
    static Paths in(const std::filesystem::path& place) {
        Paths paths;
        std::filesystem::create_directory(place / "state");
        paths.state = StateFolder(place / "state");
        return paths;
    }
    /// As after a death of the process.
    void open() {
        authority::GateSettings settings;
        settings.host = "host-a";
        gate.reset();
        gate.emplace(authority::GateParts{settings, gates_own, audit, [this] { return trust; },
                                          [this](const auto& id, const auto& target, const auto& action) {
                                              return provenance_in(journal, id, target, action);
                                          }});
    }
    std::optional<Guest> look(const GuestId& id) {
        if (unreadable) throw Error(*unreadable);
        return id == guest.id ? std::optional(guest) : std::nullopt;
    }
    Door door() {
        return door_to(*gate, [this](const GuestId& id) { return look(id); });
    }
    Verdict ask(const Id& id) { return door()(journal.find(id).value()); }
    bool permits(const Id& id) {
        const Operation operation = journal.find(id).value();
        const Verdict verdict = door()(operation);
        const auto* permit = std::get_if<Permit>(&verdict);
        return permit != nullptr && permit->is_for(operation.target, operation.action);
    }
    /// Why it waits.
    std::string waits(const Id& id) {
        const Verdict verdict = ask(id);
        const auto* why = std::get_if<Waits>(&verdict);
        return why != nullptr ? why->why : "it does not wait";
    }
    Turn turn(const Id& id) {
        Executor executor(journal, door(), impatient());
        return executor.turn(platform, id, no_wishes());
    }
    Id submit(Action action, Source source = {Source::Kind::hub, "job 7"}, Target target = web()) {
        return journal
            .submit({.source = std::move(source), .target = std::move(target), .action = std::move(action)})
            .operation.id;
    }
    std::string signed_by(const std::string& who) {
        const auto waiting = gate->waiting([this](const GuestId&) {
            return authority::Seen{guest.incarnation, guest.digest};
        });
        REQUIRE(waiting.size() == 1);
        return to_text(authority::SignedOperation{waiting[0].bytes, {keys.sign(who, waiting[0].bytes)}});
    }
    State state(const Id& id) { return journal.find(id).value().state; }
};

} // namespace

TEST_CASE("what loses nothing is begun, and what may is begun once it was signed") {
    AgentHost host;
    const Id start = host.submit(Start{}), destroy = host.submit(Destroy{});
    CHECK(host.turn(start) == Turn::ended);
    CHECK(host.state(start) == State::done);
    CHECK(host.turn(destroy) == Turn::aside);
    CHECK(host.journal.find(destroy)->detail == "a signature is needed");
    host.journal.approved(destroy, host.signed_by("alice"));
    CHECK(host.turn(destroy) == Turn::ended);
    CHECK(host.state(destroy) == State::done);
    CHECK(host.platform.begins == 2);
}

TEST_CASE("a wrong signature ends nothing, and the right one counts afterwards") {
    AgentHost host;
    const Id destroy = host.submit(Destroy{});
    host.turn(destroy);
    const std::string right = host.signed_by("alice");
    for (const std::string& wrong : {host.signed_by("stranger"), std::string("no document")}) {
        host.journal.approved(destroy, wrong);
        CHECK(host.turn(destroy) == Turn::aside);
        CHECK(host.journal.find(destroy)->detail.starts_with(
            "a signature is needed; what was signed is refused: "));
    }
    host.journal.approved(destroy, right);
    CHECK(host.turn(destroy) == Turn::ended);
    CHECK(host.state(destroy) == State::done);
}

TEST_CASE("what was permitted and not begun before a crash is permitted again, until it has ended") {
    AgentHost host;
    const Id destroy = host.submit(Destroy{});
    host.turn(destroy);
    host.journal.approved(destroy, host.signed_by("alice"));
    CHECK(host.permits(destroy));
    host.open();
    CHECK(host.permits(destroy));
    host.turn(destroy);
    record_of (*host.gate)(host.journal.find(destroy).value());
    CHECK_FALSE(host.permits(destroy));
}

TEST_CASE("root's own shell is the operator, and a timer is not") {
    AgentHost host;
    CHECK(host.permits(host.submit(Destroy{}, {Source::Kind::shell, "uid 0"})));
    for (const Source::Kind kind : {Source::Kind::hub, Source::Kind::desired, Source::Kind::timer,
                                    Source::Kind::local, Source::Kind::healing, Source::Kind::take_back})
        CHECK(host.waits(host.submit(Destroy{}, {kind, ""})) == "a signature is needed");
}

TEST_CASE("only what this journal made in the same transaction is taken back unsigned") {
    AgentHost host;
    host.guest.id = "new";
    host.guest.incarnation = "made:5";
    const Target made{"new", "made:5"};
    const Id create = host.submit(Create{}, {Source::Kind::hub, ""}, {"new", ""});
    host.journal.noted(create, "note", true);
    host.journal.begun(create, "handle");
    host.journal.ended(create, {.state = State::done, .made = made});
    const Id by_hand = host.submit(Destroy{}, {Source::Kind::take_back, create}, made);
    CHECK(host.waits(by_hand) == "a signature is needed"); // whatever it says of itself
    const Id back = host.journal.take_back(create).id;
    CHECK(host.permits(back));
    const auto provenance = [&](const Target& target, const Action& action) {
        return provenance_in(host.journal, back, target, action);
    };
    CHECK(provenance(made, Destroy{}) == authority::Provenance::made_in_this_transaction);
    CHECK(provenance(made, RollBack{"s"}) == authority::Provenance::ordinary);
    CHECK(provenance({"new", "made:6"}, Destroy{}) == authority::Provenance::ordinary);
    CHECK(provenance_in(host.journal, "nobody", made, Destroy{}) == authority::Provenance::ordinary);
}

TEST_CASE("a guest that cannot be read is neither refused nor destroyed") {
    AgentHost host;
    const Id destroy = host.submit(Destroy{});
    host.unreadable = Error(Code::hypervisor, "it cannot be read");
    CHECK_THROWS_WITH(host.ask(destroy), "it cannot be read");
    CHECK(host.permits(host.submit(Start{})));
    host.unreadable.reset();
    host.guest.incarnation = "made:1";
    const Verdict verdict = host.ask(destroy);
    REQUIRE(std::holds_alternative<Error>(verdict));
    CHECK(std::get<Error>(verdict).code() == Code::wrong_state);
}

TEST_CASE("what waits for a guest that is another one now has failed, and the rest waits on") {
    AgentHost host;
    const Id destroy = host.submit(Destroy{}), queued = host.submit(Destroy{});
    host.turn(destroy);
    const auto look = [&](const GuestId& id) { return host.look(id); };
    end_what_waits_no_longer(*host.gate, host.journal, look);
    CHECK(host.state(destroy) == State::waiting);
    host.unreadable = Error(Code::hypervisor, "it cannot be read");
    end_what_waits_no_longer(*host.gate, host.journal, look);
    CHECK(host.state(destroy) == State::waiting);
    host.unreadable.reset();
    host.guest.incarnation = "made:1";
    end_what_waits_no_longer(*host.gate, host.journal, look);
    CHECK(host.state(destroy) == State::failed);
    CHECK(host.journal.find(destroy)->error->code() == Code::wrong_state);
    CHECK(host.state(queued) == State::queued);
}

TEST_CASE("what is cancelled, or approved, does not wait any more") {
    AgentHost host;
    const Id cancelled = host.submit(Destroy{}), approved = host.submit(RollBack{"s"});
    host.turn(cancelled);
    host.turn(approved);
    const auto look = [&](const GuestId& id) { return host.look(id); };
    CHECK(end_what_waits_no_longer(*host.gate, host.journal, look).size() == 2);
    host.journal.approved(approved, "what was signed");
    host.journal.cancel(cancelled, "it is not wanted");
    CHECK(end_what_waits_no_longer(*host.gate, host.journal, look).empty());
    record_of (*host.gate)(host.journal.find(cancelled).value());
    const auto still = host.gate->waiting([&](const GuestId& id) {
        const auto guest = host.look(id).value();
        return authority::Seen{guest.incarnation, guest.digest};
    });
    REQUIRE(still.size() == 1);
    CHECK(still[0].operation == approved);
}

TEST_CASE("each end is a line of the record") {
    AgentHost host;
    const Id start = host.submit(Start{});
    host.turn(start);
    record_of (*host.gate)(host.journal.find(start).value());
    const std::string text = *files::read(host.folder.path / "state/agent/audit.jsonl");
    CHECK(text.find(R"("event": "end", "operation": ")" + start + R"(", "how": "done")") != text.npos);
}

TEST_CASE("storage is taken away once that is signed, and is looked for among no guests") {
    AgentHost host;
    const Target usb = storage_target("usb-1", "1A2B-3C4D");
    host.unreadable = Error(Code::invalid, "storage:usb-1 is no guest's number");
    CHECK(host.permits(host.submit(Mount{"/mnt/usb"}, {Source::Kind::hub, "job 7"}, usb)));
    const Id unmount = host.submit(Unmount{"/mnt/usb"}, {Source::Kind::hub, "job 7"}, usb);
    CHECK(host.turn(unmount) == Turn::aside);
    CHECK(end_what_waits_no_longer(*host.gate, host.journal, [&](const GuestId& id) {
              return host.look(id);
          }).size() == 1);
    const std::string document = host.signed_by("alice");
    // Another disk of that name, and another mount point, are other operations.
    const Id other_disk =
        host.submit(Unmount{"/mnt/usb"}, {Source::Kind::hub, "job 8"}, storage_target("usb-1", "5E6F-7A8B"));
    const Id other_point = host.submit(Unmount{"/mnt/two"}, {Source::Kind::hub, "job 9"}, usb);
    for (const Id& id : {other_disk, other_point}) {
        CHECK(host.turn(id) == Turn::aside);
        host.journal.approved(id, document);
        CHECK(host.turn(id) == Turn::aside);
    }
    CHECK(host.platform.begins == 0);
    host.journal.approved(unmount, document);
    CHECK(host.turn(unmount) == Turn::ended);
    CHECK(host.state(unmount) == State::done);
    CHECK(host.platform.last_begun == platform::Action(Unmount{"/mnt/usb"}));
}

namespace {

/// Provenances as the gate is told them.
struct Past : AgentHost {
    static Source drill() { return {Source::Kind::drill, "backup 7"}; }
    static Target trial() { return {"trial-1", "made:9"}; }

    /// A restore that made trial-1, whose id the platform handed out.
    void make(const Source& source = drill(), State end = State::done) {
        finish(submit(Restore{"main:backup/web/1"}, source, {"", ""}), end, trial());
    }
    Id finish(const Id& id, State end = State::done, const Target& made = {}) {
        journal.noted(id, "note", true);
        journal.begun(id, "handle");
        journal.ended(id, {.state = end, .made = made});
        return id;
    }
    std::string provenance(const Action& action, const Target& target = trial()) {
        const Id id = submit(action, {Source::Kind::hub, "job 7"}, target);
        return std::string(to_string(provenance_in(journal, id, target, action)));
    }
};

} // namespace

TEST_CASE("what a drill made, and nobody else took into use, is scratch") {
    Past past;
    CHECK(past.provenance(Destroy{}) == "ordinary");
    past.make();
    CHECK(past.provenance(Destroy{}) == "scratch");
    CHECK(past.provenance(RollBack{"s"}) == "scratch");
    CHECK(past.provenance(DeleteSnapshot{"whatever is on it"}) == "scratch");
    CHECK(past.provenance(Destroy{}, {"trial-1", "made:10"}) == "ordinary");
    CHECK(past.provenance(Destroy{}, {"trial-1", ""}) == "ordinary");
    CHECK(past.provenance(Destroy{}, {"trial-2", "made:9"}) == "ordinary");
    CHECK(past.provenance(DeleteBackup{"main:backup/trial-1/1"}) == "ordinary");
    past.finish(past.submit(Start{}, Past::drill(), Past::trial()));
    CHECK(past.provenance(Destroy{}) == "scratch");
    past.finish(past.submit(TakeSnapshot{"s", ""}, {Source::Kind::hub, "job 8"}, Past::trial()));
    CHECK(past.provenance(Destroy{}) == "scratch");
    past.finish(past.submit(RollBack{"s"}, {Source::Kind::hub, "job 8"}, Past::trial()));
    CHECK(past.provenance(RollBack{"s"}) == "scratch");
    past.finish(past.submit(Destroy{}, {Source::Kind::hub, "job 8"}, Past::trial()), State::failed);
    CHECK(past.provenance(Destroy{}) == "scratch");
    past.finish(past.submit(Start{}, {Source::Kind::hub, "job 9"}, Past::trial()));
    CHECK(past.provenance(Destroy{}) == "ordinary");
}

TEST_CASE("what somebody else made, or nobody saw made, is no scratch") {
    for (const Source& source : {Source{Source::Kind::hub, "selftest"}, Source{Source::Kind::local, "drill"},
                                 Source{Source::Kind::desired, "drill"}, Source{Source::Kind::timer, "drill"},
                                 Source{Source::Kind::shell, "selftest"}}) {
        Past past;
        past.make(source);
        CHECK(past.provenance(Destroy{}) == "ordinary");
    }
    for (const State end : {State::failed, State::unknown}) {
        Past past;
        past.make(Past::drill(), end);
        CHECK(past.provenance(Destroy{}) == "ordinary");
    }
}

TEST_CASE("work of somebody else on a trial's guest counts also when its end was not seen") {
    Past past;
    past.make();
    past.finish(past.submit(Start{}, {Source::Kind::hub, "job 8"}, Past::trial()), State::unknown);
    CHECK(past.provenance(Destroy{}) == "ordinary");
}

TEST_CASE("a selftest's snapshot is scratch while it is that one, and its guest is not") {
    Past past;
    const Source selftest{Source::Kind::selftest, ""}, hub{Source::Kind::hub, "job 8"};
    past.finish(past.submit(TakeSnapshot{"t", ""}, selftest));
    CHECK(past.provenance(DeleteSnapshot{"t"}, web()) == "scratch");
    CHECK(past.provenance(DeleteSnapshot{"u"}, web()) == "ordinary");
    CHECK(past.provenance(DeleteSnapshot{"t"}, {"web", "made:1"}) == "ordinary");
    CHECK(past.provenance(RollBack{"t"}, web()) == "ordinary");
    CHECK(past.provenance(Destroy{}, web()) == "ordinary");
    past.finish(past.submit(TakeSnapshot{"t", ""}, hub), State::failed); // it exists already
    CHECK(past.provenance(DeleteSnapshot{"t"}, web()) == "scratch");
    past.finish(past.submit(DeleteSnapshot{"t"}, selftest));
    CHECK(past.provenance(DeleteSnapshot{"t"}, web()) == "ordinary");
    past.finish(past.submit(TakeSnapshot{"t", ""}, hub));
    CHECK(past.provenance(DeleteSnapshot{"t"}, web()) == "ordinary");
}

TEST_CASE("scratch goes without a signature, whoever asks, and the record says why") {
    Past past;
    past.make();
    const Id destroy = past.submit(Destroy{}, Past::drill(), Past::trial());
    CHECK(past.permits(destroy));
    const std::string record = files::read(past.folder.path / "state" / "agent" / "audit.jsonl").value();
    CHECK(record.find(R"("class": "benign", "provenance": "scratch")") != std::string::npos);
}
