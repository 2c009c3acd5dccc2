// SPDX-License-Identifier: MIT
#include "agent/service/service.hpp"

#include "agent/apply.hpp"
#include "agent/record.hpp"
#include "agent/service/clock_watch.hpp"
#include "agent/service/metrics_page.hpp"
#include "agent/service/recipient.hpp"
#include "agent/service/restraint.hpp"
#include "agent/service/worker.hpp"
#include "base/files/lock.hpp"
#include "base/patience.hpp"
#include "base/text/text.hpp"
#include "hub/open.hpp"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace blockhost::agent {

using namespace std::chrono_literals;
using execution::Operation;

namespace {

constexpr const char* lock_file = "service.lock";
constexpr auto look_every = 60s, look_after_news = 2s, tell_after_news = 10s, hear_after = 5s;
constexpr auto slice = 200ms;
constexpr auto longest_lifeless = 10min;

double random_share() {
    std::uint32_t number = 0;
    random_bytes(&number, sizeof number);
    return std::ldexp(number, -32);
}

std::string sentence(const Error& error) {
    return error.hint().empty() ? error.message() : error.message() + "; " + error.hint();
}

FileLock take_lock(const Paths& paths) {
    auto lock = FileLock::take_named(database_folder(paths), lock_file, 0600);
    if (!lock)
        throw Error(Code::busy, "another process is this host's agent",
                    "systemctl status blockhost-agent; one at a time speaks to the hub");
    return std::move(*lock);
}

} // namespace

struct Service::State {
    explicit State(ServiceParts all)
        : parts(std::move(all)), settings(parts.settings()), pace(settings.hub.poll, random_share) {
        if (settings.hub.kind == hub::Settings::Kind::none) hub::open_transport(settings.hub, "", {});
        identity = {.version = parts.version, .configuration = settings.digest, .started = now()};
    }

    // -- what it stands on

    void with_engine(const std::function<void(Engine&)>& act) {
        bool is_doubtful = false;
        Engine made = parts.engine([&](const Error& doubt) {
            is_doubtful = true;
            troubles.begin("clock", sentence(doubt), now());
        });
        if (!is_doubtful) troubles.end("clock");
        act(made);
    }

    hub::Courier& courier_for(const std::string& host) {
        if (!database) database.emplace(open_database(parts.paths));
        if (!transport || host != host_name) {
            auto fresh = hub::open_transport(settings.hub, host, [this] { check(); });
            if (courier) courier->go_by(*fresh);
            transport = std::move(fresh);
            host_name = host;
        }
        if (!courier) courier.emplace(*database, *transport);
        return *courier;
    }

    void check() {
        show_life();
        if (parts.is_asked_to_end()) throw Error(Code::interrupted, "the agent was asked to end");
    }

    void show_life() {
        if (!worker || worker->is_alive(longest_lifeless)) parts.manager.alive();
    }

    /// What goes wrong is told, and tried again later. Whether nothing did.
    bool guarded(const std::string& what, const std::function<void()>& act) {
        try {
            act();
            if (what != "database") troubles.end(what);
            return true;
        } catch (const store::StoreError& error) {
            is_stored = false;
            troubles.begin("database", sentence(error), now());
        } catch (const Error& error) {
            if (error.code() != Code::interrupted) troubles.begin(what, sentence(error), now());
        } catch (const std::exception& error) {
            troubles.begin(what, error.what(), now());
        }
        return false;
    }

    // -- telling

    /// Troubles, to people at once, and to the hub once they are over.
    void tell() {
        for (const Troubles::Change& each : troubles.take_changes()) {
            if (!each.is_over) {
                parts.warn(each.trouble.what + ": " + each.trouble.why);
                continue;
            }
            parts.say(each.trouble.what + ": it is well again, since " +
                      format_instant(std::chrono::floor<std::chrono::seconds>(each.trouble.since)) +
                      " it was not");
            over.push_back(each.trouble);
        }
    }

    void add_event(std::string_view kind) {
        guarded("database", [&] {
            if (!database) database.emplace(open_database(parts.paths));
            hub::Outbox(*database).add(hub::Rank::detail, {{"kind", kind}}, now());
        });
    }

    /// What happened goes into the outbox. Whether there is something to tell. Throws store::StoreError.
    bool collect(Engine& engine) {
        if (!database) database.emplace(open_database(parts.paths));
        add_ends(*database, engine.journal(), now());
        return add_over();
    }

