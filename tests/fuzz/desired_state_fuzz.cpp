// SPDX-License-Identifier: MIT
/// Desired states: documents with places, what is read of them, and plans over a host that a second part of
/// the input describes.

#include "agent/dump.hpp"
#include "base/text/json.hpp"
#include "base/text/located_json.hpp"
#include "base/text/text.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

using namespace blockhost;
using namespace blockhost::agent;

namespace {

namespace bj = boost::json;
using json::Located;
using platform::Guest;
using platform::Power;
using Verdict = PlannedAction::Verdict;

bj::value plain(const Located& value) {
    if (value.kind == Located::Kind::list) {
        bj::array all;
        for (const Located& each : value.items) all.push_back(plain(each));
        return all;
    }
    if (value.kind == Located::Kind::object) {
        bj::object all;
        for (const auto& each : value.members) all[each.key] = plain(each.value);
        return all;
    }
    return value.scalar;
}

void check_order(std::string_view text, const Located& value, std::size_t& last) {
    fuzz::check(value.at < text.size() && (value.at > last || last == 0), "places follow each other");
    last = value.at;
    for (const Located& each : value.items) check_order(text, each, last);
    for (const auto& each : value.members) {
        fuzz::check(each.at > last && text[each.at] == '"', "a key stands where it is said to");
        last = each.at;
        check_order(text, each.value, last);
    }
}

void located(std::string_view text) {
    fuzz::answered([&] {
        const auto document = json::LocatedJson::parse(text, "d");
        bj::parse_options options;
        options.max_depth = 64;
        bj::error_code error;
        const bj::value again = bj::parse(text, error, {}, options);
        // As text: 0e999 is no number to Boost, which equals nothing.
        fuzz::check(!error && bj::serialize(plain(document.root())) == bj::serialize(again),
                    "a document is what Boost reads");
        std::size_t last = 0;
        check_order(text, document.root(), last);
    });
}

/// A host of which the text tells: a letter for each guest that is there, in the document's order.
Observed host_of(const Desired& desired, std::string_view letters) {
    Observed observed;
    observed.host.name = desired.host;
    for (std::size_t i = 0; i < desired.guests.size() && i < letters.size(); ++i) {
        const char letter = letters[i];
        if (letter == '-') continue;
        Guest guest;
        guest.id = desired.guests[i].id;
        guest.incarnation = "made:" + guest.id;
        guest.kind = desired.guests[i].kind.value_or(platform::Kind::vm);
        constexpr std::string_view powers = "rspdu";
        guest.power = Power(std::min(powers.find(letter), powers.size() - 1));
        guest.config.emplace();
        guest.config->memory_mib = 512;
        guest.config->disk_mib = 1024;
        if (letter == 'x') guest.unreadable = "it is broken";
        observed.guests.emplace(guest.id, std::move(guest));
    }
    return observed;
}

/// What an action makes of a host.
struct Effect {
    Observed& observed;
    const PlannedAction& planned;

    Guest& guest() const { return observed.guests.at(planned.target.guest); }
    void operator()(const platform::Start&) const { guest().power = Power::running; }
    void operator()(const platform::Resume&) const { guest().power = Power::running; }
    void operator()(const platform::Stop&) const { guest().power = Power::stopped; }
    void operator()(const platform::Grow& grow) const {
        fuzz::check(grow.disk_mib > guest().config->disk_mib, "a disk only grows");
        guest().config->disk_mib = grow.disk_mib;
    }
    void operator()(const platform::SetConfig& set) const {
        platform::GuestConfig& config = *guest().config;
        if (set.name) config.name = *set.name;
        if (set.description) config.description = *set.description;
        if (set.cpus) config.cpus = set.cpus;
        if (set.memory_mib) config.memory_mib = set.memory_mib;
        if (set.tags) config.tags = *set.tags;
        if (set.start_on_boot) config.start_on_boot = *set.start_on_boot;
        if (set.is_protected) config.is_protected = *set.is_protected;
    }
    void operator()(const platform::Create& create) const {
        Guest made;
        made.id = planned.target.guest;
        made.incarnation = "made:again";
        made.kind = planned.kind;
        made.power = Power::stopped;
        made.config = create.config;
        fuzz::check(observed.guests.emplace(made.id, made).second, "nobody is made twice");
    }
    void operator()(const platform::Destroy&) const {
        fuzz::check(planned.verdict == Verdict::needs_signature, "a destroy needs a signature");
        observed.guests.erase(planned.target.guest);
    }
    template<class Other>
    void operator()(const Other&) const {
        fuzz::finding("a plan has no such action");
    }
};

void check_action(const PlannedAction& planned, const std::set<std::string>& named,
                  const Observed& observed) {
    fuzz::check(named.contains(planned.target.guest), "only who is named has a plan");
    const auto seen = observed.guests.find(planned.target.guest);
    fuzz::check(seen == observed.guests.end() || seen->second.unreadable.empty(),
                "who cannot be read has no plan");
    fuzz::check((seen == observed.guests.end()) == planned.target.incarnation.empty(),
                "an action is for the incarnation that was seen");
    fuzz::check(planned.action || planned.verdict == Verdict::impossible, "what is possible is an action");
    fuzz::check((planned.verdict == Verdict::benign) == planned.why.empty(), "what is not benign says why");
    fuzz::check(!planned.reason.empty() && !planned.changes.empty(), "an action has a reason");
}

/// What is planned over a host, done, and planned again, leaves nothing but what cannot be.
void plans(const Desired& desired, std::string_view letters) {
    Observed observed = host_of(desired, letters);
    std::set<std::string> named;
    for (const WantedGuest& guest : desired.guests) named.insert(guest.id);
    const Refusal none = [](const platform::Action&, platform::Kind) { return std::nullopt; };
    for (int round = 0; round < 3; ++round) { // a create, what follows it, and nothing
        const Plan plan = make_plan(desired, observed, none);
        for (const PlannedAction& planned : plan.actions) check_action(planned, named, observed);
        if (round == 2)
            fuzz::check(plan.actions.size() == plan.count(Verdict::impossible),
                        "what was done is not planned again");
        fuzz::check(json::python_line(as_json(plan)).size() > 2, "a plan can be written");
        for (const PlannedAction& planned : plan.actions)
            if (planned.verdict != Verdict::impossible)
                std::visit(Effect{observed, planned}, *planned.action);
    }
    try {
        const Desired again = parse_desired(json::python_line(dump_desired(observed, 1).document), "dump");
        fuzz::check(make_plan(again, observed, none).actions.empty() && again.warnings.empty(),
                    "a plan over a dump is empty");
    } catch (const Error&) {
        fuzz::finding("a dump is a document");
    }
}

void check_refusal(const Error& error) {
    fuzz::check(error.message().starts_with("d:") && !error.hint().empty(),
                "a refusal has a place and says what to do");
    fuzz::check(text::printable(error.message(), 1 << 20) == error.message(), "a refusal is a line");
}

void desired_state(std::string_view input) {
    const auto parts = fuzz::parts_of(input);
    located(parts.front());
    std::optional<Desired> desired;
    try {
        desired = parse_desired(parts.front(), "d");
    } catch (const Error& error) {
        return check_refusal(error);
    }
    for (const std::string& warning : desired->warnings)
        fuzz::check(text::printable(warning, 1 << 20) == warning, "a warning is a line");
    for (const WantedGuest& guest : desired->guests)
        fuzz::check(is_name(guest.id) && guest.place.starts_with("d:"), "a guest has a name and a place");
    plans(*desired, parts.size() > 1 ? parts[1] : "");
}

} // namespace

FUZZ_TARGET(desired_state)
