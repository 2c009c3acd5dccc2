// SPDX-License-Identifier: MIT
/// See throttle.hpp.

#include "limits/throttle.hpp"

#include "limits/apply.hpp"
#include "vm/observation.hpp"
#include "vm/renamed.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace blockhost::limits {

namespace {

using namespace std::chrono_literals;

constexpr auto patience_for_others = 20s;

bool runs(const Observation& seen) {
    return seen.domain->state == PowerState::running || seen.domain->state == PowerState::stopping;
}

/// Throws unless the VM has a domain that is provably this instance's.
void require_ours(const Observation& seen) {
    const std::string& name = seen.name.str();
    if (seen.domain && seen.proof == Proof::none)
        throw Error(Code::foreign, name + " is " + seen.stranger + "; it is left untouched");
    if (seen.domain) return;
    if (!seen.renamed_to.empty()) throw renamed(name, seen.renamed_to);
    if (!seen.record) throw Error(Code::not_found, "there is no VM named " + name);
    if (seen.record->status == RecordStatus::destroyed) throw Error(Code::not_found, name + " was destroyed");
    throw Error(Code::not_found, "the domain of " + name + " is gone from libvirt");
}

void require_state(const Observation& seen, bool persist) {
    const std::string& name = seen.name.str();
    if (runs(seen)) return;
    if (seen.domain->state != PowerState::off)
        throw Error(
            Code::wrong_state,
            fmt::format("{} is not running: it is {}", name, blockhost::to_string(seen.domain->state)),
            fmt::format("start {} first", name));
    if (!persist)
        throw Error(Code::wrong_state, name + " is not running",
                    "start it first, or write the limits into its definition with --persist");
}

LimitFile take_file(const World& world, const VmName& name) {
    auto file = LimitFile::take(world.journal.place(), name, Deadline::in(patience_for_others));
    if (!file)
        throw Error(Code::busy, fmt::format("another throttle of {} is at work", name.str()),
                    "try again when it is done");
    return std::move(*file);
}

/// What the definition says, less what --persist wrote.
Settings creation_settings(World& world, const Observation& seen, const LimitNotes& notes) {
    Settings all;
    if (!seen.domain->persistent) {
        for (const LimitRow& row : limit_table()) all[row.limit] = no_limit(row.limit, weights_of(world));
        return all;
    }
    all = look_at_limits(world, seen.name, TuningOf::definition);
    for (auto& [limit, setting] : all)
        if (const LimitPart* part = notes.find(TuningOf::definition, limit); part && part->covers(setting))
            setting = part->before;
    return all;
}

/// One throttle under way.
class Throttling {
  public:
    Throttling(World& world, const Observation& seen, const LimitFile& file, const ThrottleRequest& request)
        : world_(world), seen_(seen), file_(file), request_(request), notes_(file.read()),
          now_(moment_now()) {
        if (notes_.uuid != seen.domain->uuid) notes_ = {seen.domain->uuid, {}}; // of an earlier VM
        if (request.reset) creation_ = creation_settings(world, seen, notes_);
    }

    void run(TuningOf which) {
        const Settings current = look_at_limits(world_, seen_.name, which);
        const Settings wanted = wanted_for(which, current);
        const auto before = notes_.parts;
        for (const auto& [limit, setting] : wanted)
            if (remembers(which, limit)) remember(which, limit, setting, current);
        if (notes_.parts != before || remembers(which)) file_.write(notes_);
        const Applied applied = apply_limits(world_, seen_.name, which, wanted, current);
        for (const auto& [limit, setting] : wanted) {
            if (applied.reached.count(limit) != 0) {
                settle(which, limit, setting);
                continue;
            }
            refused_.insert(limit);
            if (const auto old = before.find({which, limit}); old != before.end())
                put_back(which, limit, old->second);
        }
        if (notes_.parts != before || remembers(which)) file_.write(notes_);
        tell(which, applied);
    }

    /// A failure is an error line: what was done before it stays true.
    void run_further(TuningOf which) {
        try {
            run(which);
        } catch (const Error& error) {
            end.errors.push_back(side_prefix(which) + error.message());
        }
    }