    /// The same of troubles alone.
    bool add_over() {
        tell();
        if (!database) database.emplace(open_database(parts.paths));
        while (!over.empty()) {
            add_ended(*database, over.front(), now());
            over.erase(over.begin());
        }
        return !hub::Outbox(*database).is_empty();
    }

    // -- the hub

    /// Whether the hub was reached; when it is asked again is set.
    bool exchange(Engine& engine) {
        guarded("database", [&] { collect(engine); });
        std::optional<hub::Exchanged> exchanged;
        std::chrono::seconds asked_to_wait{};
        guarded("hub", [&] {
            try {
                auto& to_hub = courier_for(engine.host().name);
                const auto told = snapshot(engine, identity, standing, troubles.now(), now());
                Recipient recipient(engine);
                exchanged = to_hub.exchange(told, recipient, now());
            } catch (const hub::AskedToWait& error) {
                asked_to_wait = error.wait();
                throw;
            }
        });
        quiet_end = Deadline::in(hear_after);
        was_heard = false; // what came meanwhile is news
        if (exchanged) last_answer = now();
        if (exchanged) take(*exchanged, engine);
        if (worker) worker->set_blocked(is_blocked); // from now on it may begin
        is_reached = exchanged && !exchanged->later && exchanged->answer.unclear.empty();
        const auto span =
            is_reached ? pace.after_success(exchanged->answer.poll) : pace.after_failure(asked_to_wait);
        next_exchange = Deadline::in(exchanged && exchanged->more ? 0ms : span);
        return exchanged.has_value();
    }

    void take(const hub::Exchanged& exchanged, Engine& engine) {
        const hub::Answer& answer = exchanged.answer;
        if (exchanged.later)
            troubles.begin("hub-document", sentence(*exchanged.later), now());
        else if (!answer.unclear.empty())
            troubles.begin("hub-document", answer.unclear, now());
        else
            troubles.end("hub-document");
        look_for_older_copy(exchanged, engine);
        set_blocked(answer.is_blocked);
        if (!exchanged.is_new) return;
        next_look = Deadline::in({});
        if (worker) worker->kick();
    }

    void look_for_older_copy(const hub::Exchanged& exchanged, Engine& engine) {
        const auto stale = engine.stale();
        const std::string why = stale ? sentence(*stale) : exchanged.older;
        if (why.empty())
            troubles.end("older-copy");
        else
            troubles.begin("older-copy", "this host is an older copy of itself: " + why, now());
        // What was told now, engines that are made from now on know.
        const std::string known = hub::Memory(*database).known_audit();
        if (worker && known != known_audit && known != to_text(engine.audit_head())) worker->renew();
        known_audit = known;
    }

    void set_blocked(bool blocked) {
        if (is_blocked && !blocked) next_look = Deadline::in({});
        is_blocked = blocked;
        if (blocked)
            troubles.begin("blocked", "the hub blocks this host: nothing is carried out", now());
        else
            troubles.end("blocked");
    }

    // -- the host

    /// Looks, and asks for what is wanted. What was asked for, as it stands.
    std::vector<execution::Id> look(Engine& engine) {
        const auto text = engine.accepted().document();
        if (!text || is_blocked) {
            standing.reset();
            return {};
        }
        const Desired desired = parse_desired(*text, "the accepted desired state");
        Looked looked = look_and_plan(engine.platform(), engine.host(), desired,
                                      [this](std::size_t, std::size_t) { check(); });
        Standing found{.generation = desired.generation,
                       .is_converged = looked.plan.is_converged(),
                       .left = {},
                       .unknown = looked.plan.unknown,
                       .looked = now()};
        found.left = restrain(looked.plan, desired, looked.observed, engine, now());
        const Asked asked = ask_for(engine, looked.plan);
        found.left.insert(found.left.end(), asked.left.begin(), asked.left.end());
        for (const execution::Id& id : asked.operations) {
            const auto operation = engine.journal().find(id);
            if (operation && operation->state == execution::State::waiting)
                found.left.push_back(
                    {operation->target.guest,
                     std::string(to_string(kind_of(operation->action))) + ": " + operation->detail});
        }
        standing = std::move(found);
        return asked.operations;
    }

    // -- the figures

