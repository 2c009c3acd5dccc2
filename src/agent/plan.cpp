// SPDX-License-Identifier: MIT
#include "agent/plan.hpp"

#include "authority/classifier.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>

namespace blockhost::agent {

namespace {

using platform::Action;
using platform::Guest;
using platform::GuestConfig;
using platform::Kind;
using platform::Power;
using Verdict = PlannedAction::Verdict;

std::string shown(const std::set<std::string>& tags) {
    return text::join({tags.begin(), tags.end()}, ", ");
}
std::string shown(bool value) {
    return value ? "true" : "false";
}
std::string shown(const std::string& text) {
    return text;
}
std::string shown(int number) {
    return std::to_string(number);
}
std::string shown(std::int64_t number) {
    return std::to_string(number);
}
template<class Value>
std::string shown(const std::optional<Value>& value) {
    return value ? shown(*value) : "";
}

std::string text_of(const Error& error) {
    return error.message() + (error.hint().empty() ? "" : ": " + error.hint());
}

/// Plans for one guest.
class Planner {
  public:
    Planner(Plan& plan, const WantedGuest& wanted, const Refusal& refusal)
        : plan_(plan), wanted_(wanted), refusal_(refusal) {}

    void for_absent(const std::string& doubt) {
        if (!doubt.empty()) return unknown("it is not seen, and may be there all the same: " + doubt);
        if (wanted_.power == WantedPower::absent) return;
        kind_ = wanted_.kind.value_or(Kind::vm);
        create();
    }

    void for_guest(const Guest& guest) {
        if (!guest.unreadable.empty()) return unknown("it cannot be read: " + guest.unreadable);
        if (guest.is_partial || !guest.config) return unknown("its configuration was not read");
        guest_ = &guest;
        kind_ = guest.kind;
        if (wanted_.kind && *wanted_.kind != guest.kind) {
            impossible("kind", std::string(to_string(guest.kind)), std::string(to_string(*wanted_.kind)),
                       "it is another kind of guest",
                       "no guest becomes one of the other kind: make a new one under another name");
            return;
        }
        if (wanted_.power == WantedPower::absent) return destroy();
        if (wanted_.power && guest.power == Power::unknown) return unknown("its power state is not known");
        if (wanted_.power == WantedPower::stopped) stop();
        set_config();
        grow();
        if (wanted_.power == WantedPower::running) run();
        compare_owner();
        note_unapplied();
    }

  private:
    void unknown(std::string what) { plan_.unknown.push_back({wanted_.id, std::move(what)}); }
    void note(std::string what) { plan_.notes.push_back({wanted_.id, std::move(what)}); }

    PlannedAction& add(std::string reason, std::vector<Change> changes) {
        PlannedAction& planned = plan_.actions.emplace_back();
        planned.target.guest = wanted_.id;
        planned.kind = kind_;
        planned.reason = std::move(reason);
        planned.changes = std::move(changes);
        if (guest_ == nullptr) return planned;
        planned.target.incarnation = guest_->incarnation;
        planned.digest = guest_->digest;
        if (guest_->lock != "suspended") planned.lock = guest_->lock;
        return planned;
    }

    PlannedAction& add(Action action, std::string reason, std::vector<Change> changes) {
        PlannedAction& planned = add(std::move(reason), std::move(changes));
        const auto kind = to_string(kind_of(action));
        if (const auto refused = refusal_(action, kind_)) {
            planned.verdict = Verdict::impossible;
            planned.why = text_of(*refused);
        } else if (authority::class_of(kind, authority::Provenance::ordinary) ==
                   authority::Class::destructive) {
            planned.verdict = Verdict::needs_signature;
            planned.why = authority::loss_of(kind);
        }
        planned.action = std::move(action);
        return planned;
    }

    void impossible(std::string field, std::string from, std::string to, std::string reason,
                    std::string why) {
        PlannedAction& planned = add(std::move(reason), {{std::move(field), std::move(from), std::move(to)}});
        planned.verdict = Verdict::impossible;
        planned.why = std::move(why);
    }

    Change power_change(std::string_view to) const {
        return {"power", guest_ != nullptr ? std::string(to_string(guest_->power)) : "absent",
                std::string(to)};
    }

    /// A guest whose memory is on disk does not run.
    bool is_off() const { return guest_->power == Power::stopped || guest_->power == Power::suspended; }

    void stop() {
        if (is_off()) return;
        add(platform::Stop{}, "it is to be off", {power_change("stopped")});
    }

    void run() {
        if (guest_->power == Power::running) return;
        const bool resumes = guest_->power != Power::stopped || guest_->lock == "suspended";
        add(resumes ? Action(platform::Resume{}) : Action(platform::Start{}), "it is to run",
            {power_change("running")});
    }

