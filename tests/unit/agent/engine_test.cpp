// SPDX-License-Identifier: MIT
// The agent's parts together, on a simulated platform: approvals, rejections, and a trial of changes.
#include "agent/apply.hpp"
#include "agent/selftest_task.hpp"
#include "base/text/json.hpp"
#include "platform/simulated/simulated.hpp"
#include "tests/unit/authority/keys.hpp"
#include "tests/unit/execution/support.hpp"

#include <algorithm>

using namespace blockhost;
using namespace blockhost::agent;
using namespace blockhost::execution;
using namespace blockhost::execution::test;
using namespace blockhost::platform;

namespace {

/// A host with a guest "web" that is off, two operators, and what carries operations out.
struct EngineHost {
    TemporaryFolder folder{quick_place()};
    Keys keys;
    Paths paths;
    std::optional<Engine> engine;

    explicit EngineHost(std::set<std::string> two_signers = {},
                        authority::RequireSignatures require = authority::RequireSignatures::destructive) {
        std::filesystem::create_directory(folder.path / "state");
        paths.state = StateFolder(folder.path / "state");
        guest("[]");
        std::ofstream(folder.path / "allowed")
            << "operator " << keys.make("alice") << "\noperator " << keys.make("bob") << "\n";
        std::filesystem::permissions(folder.path / "allowed", std::filesystem::perms(0600));
        authority::AuthoritySettings settings;
        settings.allowed_signers = folder.path / "allowed";
        settings.gate.roles.two_signers = std::move(two_signers);
        settings.gate.require = require;
        engine.emplace(paths, settings, [this] { return std::make_unique<Simulated>(place()); });
    }
    std::filesystem::path place() const { return folder.path / "world"; }
    void write(const char* name, const std::string& text) const {
        std::filesystem::create_directories(place());
        std::ofstream(place() / name) << text;
    }
    void guest(const std::string& tags, const std::string& power = "stopped") const {
        write("platform.json", R"({"guests": {"web": {"power": ")" + power +
                                   R"(", "incarnation": "made:0", "config": {"name": "web", "description": )"
                                   R"("mine", "tags": )" +
                                   tags + "}}}}");
    }
    std::string world() const { return files::read(place() / "platform.json").value(); }
    std::string guests() const {
        return json::python_line(json::object_in(json::parse(world(), "world"), "guests"));
    }
    std::optional<Guest> seen() const { return Simulated(place()).guest("web"); }

    Id submit(platform::Action action, execution::Source::Kind source = execution::Source::Kind::hub) {
        return engine->journal()
            .submit({.source = {source, ""}, .target = {"web", "made:0"}, .action = std::move(action)})
            .operation.id;
    }
    State finish(const Id& id) {
        return engine->finish(id, [] {}).state;
    }
    authority::SignedOperation signed_by(const std::string& who) {
        const auto waiting = engine->waiting();
        REQUIRE(waiting.size() == 1);
        return {waiting[0].bytes, {keys.sign(who, waiting[0].bytes)}};
    }
    std::vector<Check> trial() {
        return selftest_task(
            *engine, "web", [](std::string_view) {}, [] {});
    }
};

std::vector<std::pair<std::string, Check::Verdict>> verdicts(const std::vector<Check>& checks) {
    std::vector<std::pair<std::string, Check::Verdict>> told;
    for (const Check& each : checks) {
        CAPTURE(each.name, each.told, each.remedy);
        CHECK(each.verdict != static_cast<Check::Verdict>(9));
        told.emplace_back(each.name, each.verdict);
    }
    return told;
}

constexpr auto good = Check::Verdict::good, doubtful = Check::Verdict::doubtful, bad = Check::Verdict::bad;

} // namespace

TEST_CASE("what can lose data is done once it was approved, and not before") {
    EngineHost host;
    const Id destroy = host.submit(Destroy{});
    CHECK(host.finish(destroy) == State::waiting);
    CHECK(host.seen());
    auto document = host.signed_by("alice");
    host.engine->approve(destroy, document);
    CHECK(host.finish(destroy) == State::done);
    CHECK_FALSE(host.seen());
    CHECK(host.engine->waiting().empty());
    CHECK(refusal([&] { host.engine->approve(destroy, document); }).first == Code::not_found);
}