    /// As of the last seconds, so that no scraper costs more than that.
    std::string figures() {
        constexpr auto good_for = 10s;
        if (!page.empty() && !page_end.passed()) return page;
        boost::json::object report;
        try {
            with_engine([&](Engine& engine) {
                report = snapshot(engine, identity, standing, troubles.now(), now());
            });
        } catch (const std::exception&) {
            boost::json::array wrong;
            for (const Trouble& each : troubles.now())
                wrong.push_back(boost::json::object{{"what", each.what}});
            if (!troubles.has("platform")) wrong.push_back(boost::json::object{{"what", "platform"}});
            report = {{"troubles", std::move(wrong)}};
        }
        LoopFigures loop{.exchange = last_answer,
                         .look = standing ? std::optional(standing->looked) : std::nullopt,
                         .dropped_events = {},
                         .is_blocked = is_blocked};
        std::vector<BackupFigures> backups;
        // Figures that cannot be read are absent.
        const auto if_it_can_be = [](const std::function<void()>& read) {
            try {
                read();
            } catch (const std::exception&) {
                return;
            }
        };
        if_it_can_be([&] {
            if (!database) return;
            const hub::Dropped dropped = hub::Outbox(*database).dropped();
            loop.dropped_events = static_cast<double>(dropped.details + dropped.ends);
        });
        if_it_can_be([&] { backups = backup_figures(parts.paths); });
        page = metrics_page(report, loop, backups);
        page_end = Deadline::in(good_for);
        return page;
    }

    /// Where nobody can be served, that is told, and tried again after a while.
    void open_door() {
        if (!settings.metrics || door || !next_door.passed()) return;
        next_door = Deadline::in(look_every);
        guarded("metrics", [this] { door.emplace(*settings.metrics); });
        tell();
    }

    // -- the loop

    void reload() {
        parts.manager.reloading();
        if (guarded("configuration", [this] {
                ServiceSettings fresh = parts.settings();
                if (fresh.hub.kind == hub::Settings::Kind::none) hub::open_transport(fresh.hub, "", {});
                if (fresh.metrics != settings.metrics) door.reset();
                settings = std::move(fresh);
                if (!settings.metrics) troubles.end("metrics");
                next_door = Deadline::in({});
            })) {
            identity.configuration = settings.digest;
            pace = hub::Pace(settings.hub.poll, random_share);
            host_name.clear(); // the way to the hub is opened anew
            parts.say("the configuration is read");
        }
        tell();
        next_exchange = next_look = Deadline::in({});
        parts.manager.ready(status());
    }

    std::string status() const {
        return is_blocked ? "blocked by the hub"
               : troubles.now().empty()
                   ? "at work"
                   : "in trouble: " + troubles.now().front().what + ": " + troubles.now().front().why;
    }

    /// A clock that was set, or a host that slept.
    void watch_clock() {
        const auto by = clocks.tick(now(), Deadline::clock::now());
        if (!by) return;
        troubles.begin("clock-jump",
                       fmt::format("the clock went {} by {} s, or the host slept",
                                   *by > std::chrono::seconds(0) ? "forward" : "back",
                                   std::chrono::abs(*by).count()),
                       now());
        troubles.end("clock-jump");
        next_look = Deadline::in({});
    }

    void turn() {
        const bool is_news = worker->take_news();
        if (is_news) next_look = next_look.sooner(Deadline::in(look_after_news));
        const bool is_heard = is_reached && quiet_end.passed() && transport && transport->has_news();
        if (is_heard && !was_heard) next_exchange = next_exchange.sooner(Deadline::in(heard_soon()));
        was_heard = is_heard;
        if (!next_exchange.passed() && !next_look.passed()) return;
        is_stored = true;
        const bool is_asked = next_exchange.passed();
        const bool is_reachable =
            guarded("platform", [this] { with_engine([this](Engine& engine) { turn_with(engine); }); });
        // What failed before the hub was asked is tried again as if the hub had failed.
        if (!is_reachable && next_exchange.passed()) next_exchange = Deadline::in(pace.after_failure());
        guarded("database", [&] {
            if (is_asked && is_reached && is_stored && troubles.has("database")) {
                // What could not be written could be by now, and so can this.
                hub::Memory(*database).note_told("database", format_instant(now()));
                troubles.end("database");
            }
            if (add_over() && is_reached) next_exchange = next_exchange.sooner(Deadline::in(told_soon()));
        });
        tell();
        parts.manager.status(status());
    }

    void turn_with(Engine& engine) {
        if (next_look.passed()) {
            next_look = Deadline::in(look_every);
            guarded("look", [&] {
                if (!look(engine).empty()) worker->kick();
            });
            guarded("database", [&] { collect(engine); });
        }
        if (next_exchange.passed()) exchange(engine);
    }