    void destroy() {
        if (guest_->config->is_protected)
            return impossible(
                "power", std::string(to_string(guest_->power)), "absent", "it is to be gone",
                "it is protected: say \"protected\": false in an earlier document, and apply that");
        const Change change = power_change("absent");
        add(platform::Destroy{}, is_off() ? "it is to be gone" : "it is to be gone, and is forced off first",
            {change});
    }

    /// A wish that is not what is there becomes a member of the change.
    template<class Wish, class Now>
    void compare(const char* field, const std::optional<Wish>& wish, const Now& now,
                 std::optional<Wish>& member, std::vector<Change>& changes) const {
        if (!wish || now == *wish) return;
        member = wish;
        changes.push_back({field, shown(now), shown(*wish)});
    }

    void set_config() {
        const GuestConfig& now = *guest_->config;
        platform::SetConfig set;
        std::vector<Change> changes;
        compare("name", wanted_.name, now.name, set.name, changes);
        compare("cpus", wanted_.cpus, now.cpus, set.cpus, changes);
        compare("memory_mib", wanted_.memory_mib, now.memory_mib, set.memory_mib, changes);
        compare("description", wanted_.description, now.description, set.description, changes);
        compare("tags", wanted_.tags, now.tags, set.tags, changes);
        compare("start_on_boot", wanted_.start_on_boot, now.start_on_boot, set.start_on_boot, changes);
        compare("protected", wanted_.is_protected, now.is_protected, set.is_protected, changes);
        if (changes.empty()) return;
        set.digest = guest_->digest;
        if (!is_off() && wanted_.power != WantedPower::stopped && (set.cpus || set.memory_mib))
            note("it runs: new cpus and memory_mib are what it has from its next start on, at the latest");
        add(std::move(set), "its configuration is another", std::move(changes));
    }

    void grow() {
        const auto now = guest_->config->disk_mib;
        if (!wanted_.disk_mib || now == wanted_.disk_mib) return;
        if (!now) return unknown("the size of its disk is not told");
        const std::string from = shown(*now), to = shown(*wanted_.disk_mib);
        if (*now > *wanted_.disk_mib)
            return impossible(
                "disk_mib", from, to, "its disk is larger than it is to be",
                "a disk only grows: make a new guest with a smaller one, and move its data there");
        add(platform::Grow{*wanted_.disk_mib}, "its disk is to be larger", {{"disk_mib", from, to}});
    }

    /// What a platform refuses to give a new guest, and what can be done without at first, is left out.
    void create() {
        if (!wanted_.source)
            return impossible(
                "power", "absent", std::string(wanted_.power ? to_string(*wanted_.power) : "present"),
                "it is not there", "the document does not say what it is made of: give it a source");
        constexpr Given everything{}, nothing{false, false, false};
        platform::Create made = create_with(everything);
        for (const Given& given :
             {Given{.texts = false}, Given{.disk = false}, Given{.owner = false},
              Given{.disk = false, .texts = false}, Given{.owner = false, .texts = false},
              Given{.disk = false, .owner = false}, nothing}) {
            if (!refusal_(made, kind_)) break;
            platform::Create other = create_with(given);
            if (refusal_(other, kind_)) continue;
            tell_of_left_out(given);
            made = std::move(other);
        }
        std::vector<Change> changes;
        const GuestConfig& config = made.config;
        if (!config.name.empty()) changes.push_back({"name", "", config.name});
        if (config.cpus) changes.push_back({"cpus", "", shown(*config.cpus)});
        if (config.memory_mib) changes.push_back({"memory_mib", "", shown(*config.memory_mib)});
        if (config.disk_mib) changes.push_back({"disk_mib", "", shown(*config.disk_mib)});
        if (!config.description.empty()) changes.push_back({"description", "", config.description});
        if (!config.tags.empty()) changes.push_back({"tags", "", shown(config.tags)});
        if (config.start_on_boot) changes.push_back({"start_on_boot", "", "true"});
        if (config.is_protected) changes.push_back({"protected", "", "true"});
        changes.push_back({wanted_.source->kind == Source::Kind::backup ? "source.backup" : "source.template",
                           "", wanted_.source->name});
        add(std::move(made), "it is not there", std::move(changes));
        note_unapplied();
    }

    /// What a new guest is given of what the document says.
    struct Given {
        bool disk = true, owner = true, texts = true; ///< texts: description and tags
    };

    void tell_of_left_out(const Given& given) {
        if (!given.disk && wanted_.disk_mib)
            note("its disk grows once it is there: the platform makes it as large as its source's");
        if (!given.owner && wanted_.owner_wallet) note("the platform does not keep its owner_wallet");
        if (!given.texts && (wanted_.description || wanted_.tags))
            note("its description and tags are set once it is there");
    }