    /// A reset of what runs leaves the definition, which may still have limits that --persist wrote.
    void warn_of_persisted() {
        const bool left = std::ranges::any_of(
            notes_.parts, [](const auto& part) { return part.first.first == TuningOf::definition; });
        if (left)
            world_.progress.warn(
                fmt::format("the definition of {} still has limits that --persist wrote; --reset --persist "
                            "takes them back too",
                            seen_.name.str()));
    }

    ThrottleEnd end;

  private:
    /// A reset leaves out limits of devices that the VM lacks; asking for them is an error that tune() words.
    /// A limit that this host cannot set is not written into a definition, where it would keep the VM from
    /// starting.
    Settings wanted_for(TuningOf which, const Settings& current) {
        Settings wanted;
        if (!request_.reset) {
            for (const auto& [limit, value] : request_.values) {
                if (refused_.count(limit) == 0)
                    wanted[limit] = beside(current, limit, setting_for(limit, value, weights_of(world_)));
                else
                    end.errors.push_back(fmt::format("{}{}: not written, since the running VM did not get it",
                                                     side_prefix(TuningOf::definition), row_of(limit).title));
            }
            displace_total(wanted, current);
            return wanted;
        }
        displaced_.clear();
        for (const auto& [limit, setting] : creation_)
            if (current.count(limit) != 0 && limit != Limit::iops_total)
                wanted[limit] = which == TuningOf::running && is_unsaid(limit, setting)
                                    ? no_limit(limit, weights_of(world_))
                                    : setting;
        bring_total_back(which, wanted, current);
        return wanted;
    }

    static bool is_unsaid(Limit limit, const Setting& setting) {
        return limit == Limit::cpu_quota && setting == Setting{};
    }

    /// Adds what stays of an operator's bandwidth setting: the share that is kept for the interface.
    static Setting beside(const Settings& current, Limit limit, Setting setting) {
        const auto found = current.find(limit);
        if (limit == Limit::bandwidth_in && found != current.end()) setting[3] = found->second[3];
        return setting;
    }

    /// libvirt has no total IOPS limit beside one of reads or writes. An operator's total stands aside while
    /// throttle sets one of those, and limits the other of the two meanwhile.
    void displace_total(Settings& wanted, const Settings& current) {
        displaced_.clear();
        const auto total = current.find(Limit::iops_total);
        if (total == current.end() || total->second[0] == 0) return;
        bool sets = false;
        for (const Limit limit : {Limit::iops_read, Limit::iops_write})
            if (const auto found = wanted.find(limit); found != wanted.end() && found->second[0] != 0)
                sets = true;
        if (!sets) return;
        for (const Limit limit : {Limit::iops_read, Limit::iops_write}) {
            wanted.emplace(limit, total->second);
            displaced_.insert(limit);
        }
        wanted[Limit::iops_total] = {};
        displaced_.insert(Limit::iops_total);
    }

    /// Gives the running VM back the total that stood aside, and what was beside it.
    void bring_total_back(TuningOf which, Settings& wanted, const Settings& current) const {
        const LimitPart* total = notes_.find(which, Limit::iops_total);
        const auto shown = current.find(Limit::iops_total);
        if (!total || shown == current.end() || !total->covers(shown->second)) return;
        for (const Limit limit : {Limit::iops_read, Limit::iops_write, Limit::iops_total})
            if (const LimitPart* part = notes_.find(which, limit)) wanted[limit] = part->before;
    }

    /// Limits that end by themselves, and limits in the definition, need a note of what was there before.
    bool remembers(TuningOf which) const {
        return !request_.reset && (request_.span || which == TuningOf::definition);
    }
    /// An operator's limit that stands aside needs such a note too.
    bool remembers(TuningOf which, Limit limit) const {
        return remembers(which) || (!request_.reset && displaced_.count(limit) != 0);
    }