    /// Hosts that were told the same at once do not answer at once.
    std::chrono::milliseconds told_soon() const {
        const std::chrono::milliseconds least = tell_after_news;
        return least + std::chrono::milliseconds(static_cast<int>(5000 * random_share()));
    }

    /// Likewise of what the hub told by itself, which somebody waits for.
    static std::chrono::milliseconds heard_soon() {
        return std::chrono::milliseconds(static_cast<int>(2000 * random_share()));
    }

    void run() {
        const FileLock lock = take_lock(parts.paths);
        add_event("agent-started");
        guarded("database", [this] {
            if (database) set_blocked(hub::Memory(*database).is_blocked());
        });
        worker.emplace([this] { return parts.engine([](const Error&) {}); }, parts.is_asked_to_end, troubles);
        next_exchange = Deadline::in(pace.first());
        parts.manager.ready(status());
        while (!parts.is_asked_to_end()) {
            show_life();
            watch_clock();
            if (parts.is_asked_to_reload()) reload();
            turn();
            open_door();
            if (door) door->serve([this] { return figures(); });
            pause_for(slice);
        }
        parts.manager.stopping("ending: what runs may come to its end");
        worker.reset();
        tell();
        add_event("agent-stopped");
    }

    // -- one turn

    Outcome once() {
        const FileLock lock = take_lock(parts.paths);
        Outcome outcome = Outcome::done;
        bool is_failed = false;
        with_engine([&](Engine& engine) { is_failed = !exchange(engine); });
        // Another one, which knows what the hub told.
        with_engine([&](Engine& engine) { outcome = once_with(engine, is_failed); });
        return outcome;
    }

    Outcome once_with(Engine& engine, bool is_failed) {
        std::map<platform::GuestId, bool> failed; ///< whether the last operation of each did
        constexpr int most_rounds = 5;
        for (int round = 0; round < most_rounds && !is_blocked; ++round) {
            look(engine);
            bool is_changed = false;
            engine.work(parts.is_asked_to_end, [&](const Operation& operation) {
                const bool is_over = is_end(operation.state);
                if (!is_over && operation.state != execution::State::waiting) return;
                is_changed = true;
                failed[operation.target.guest] = is_over && operation.state != execution::State::done;
            });
            if (!is_changed || parts.is_asked_to_end()) break;
        }
        if (!is_blocked) look(engine);
        // What the first report could not tell yet.
        if (!parts.is_asked_to_end() && (is_reached || !failed.empty())) is_failed |= !exchange(engine);
        tell();
        const auto did_fail = [](const auto& each) { return each.second; };
        if (is_failed || std::ranges::any_of(failed, did_fail)) return Outcome::failed;
        const bool is_left = standing && !(standing->left.empty() && standing->unknown.empty());
        return is_left || is_blocked ? Outcome::waiting : Outcome::done;
    }

    hub::Answer try_hub() {
        hub::Answer answer;
        with_engine([&](Engine& engine) {
            hub::Courier& to_hub = courier_for(engine.host().name);
            answer = to_hub.try_out(snapshot(engine, identity, standing, troubles.now(), now()));
        });
        return answer;
    }

    ServiceParts parts;
    ServiceSettings settings;
    Identity identity;
    hub::Pace pace;
    Troubles troubles;
    std::vector<Trouble> over; ///< and not told yet
    std::optional<store::Database> database;
    std::string host_name, known_audit;
    std::unique_ptr<hub::Transport> transport;
    std::optional<hub::Courier> courier;
    std::optional<Standing> standing;
    bool is_blocked = false, is_reached = false, is_stored = true, was_heard = false;
    Deadline next_exchange = Deadline::in({}), next_look = Deadline::in({}), quiet_end = Deadline::in({});
    ClockWatch clocks;
    std::optional<Instant> last_answer;
    std::optional<MetricsDoor> door;
    Deadline next_door = Deadline::in({}), page_end = Deadline::in({});
    std::string page;
    std::optional<Worker> worker; ///< last: it ends first
};

Service::Service(ServiceParts parts) : state_(std::make_unique<State>(std::move(parts))) {}
Service::~Service() = default;

void Service::run() {
    state_->run();
}

Service::Outcome Service::once() {
    return state_->once();
}

hub::Answer Service::try_hub() {
    return state_->try_hub();
}

} // namespace blockhost::agent
