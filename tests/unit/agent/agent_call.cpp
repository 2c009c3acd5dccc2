// SPDX-License-Identifier: MIT
// The agent's parts as a program, on a simulated platform, for tests/adversary: its protocol.py says what is
// asked and answered. What is no part yet, the loop that follows a desired state, is here as small as it can
// be.
#include "agent/accepted.hpp"
#include "agent/apply.hpp"
#include "agent/record.hpp"
#include "base/fault.hpp"
#include "base/text/base64.hpp"
#include "base/text/json.hpp"
#include "execution/episodes.hpp"
#include "platform/action_json.hpp"
#include "platform/simulated/simulated.hpp"

#include <algorithm>
#include <atomic>
#include <boost/json/array.hpp>
#include <cstdio>
#include <iostream>

using namespace blockhost;
using namespace blockhost::agent;
using execution::Id;
using execution::Operation;
using execution::State;
using platform::ActionKind;
using platform::GuestId;

namespace bj = boost::json;

namespace {

/// A number that no request reaches.
constexpr const char* never = "kill@9223372036854775807";

/// Seconds since 1970, as a request said; read by several threads.
std::atomic<std::int64_t> seconds{0};
/// Actions that were begun, or may have been, in this request.
std::atomic<std::int64_t> begun{0};

Instant clock_now() {
    return Instant(std::chrono::seconds(seconds.load()));
}

/// The simulated platform, by the name that this host was given.
class NamedWorld final : public platform::Simulated {
  public:
    NamedWorld(const std::filesystem::path& folder, std::string name)
        : platform::Simulated(folder), name_(std::move(name)) {}

    /// Also while the platform does not answer: a host's agent, once it runs, knows its name.
    platform::Host host() override {
        platform::Host host;
        host.platform = "simulated";
        host.name = name_;
        return host;
    }

  protected:
    void begin_permitted(const platform::Permit& permit, const platform::Note& note,
                         const std::function<void(const platform::Handle&)>& accepted) override {
        ++begun;
        platform::Simulated::begin_permitted(permit, note, accepted);
    }

  private:
    std::string name_;
};

/// Which desired states were accepted, with the documents: a file for each generation.
class Documents {
  public:
    explicit Documents(const Paths& paths)
        : folder_(database_folder(paths)), accepted_(open_database(paths)) {}

    /// What is followed.
    struct Document {
        Desired desired;
        std::int64_t position = 0; ///< of the journal, when it was accepted
    };
    std::optional<Document> followed() {
        const Known known = accepted_.known();
        if (!known.generation) return std::nullopt;
        const auto kept = folder_.read(name_of(*known.generation));
        if (!kept) return std::nullopt;
        const bj::value document = json::parse(*kept, "the kept document");
        return Document{parse_desired(document.at("text").as_string(), "desired"),
                        document.at("position").as_int64()};
    }
    void accept(const std::string& text, const platform::Platform& platform, const platform::Host& host,
                std::int64_t position) {
        const Known known = accepted_.known();
        const Desired desired = parse_desired(text, "desired", known);
        require_fits(desired, platform, host);
        if (known.generation == desired.generation) return; // the same once more
        folder_.replace(name_of(desired.generation),
                        json::python_line(bj::object{{"text", text}, {"position", position}}),
                        {.mode = 0600, .uid = {}, .gid = {}});
        accepted_.accept(desired);
    }

  private:
    static std::string name_of(std::int64_t generation) {
        return "desired-" + std::to_string(generation) + ".json";
    }
    Folder folder_;
    Accepted accepted_;
};

/// A host's agent.
class Host {
  public:
    explicit Host(const bj::object& asked)
        : folder_(json::string_or(asked, "folder", "")), host_(json::string_or(asked, "host", "")) {
        seconds = asked.at("now").as_int64();
        std::filesystem::create_directories(folder_ / "world");
        std::filesystem::create_directories(folder_ / "state");
        paths_.state = StateFolder(folder_ / "state");
        engine_.emplace(
            paths_, authority_in(asked),
            [this] { return std::make_unique<NamedWorld>(folder_ / "world", host_); },
            Engine::Times{.runner = patience(), .clock = clock_now});
        documents_.emplace(paths_);
        episodes_.emplace(open_database(paths_));
    }

    Engine& engine() { return *engine_; }

    void desired(const std::string& text) {
        documents_->accept(text, engine_->platform(), engine_->host(), engine_->journal().position());
    }