TEST_CASE("a signature of other bytes is refused at once") {
    EngineHost host;
    const Id destroy = host.submit(Destroy{});
    host.finish(destroy);
    auto document = host.signed_by("alice");
    document.envelope += " ";
    CHECK(refusal([&] { host.engine->approve(destroy, document); }) ==
          std::pair(Code::denied, "what was signed is not what " + destroy + " waits for"));
    CHECK(host.finish(destroy) == State::waiting);
}

TEST_CASE("signatures of two operators come one after the other") {
    EngineHost host({"destroy"});
    const Id destroy = host.submit(Destroy{});
    host.finish(destroy);
    host.engine->approve(destroy, host.signed_by("alice"));
    CHECK(host.finish(destroy) == State::waiting);
    CHECK(host.seen());
    host.engine->approve(destroy, host.signed_by("bob"));
    CHECK(host.finish(destroy) == State::done);
}

TEST_CASE("what an operator rejects is over, and the guest stays") {
    EngineHost host;
    const Id destroy = host.submit(Destroy{});
    host.finish(destroy);
    host.engine->reject(destroy, "uid 0");
    CHECK(host.engine->journal().find(destroy)->state == State::rejected);
    CHECK(host.engine->journal().find(destroy)->error->message() == "an operator rejected it: uid 0");
    CHECK(host.seen());
    CHECK(refusal([&] { host.engine->reject(destroy, "uid 0"); }).first == Code::not_found);
}

TEST_CASE("what a desired state wants is asked for once, as long as it has not ended") {
    EngineHost host;
    Plan plan;
    plan.generation = 1;
    PlannedAction& destroy = plan.actions.emplace_back();
    destroy.target = {"web", "made:0"};
    destroy.action = Destroy{};
    destroy.verdict = PlannedAction::Verdict::needs_signature;
    const Id first = ask_for(*host.engine, plan).operations.at(0);
    CHECK(host.finish(first) == State::waiting);
    plan.generation = 2;
    CHECK(ask_for(*host.engine, plan).operations == std::vector{first});
    CHECK(host.engine->waiting().size() == 1);
    host.engine->reject(first, "uid 0");
    CHECK(ask_for(*host.engine, plan).operations.at(0) != first);
    destroy.target.incarnation = "made:1";
    CHECK(ask_for(*host.engine, plan).operations.at(0) != first);
    CHECK(host.engine->journal().latest(10).size() == 3);
}

TEST_CASE("signatures are judged by the clock that the engine was given") {
    EngineHost host;
    std::atomic<std::int64_t> hours = 0;
    host.engine.reset();
    authority::AuthoritySettings settings;
    settings.allowed_signers = host.folder.path / "allowed";
    host.engine.emplace(
        host.paths, settings, [&] { return std::make_unique<Simulated>(host.place()); },
        Engine::Times{.clock = [&] { return now() + std::chrono::hours(hours.load()); }});
    const Id destroy = host.submit(Destroy{});
    CHECK(host.finish(destroy) == State::waiting);
    host.engine->approve(destroy, host.signed_by("alice"));
    hours = 73;
    CHECK(host.finish(destroy) == State::waiting);
    CHECK(host.engine->journal().find(destroy)->detail.find("the envelope's time ended") !=
          std::string::npos);
    CHECK(host.seen());
}

TEST_CASE("root's own shell is the operator") {
    EngineHost host;
    CHECK(host.finish(host.submit(Destroy{}, execution::Source::Kind::shell)) == State::done);
    CHECK_FALSE(host.seen());
}

namespace {

/// The last line of the record.
std::string last_line(const EngineHost& host) {
    const std::string text = files::read(host.folder.path / "state" / "agent" / "audit.jsonl").value_or("");
    const auto begin = text.size() < 2 ? text.npos : text.rfind('\n', text.size() - 2);
    return text.substr(begin == text.npos ? 0 : begin + 1);
}

std::optional<Operation> by_shell(EngineHost& host, const std::function<void()>& act) {
    return host.engine->by_shell("web", Destroy{}, "uid 0, destroy", act, [] {});
}

} // namespace