    /// Called before the setting is set, so that it is recognised later as throttle's.
    void remember(TuningOf which, Limit limit, const Setting& setting, const Settings& current) {
        const auto shown = current.find(limit);
        if (shown == current.end()) return;
        const LimitPart* old = notes_.find(which, limit);
        LimitPart part;
        if (old && old->covers(shown->second))
            part = *old;
        else
            part.before = shown->second;
        if (!part.covers(setting)) part.ours.push_back(setting);
        if (request_.span && old && old->covers(shown->second) && !old->until) part.lasting = shown->second;
        if (request_.span) part.until = after(now_, *request_.span);
        notes_.parts[{which, limit}] = part;
    }

    /// Called after the setting was seen.
    void settle(TuningOf which, Limit limit, const Setting& setting) {
        const auto found = notes_.parts.find({which, limit});
        if (found == notes_.parts.end()) return;
        if (!remembers(which, limit)) {
            notes_.parts.erase(found);
            return;
        }
        found->second.ours = {setting};
        if (request_.span) return;
        found->second.until.reset();
        found->second.lasting.reset();
    }

    /// Called when the setting was not seen; libvirt may still carry it out.
    void put_back(TuningOf which, Limit limit, const LimitPart& old) {
        LimitPart& part = notes_.parts[{which, limit}];
        part.before = old.before;
        part.until = old.until;
        part.lasting = old.lasting;
        for (const Setting& setting : old.ours)
            if (!part.covers(setting)) part.ours.push_back(setting);
    }

    void tell(TuningOf which, const Applied& applied) {
        for (const auto& [limit, setting] : applied.reached) {
            const auto asked = request_.values.find(limit);
            const bool is_asked = !request_.reset && asked != request_.values.end();
            end.lines.push_back(
                side_prefix(which) +
                change_line(limit, setting, is_asked ? std::optional(asked->second) : std::nullopt));
            if (limit == Limit::cpu_shares && is_asked && setting[0] != asked->second)
                world_.progress.warn(fmt::format("this host's least weight is {}", setting[0]));
        }
        end.errors.insert(end.errors.end(), applied.errors.begin(), applied.errors.end());
    }

    World& world_;
    const Observation& seen_;
    const LimitFile& file_;
    const ThrottleRequest& request_;
    LimitNotes notes_;
    Moment now_;
    Settings creation_;         ///< for a reset
    std::set<Limit> refused_;   ///< what the running VM did not get
    std::set<Limit> displaced_; ///< limits set because a total is displaced, on the side at hand
};

} // namespace

ThrottleEnd throttle(World& world, const VmName& name, const ThrottleRequest& request) {
    if (request.values.empty() && !request.reset)
        throw Error(Code::invalid, "no limit is given", "name one, or --reset or --show");
    const LimitFile file = take_file(world, name);
    const Observation seen = observe(world, name);
    require_ours(seen);
    require_state(seen, request.persist);
    Throttling throttling(world, seen, file, request);
    if (runs(seen)) throttling.run(TuningOf::running);
    if (request.persist)
        throttling.run_further(TuningOf::definition);
    else if (request.reset)
        throttling.warn_of_persisted();
    return std::move(throttling.end);
}

LimitsShown show_limits(World& world, const VmName& name) {
    const Observation seen = observe(world, name);
    require_ours(seen);
    LimitsShown shown;
    if (is_alive(seen.domain->state)) shown.running = look_at_limits(world, name, TuningOf::running);
    if (seen.domain->persistent) shown.definition = look_at_limits(world, name, TuningOf::definition);
    const auto notes = LimitFile::peek(world.journal.place(), name);
    if (!notes || notes->uuid != seen.domain->uuid) return shown;
    const Moment now = moment_now();
    for (const auto& [key, part] : notes->parts) {
        const auto& [which, limit] = key;
        const Settings& side = which == TuningOf::definition ? shown.definition
                               : shown.running               ? *shown.running
                                                             : Settings();
        const auto current = side.find(limit);
        if (part.until && current != side.end() && part.covers(current->second))
            shown.until[key] = std::chrono::floor<std::chrono::seconds>(now.wall + left(*part.until, now));
    }
    return shown;
}

void forget_limits(World& world, const VmName& name) {
    if (LimitFile::exists(world.journal.place(), name)) take_file(world, name).write({});
}

} // namespace blockhost::limits