    /// The envelope's operation. `door`: "verb": as `approve` takes it; "gate": as it came, for the gate
    /// alone to judge.
    Id approve(const bj::object& asked) {
        const auto bytes = base64::decode(json::string_or(asked, "envelope", ""));
        if (!bytes) throw Error(Code::invalid, "the envelope is not base64");
        const authority::SignedOperation document{*bytes, json::strings_in(asked, "signatures")};
        const Id id = authority::parse_envelope(document.envelope).operation;
        if (json::string_or(asked, "door", "") == "verb")
            engine_->approve(id, document);
        else
            engine_->journal().approved(id, to_text(document));
        return id;
    }

    void run(std::int64_t most) {
        const auto stop = [most] { return most > 0 && begun >= most; };
        std::set<std::pair<GuestId, std::string>> tried;
        engine_->waiting();
        do {
            engine_->work(stop);
        } while (!stop() && want(tried));
    }

  private:
    authority::AuthoritySettings authority_in(const bj::object& asked) const {
        authority::AuthoritySettings settings;
        settings.allowed_signers = folder_ / "authority/allowed_signers";
        settings.revoked = folder_ / "authority/revoked_keys";
        authority::GateSettings& gate = settings.gate;
        if (json::string_or(asked, "require_signatures", "") == "all")
            gate.require = authority::RequireSignatures::all;
        gate.roles = {};
        for (const bj::value& role : asked.at("roles").as_array())
            gate.roles.all.push_back({json::string_or(role, "name", ""), json::strings_in(role, "principals"),
                                      json::strings_in(role, "changes")});
        const auto two = json::strings_in(asked, "two_signers");
        gate.roles.two_signers = {two.begin(), two.end()};
        if (const std::string known = json::string_or(asked, "acknowledged", ""); !known.empty())
            gate.known_elsewhere = parse_head(known);
        return settings;
    }

    static execution::RunnerSettings patience() {
        using namespace std::chrono_literals;
        // One at a time, so that a death at a point is the same in each run.
        return {.bounds = {.others = 1, .backups = 1},
                .patience = {.begin = 0ms, .again = 0ms, .trace = 50ms, .end = 50ms},
                .look_every = 5ms,
                .grace = 10s};
    }

    /// Queues what the desired state wants and has not been tried in this run. Whether that is anything.
    bool want(std::set<std::pair<GuestId, std::string>>& tried) {
        const auto document = documents_->followed();
        if (!document) return false;
        platform::Platform& platform = engine_->platform();
        Plan plan;
        try {
            const Observed observed = observe(platform, engine_->host(), document->desired);
            plan = make_plan(document->desired, observed,
                             [&](const auto& action, auto kind) { return platform.refusal(action, kind); });
            heal_in(plan, *document, observed);
        } catch (const Error&) {
            return false; // nothing follows from a failed look
        }
        std::set<GuestId> again;
        for (const PlannedAction& each : plan.actions)
            if (!tried.emplace(each.target.guest, name_of(each)).second) again.insert(each.target.guest);
        std::erase_if(plan.actions,
                      [&](const PlannedAction& each) { return again.contains(each.target.guest); });
        const std::int64_t before = engine_->journal().position();
        ask_for(*engine_, plan);
        return engine_->journal().position() != before;
    }

    /// A guest that ran since the document was accepted is started by healing, and not by the plan.
    void heal_in(Plan& plan, const Documents::Document& document, const Observed& observed) {
        for (const WantedGuest& wanted : document.desired.guests) {
            const auto seen = observed.guests.find(wanted.id);
            if (wanted.power != WantedPower::running || seen == observed.guests.end()) continue;
            auto since = engine_->journal().of_guest(wanted.id, 1000);
            std::erase_if(since, [&](const Operation& each) {
                return each.arrival <= document.position || !each.begun_at;
            });
            const bool is_old = std::ranges::any_of(since, is_of_power);
            if (!is_old && seen->second.power != platform::Power::running) continue;
            execution::Episode episode = episodes_->find(wanted.id);
            const execution::Sight sight{.should_run = true,
                                         .guest = seen->second,
                                         .stopped_on_purpose =
                                             was_switched_off(since, seen->second.incarnation)};
            const auto healing = heal(episode, sight, {}, clock_now());
            episodes_->keep(wanted.id, episode);
            if (healing.act == execution::Healing::Do::start) continue; // by the plan's action
            std::erase_if(plan.actions, [&](const PlannedAction& each) {
                return each.target.guest == wanted.id && name_of(each) == to_string(ActionKind::start);
            });
        }
    }
    static bool is_of_power(const Operation& operation) {
        const ActionKind kind = kind_of(operation.action);
        return kind == ActionKind::start || kind == ActionKind::resume || kind == ActionKind::stop;
    }

