// SPDX-License-Identifier: MIT
#include "agent/dump.hpp"

#include "base/text/text.hpp"
#include "model/names.hpp"

#include <boost/json/array.hpp>

namespace blockhost::agent {

namespace {

namespace bj = boost::json;
using platform::Guest;
using platform::GuestConfig;
using platform::Power;

bj::array as_json(const std::vector<Remark>& remarks) {
    bj::array all;
    for (const Remark& each : remarks) all.push_back(bj::object{{"guest", each.guest}, {"what", each.what}});
    return all;
}

bj::object as_json(const PlannedAction& planned) {
    bj::array changes;
    for (const Change& each : planned.changes)
        changes.push_back(bj::object{{"field", each.field}, {"from", each.from}, {"to", each.to}});
    return {{"guest", planned.target.guest},
            {"kind",
             planned.action && is_on_storage(kind_of(*planned.action)) ? "storage" : to_string(planned.kind)},
            {"incarnation", planned.target.incarnation},
            {"action", name_of(planned)},
            {"changes", std::move(changes)},
            {"reason", planned.reason},
            {"verdict", to_string(planned.verdict)},
            {"why", planned.why},
            {"digest", planned.digest},
            {"lock", planned.lock}};
}

bool is_within(std::int64_t value, std::int64_t least, std::int64_t most) {
    return value >= least && value <= most;
}

/// One guest as a document says it; `leave` is told what no document may say.
class Describer {
  public:
    Describer(const Guest& guest, std::vector<Remark>& left_out) : guest_(guest), left_out_(left_out) {}

    bj::object describe() {
        const GuestConfig& config = *guest_.config;
        said_["kind"] = to_string(guest_.kind);
        if (guest_.power == Power::running || guest_.power == Power::stopped)
            said_["power"] = to_string(guest_.power);
        else
            leave("its power state: it is " + std::string(to_string(guest_.power)));
        if (!config.name.empty() && config.name != guest_.id)
            say("name", bj::string(config.name), is_name(config.name), "its name");
        if (config.cpus) say("cpus", *config.cpus, is_within(*config.cpus, 1, bounds::cpus), "its CPUs");
        if (config.memory_mib)
            say("memory_mib", *config.memory_mib,
                is_within(*config.memory_mib, bounds::memory_least_mib, bounds::memory_most_mib),
                "its memory");
        if (config.disk_mib) say_disk(*config.disk_mib);
        if (!config.description.empty())
            say("description", bj::string(config.description),
                config.description.size() <= bounds::description_bytes, "its description");
        if (!config.tags.empty()) say_tags(config.tags);
        if (config.start_on_boot) said_["start_on_boot"] = true;
        if (config.is_protected) said_["protected"] = true;
        const auto owner = config.details.find("owner_wallet");
        if (owner != config.details.end())
            say("owner_wallet", bj::string(owner->second), Wallet::trusted(owner->second).has_value(),
                "its owner");
        return std::move(said_);
    }

  private:
    void leave(std::string what) { left_out_.push_back({guest_.id, std::move(what)}); }

    void say(std::string_view key, bj::value value, bool fits, std::string_view what) {
        if (fits)
            said_[key] = std::move(value);
        else
            leave(std::string(what) + ": no document may say that");
    }

    void say_disk(std::int64_t mib) {
        constexpr std::int64_t gib = 1024;
        const bool fits = is_within(mib, 1, bounds::disk_gib * gib);
        if (mib % gib == 0)
            say("disk_gib", mib / gib, fits, "its disk's size");
        else
            say("disk_mib", mib, fits, "its disk's size");
    }

    void say_tags(const std::set<std::string>& tags) {
        bool fit = true;
        for (const std::string& tag : tags) fit = fit && is_tag(tag);
        say("tags", bj::array(tags.begin(), tags.end()), fit, "its tags");
    }

    const Guest& guest_;
    std::vector<Remark>& left_out_;
    bj::object said_;
};

} // namespace

bj::object as_json(const Plan& plan) {
    bj::array actions;
    for (const PlannedAction& each : plan.actions) actions.push_back(as_json(each));
    return {{"host", plan.host},
            {"generation", plan.generation},
            {"converged", plan.is_converged()},
            {"actions", std::move(actions)},
            {"unknown", as_json(plan.unknown)},
            {"notes", as_json(plan.notes)},
            {"doubt", plan.doubt},
            {"desired_digest", plan.desired_digest}};
}

Dumped dump_desired(const Observed& observed, std::int64_t generation) {
    Dumped dumped;
    bj::object guests;
    for (const auto& [id, guest] : observed.guests) {
        if (!guest.unreadable.empty())
            dumped.left_out.push_back({id, "the guest: it cannot be read: " + guest.unreadable});
        else if (!guest.config || guest.is_partial)
            dumped.left_out.push_back({id, "the guest: its configuration was not read"});
        else if (!is_name(id))
            dumped.left_out.push_back({id, "the guest: no document may say its name"});
        else
            guests[id] = Describer(guest, dumped.left_out).describe();
    }
    dumped.document = {{"version", 1},
                       {"host", observed.host.name},
                       {"generation", generation},
                       {"guests", std::move(guests)}};
    return dumped;
}

} // namespace blockhost::agent