    platform::Create create_with(const Given& given) const {
        platform::Create create;
        const bool is_current =
            wanted_.source->kind == Source::Kind::template_version && wanted_.source->name == "current";
        if (!is_current) create.source = wanted_.source->name; // the current one has no name
        GuestConfig& config = create.config;
        config.name = wanted_.name.value_or("");
        config.cpus = wanted_.cpus;
        config.memory_mib = wanted_.memory_mib;
        if (given.disk) config.disk_mib = wanted_.disk_mib;
        if (given.texts) config.description = wanted_.description.value_or("");
        if (given.texts) config.tags = wanted_.tags.value_or(std::set<std::string>());
        config.start_on_boot = wanted_.start_on_boot.value_or(false);
        config.is_protected = wanted_.is_protected.value_or(false);
        if (given.owner && wanted_.owner_wallet) config.details["owner_wallet"] = *wanted_.owner_wallet;
        return create;
    }

    void compare_owner() {
        if (!wanted_.owner_wallet) return;
        const auto told = guest_->config->details.find("owner_wallet");
        if (told == guest_->config->details.end()) return note("the platform does not tell its owner_wallet");
        if (told->second != *wanted_.owner_wallet)
            impossible("owner_wallet", told->second, *wanted_.owner_wallet, "it has another owner",
                       "no action gives a guest to somebody else");
    }

    /// Wishes that nothing compares yet, and changes that wait.
    void note_unapplied() {
        if (wanted_.cpu_percent) note("limits.cpu_percent is not compared: no platform tells it yet");
        if (wanted_.expires_at) note("expires_at is not compared: no platform tells it yet");
        if (guest_ == nullptr || !guest_->running) return;
        const GuestConfig &coming = *guest_->config, &now = *guest_->running;
        std::vector<std::string> waiting;
        const auto compare = [&](const char* field, const auto& one, const auto& other) {
            if (one != other)
                waiting.push_back(std::string(field) + " is " + shown(one) + " now and " + shown(other) +
                                  " at its next start");
        };
        compare("cpus", now.cpus, coming.cpus);
        compare("memory_mib", now.memory_mib, coming.memory_mib);
        if (waiting.empty() && now != coming) waiting.emplace_back("a change of it waits for its next start");
        if (!waiting.empty()) note(text::join(waiting, ", "));
    }

    Plan& plan_;
    const WantedGuest& wanted_;
    const Refusal& refusal_;
    const Guest* guest_ = nullptr;
    Kind kind_ = Kind::vm;
};

/// Storage that the document does not name is left alone, mounted or not: taking it away is said by a verb.
void plan_storage(Plan& plan, const std::string& name, const WantedStorage& wanted, const SeenStorage& seen,
                  const Refusal& refusal) {
    const platform::Target target = platform::storage_target(name, wanted.uuid);
    if (!seen.unreadable.empty()) {
        plan.unknown.push_back({target.guest, "whether it is mounted cannot be seen: " + seen.unreadable});
        return;
    }
    if (!seen.is_mounted) {
        plan.notes.push_back({target.guest, "it is not compared: the platform mounts no storage"});
        return;
    }
    if (*seen.is_mounted) return;
    PlannedAction& planned = plan.actions.emplace_back();
    planned.target = target;
    planned.action = platform::Mount{wanted.mount};
    planned.changes = {{"mount", "", wanted.mount}};
    planned.reason = "it is not mounted there, now and after each start";
    if (const auto refused = refusal(*planned.action, planned.kind)) {
        planned.verdict = Verdict::impossible;
        planned.why = text_of(*refused);
    }
}

} // namespace

std::string_view to_string(Verdict verdict) {
    constexpr std::array<std::string_view, 3> words{"benign", "needs-signature", "impossible"};
    return words[static_cast<std::size_t>(verdict)];
}

std::string_view name_of(const PlannedAction& planned) {
    return planned.action ? to_string(kind_of(*planned.action)) : std::string_view();
}

std::size_t Plan::count(Verdict verdict) const {
    return static_cast<std::size_t>(std::ranges::count(actions, verdict, &PlannedAction::verdict));
}

Plan make_plan(const Desired& desired, const Observed& observed, const Refusal& refusal) {
    Plan plan;
    plan.host = observed.host.name;
    plan.generation = desired.generation;
    plan.desired_digest = desired.digest;
    plan.doubt = observed.doubt;
    for (const WantedGuest& wanted : desired.guests) {
        Planner planner(plan, wanted, refusal);
        const auto seen = observed.guests.find(wanted.id);
        if (seen == observed.guests.end())
            planner.for_absent(observed.doubt);
        else
            planner.for_guest(seen->second);
    }
    for (const auto& [name, wanted] : desired.storage)
        if (const auto seen = observed.storage.find(name); seen != observed.storage.end())
            plan_storage(plan, name, wanted, seen->second, refusal);
    return plan;
}

} // namespace blockhost::agent
