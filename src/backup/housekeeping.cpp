// SPDX-License-Identifier: MIT
#include "backup/housekeeping.hpp"

#include "backup/completeness.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "vm/clock_check.hpp"
#include "vm/observation.hpp"
#include "vm/remembered.hpp"

#include <fmt/format.h>
#include <map>

namespace blockhost::backup {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::days week{7};
/// Timers do not come to the minute.
constexpr auto tolerance = 6h;
constexpr unsigned quarters = 4;
constexpr const char* told_file = "backups.json";

/// Which VMs are there. Each name is looked at once.
class Living {
  public:
    explicit Living(World& world) : world_(world) {}

    bool is_there(const Backup& backup) {
        const auto [at, is_new] = seen_.try_emplace(backup.vm.str());
        if (is_new) at->second = look(backup.vm);
        return at->second.may_be_any || at->second.uuid == backup.uuid.str();
    }

  private:
    struct Seen {
        std::string uuid = {};   ///< the domain's
        bool may_be_any = false; ///< a live record, and no domain that could tell
    };

    Seen look(const VmName& name) {
        const Observation seen = observe(world_, name);
        if (seen.domain && seen.proof != Proof::none) return {text::lower(seen.domain->uuid)};
        return {"", seen.record && seen.record->status != RecordStatus::destroyed};
    }

    World& world_;
    std::map<std::string, Seen> seen_;
};

bool is_whole(const Backup& backup, const Restic& restic, Ledger& ledger, Noting noting) {
    if (ledger.is_whole(backup.id)) return true;
    if (!missing_in(restic, backup).empty()) return false;
    if (noting == Noting::notes) ledger.note_whole(backup.id);
    return true;
}

std::optional<Instant> gone_since(const Backup& backup, bool is_there, Ledger& ledger, Instant when,
                                  Noting noting) {
    if (is_there) {
        if (noting == Noting::notes && ledger.known_gone_since(backup.uuid)) ledger.note_live(backup.uuid);
        return std::nullopt;
    }
    return noting == Noting::notes ? ledger.gone_since(backup.uuid, when)
                                   : ledger.known_gone_since(backup.uuid).value_or(when);
}

bool is_time(Ledger& ledger, Chore chore, std::chrono::hours every, Instant when) {
    const auto last = ledger.last_good(chore);
    return !last || *last > when || *last + every <= when + tolerance;
}

} // namespace

std::vector<Fate> judge(World& world, const Settings& settings, const Restic& restic, Ledger& ledger,
                        Instant when, Noting noting) {
    const Catalogue catalogue(restic.snapshots());
    Living living(world);
    std::vector<Found> all;
    for (const Backup& each : catalogue.all()) {
        if (each.instance == world.instance)
            world.progress.detail(fmt::format("{} of {}", each.short_id(), each.vm.str()));
        all.push_back({each, each.instance == world.instance && is_whole(each, restic, ledger, noting)});
    }
    const auto rule_of = [&](const Backup& backup) {
        return Rule{settings.policies.for_vm(backup.vm).keep,
                    gone_since(backup, living.is_there(backup), ledger, when, noting)};
    };
    return decide_fates(all, world.instance, rule_of, settings.policies.keep_destroyed, when);
}

void require_clock(const World& world) {
    if (const auto doubt = clock_doubt(world))
        throw Error(Code::clock, "the clock is not to be trusted: " + doubt->what + "; nothing is forgotten",
                    "set the clock right; if it is right, --force-clock goes on");
}

void require_keeper(const Settings& settings) {
    if (!settings.policies.append_only) return;
    throw Error(Code::denied,
                fmt::format("the repository {} is append-only by backup.json: nothing is removed from here",
                            text::printable(settings.repository)),
                "its keeper forgets and prunes on the machine where it lies");
}

std::vector<Chore> due_chores(const Settings& settings, Ledger& ledger, Instant when) {
    std::vector<Chore> due;
    if (!settings.policies.append_only) {
        if (is_time(ledger, Chore::forget, 24h, when)) due.push_back(Chore::forget);
        if (is_time(ledger, Chore::prune, week, when)) due.push_back(Chore::prune);
    }
    if (is_time(ledger, Chore::read, week, when))
        due.push_back(Chore::read);
    else if (is_time(ledger, Chore::check, 24h, when))
        due.push_back(Chore::check);
    return due;
}

unsigned quarter_of(Instant when) {
    return static_cast<unsigned>(when.time_since_epoch() / week % quarters) + 1;
}

std::vector<Standing> stand_of(const std::vector<VmRecord>& records, const Policies& policies, Ledger* ledger,
                               Instant when) {
    std::vector<Standing> all;
    for (const VmRecord& record : records) {
        if (record.status == RecordStatus::destroyed) continue;
        Standing one{record.name, policies.name_for(record.name)};
        const auto is_this_vms = [&](const std::optional<Attempt>& attempt) {
            return attempt && (!record.created_at || attempt->began >= *record.created_at);
        };
        if (ledger != nullptr) {
            if (auto last = ledger->last(record.name); is_this_vms(last)) one.last = std::move(last);
            if (auto good = ledger->last_good(record.name); is_this_vms(good))
                one.last_good = std::move(good);
        }
        const LastBackup last{record.name, record.created_at, record.suspended_at,
                              one.last_good ? std::optional(one.last_good->began) : std::nullopt};
        one.is_due = is_due(policies, last, when);
        one.is_overdue = is_overdue(policies, last, when);
        all.push_back(std::move(one));
    }
    return all;
}

void tell_last_backups(const World& world, Ledger& ledger) {
    boost::json::object all;
    for (const auto& [vm, began] : ledger.all_last_good()) all[vm.str()] = format_instant(began);
    remember(world, told_file, all);
}

std::optional<Instant> told_last_backup(const World& world, const VmName& vm) {
    return parse_instant(json::string_or(recall(world, told_file), vm.str(), ""));
}

} // namespace blockhost::backup