TEST_CASE("what root's shell does by itself is on record before and behind it, however it ends") {
    EngineHost host;
    int acts = 0;
    CHECK_FALSE(by_shell(host, [&] {
        ++acts;
        CHECK(last_line(host).find("root's own shell is the operator") != std::string::npos);
    }));
    CHECK(last_line(host).find(R"("how": "done")") != std::string::npos);
    CHECK(refusal([&] { by_shell(host, [] { throw Error(Code::hypervisor, "libvirt refused"); }); }).second ==
          "libvirt refused");
    CHECK(last_line(host).find(R"("how": "failed", "detail": "libvirt refused")") != std::string::npos);
    struct Left {};
    CHECK_THROWS_AS(by_shell(host, [] { throw Left(); }), Left);
    CHECK(last_line(host).find(R"("how": "cancelled")") != std::string::npos);
    CHECK(acts == 1);
    CHECK(host.engine->journal().open().empty());
}

TEST_CASE("where everybody has to sign, root's shell waits, and is not asked twice") {
    EngineHost host({}, authority::RequireSignatures::all);
    const auto never = [] { FAIL("it was done without a signature"); };
    const auto first = by_shell(host, never), second = by_shell(host, never);
    REQUIRE((first && second));
    CHECK(first->state == State::waiting);
    CHECK(first->id == second->id);
    host.engine->approve(first->id, host.signed_by("alice"));
    CHECK(host.finish(first->id) == State::done);
    CHECK_FALSE(host.seen());
    bool told = false;
    CHECK_FALSE(by_shell(host, [&] { told = true; })); // nothing is left that could be lost
    CHECK(told);
}

TEST_CASE("a trial changes the guest that is marked for it, and gives it back") {
    EngineHost host;
    host.guest(R"(["blockhost-selftest"])");
    const auto before = host.seen().value();
    CHECK(verdicts(host.trial()) ==
          std::vector<std::pair<std::string, Check::Verdict>>{{"set-config", good},
                                                              {"snapshot", good},
                                                              {"rollback", good},
                                                              {"delete-snapshot", good},
                                                              {"set-config back", good}});
    CHECK(host.seen()->digest == before.digest);
    CHECK(host.guests().find("selftest-") == std::string::npos);
    CHECK(host.engine->journal().latest(10).size() == 5);
}

TEST_CASE("no trial touches a guest that is not marked, locked, or not there") {
    EngineHost host;
    const std::string before = host.world();
    CHECK(refusal([&] { host.trial(); }) ==
          std::pair(Code::denied, std::string("the guest web is not marked for trials")));
    host.write("platform.json",
               R"({"guests": {"web": {"power": "stopped", "lock": "backup", "incarnation": "made:0", )"
               R"("config": {"tags": ["blockhost-selftest"]}}}})");
    CHECK(refusal([&] { host.trial(); }) ==
          std::pair(Code::busy, std::string("the guest web is locked for backup")));
    host.write("platform.json", "{}");
    CHECK(refusal([&] { host.trial(); }) == std::pair(Code::not_found, std::string("there is no guest web")));
    CHECK(host.engine->journal().latest(10).empty());
}

TEST_CASE("a trial that fails half-way takes back what it did") {
    EngineHost host;
    host.guest(R"(["blockhost-selftest"])");
    const auto before = host.seen().value();
    SECTION("no snapshot can be taken") {
        host.write("faults.json", R"({"fail": {"snapshot": "no room"}})");
        const auto checks = host.trial();
        CHECK(verdicts(checks) == std::vector<std::pair<std::string, Check::Verdict>>{
                                      {"set-config", good}, {"snapshot", bad}, {"set-config back", good}});
        CHECK(checks[1].told == "no room");
    }
    SECTION("no rollback is possible") {
        host.write("faults.json", R"({"fail": {"rollback": "not here"}})");
        CHECK(verdicts(host.trial())[2] == std::pair<std::string, Check::Verdict>("rollback", bad));
        CHECK(host.guests().find("selftest-") == std::string::npos);
    }
    CHECK(host.seen()->digest == before.digest);
}

TEST_CASE("where everybody's changes want signatures, a trial does not wait") {
    EngineHost host;
    host.guest(R"(["blockhost-selftest"])");
    authority::AuthoritySettings settings;
    settings.gate.require = authority::RequireSignatures::all;
    host.engine.reset();
    host.engine.emplace(host.paths, settings, [&] { return std::make_unique<Simulated>(host.place()); });
    CHECK(verdicts(host.trial())[2] == std::pair<std::string, Check::Verdict>("rollback", doubtful));
    CHECK(host.engine->waiting().empty());
    CHECK(host.engine->journal().open().empty());
    // The snapshot is the trial's own: it goes without a signature, and nothing of it stays.
    CHECK(host.guests().find("selftest-") == std::string::npos);
}