    std::filesystem::path folder_;
    std::string host_;
    Paths paths_;
    std::optional<Engine> engine_;
    std::optional<Documents> documents_;
    std::optional<execution::Episodes> episodes_;
};

execution::Source source_in(const bj::object& asked) {
    const std::string source = json::string_or(asked, "source", "");
    const auto kind = execution::source_named(source);
    if (!kind) throw Error(Code::invalid, "there is no source " + source);
    return {*kind, "the adversary"};
}

/// From the agent itself, for a trial. Which backup a trial made, no journal tells.
execution::Source trial_of(const bj::object& asked) {
    if (json::string_or(asked.at("action"), "kind", "") == "backup")
        throw Error(Code::denied, "this program makes no backups for trials");
    return {execution::Source::Kind::drill, "the adversary"};
}

Id submitted(execution::Journal& journal, const bj::object& asked, const execution::Source& source) {
    return journal
        .submit({.source = source,
                 .target = {json::string_or(asked, "guest", ""), json::string_or(asked, "incarnation", "")},
                 .action = platform::action_from_json(asked.at("action"), "the action"),
                 .key = json::string_or(asked, "key", "")})
        .operation.id;
}

bj::array classes() {
    bj::array rows;
    for (const auto change : authority::change_names())
        for (const auto provenance : authority::provenances)
            rows.push_back(bj::object{{"change", change},
                                      {"provenance", to_string(provenance)},
                                      {"class", to_string(class_of(change, provenance))}});
    return rows;
}

bj::array operations(execution::Journal& journal) {
    bj::array all;
    for (const Operation& each : journal.latest(10'000))
        all.push_back(bj::object{{"id", each.id},
                                 {"state", to_string(each.state)},
                                 {"detail", each.error ? each.error->message() : each.detail}});
    return all;
}

/// In order of arrival: the clock of the requests has ties.
bj::array pending(Engine& engine) {
    std::map<std::int64_t, authority::Pending> by_arrival;
    for (authority::Pending& each : engine.waiting()) {
        const auto operation = engine.journal().find(each.operation);
        by_arrival.emplace(operation ? operation->arrival : 0, std::move(each));
    }
    bj::array all;
    for (const auto& [arrival, each] : by_arrival)
        all.push_back(bj::object{{"operation", each.operation}, {"envelope", each.bytes}});
    return all;
}

/// What a report tells the hub; empty before there is any record.
std::string mark(Engine& engine) {
    const authority::AuditHead head = engine.audit_head();
    return head.line == 0 ? "" : to_text(head);
}

bj::object answer(std::optional<Host>& host, const bj::object& asked) {
    const std::string call = json::string_or(asked, "call", ""), id = json::string_or(asked, "operation", "");
    if (call == "open") {
        host.reset();
        host.emplace(asked);
        return {};
    }
    if (call == "classes") return {{"classes", classes()}};
    if (!host) throw Error(Code::usage, "nothing is open");
    Engine& engine = host->engine();
    if (call == "clock") return seconds = asked.at("now").as_int64(), bj::object{};
    if (call == "submit") return {{"id", submitted(engine.journal(), asked, source_in(asked))}};
    if (call == "scratch") return {{"id", submitted(engine.journal(), asked, trial_of(asked))}};
    if (call == "take back") return {{"id", engine.journal().take_back(id).id}};
    if (call == "desired") return host->desired(json::string_or(asked, "document", "")), bj::object{};
    if (call == "run") {
        begun = 0;
        host->run(json::integer_in(asked, "most").value_or(0));
        return {{"begun", begun.load()}};
    }
    if (call == "pending") return {{"pending", pending(engine)}};
    if (call == "approve") return {{"operation", host->approve(asked)}};
    if (call == "reject") return engine.reject(id, "the adversary"), bj::object{};
    if (call == "operations") return {{"operations", operations(engine.journal())}};
    if (call == "mark") return {{"mark", mark(engine)}};
    throw Error(Code::usage, "there is no call " + call);
}

} // namespace

int main() {
    std::optional<Host> host;
    fault::arm(never);
    for (std::string line; std::getline(std::cin, line);) {
        bj::object told;
        try {
            const bj::value asked = json::parse(line, "request");
            const std::string fault = json::string_or(asked, "fault", "");
            if (!fault.empty()) fault::arm(fault);
            told = answer(host, asked.as_object());
        } catch (const Error& error) {
            told = {{"error", bj::object{{"code", row_of(error.code()).name}, {"message", error.what()}}}};
        }
        fault::arm(never);
        std::puts(json::python_line(told).c_str());
        std::fflush(stdout);
    }
}
