// SPDX-License-Identifier: MIT
#include "agent/backups/guest_retention.hpp"

#include "backup/retention.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace blockhost::agent {

namespace {

/// A guest of a platform as the retention of VMs knows one: by what stands for its number.
Uuid uuid_of(const platform::GuestId& guest) {
    return Uuid::try_parse(fmt::format("00000000-0000-0000-0000-{:0>12}", guest)).value();
}

const InstanceId& this_host() {
    static const InstanceId id = InstanceId::random();
    return id;
}

backup::Found found_of(const KnownBackup& known) {
    return {.backup = {.id = known.stored.id,
                       .taken_at = Instant(std::chrono::seconds(known.stored.made)),
                       .vm = VmName(known.stored.guest),
                       .uuid = uuid_of(known.stored.guest),
                       .operation = OperationId::make(this_host()),
                       .instance = this_host()},
            .is_whole = known.stored.verified != false};
}

/// Why it stays, whatever the policies say; empty: they decide.
std::string standing_of(const KnownBackup& known) {
    if (known.stored.guest.empty()) return "it is no guest's";
    if (known.operation.empty()) return "somebody else made it";
    if (known.stored.is_protected) return "it is protected";
    if (known.stored.made == 0) return "when it was made is not told";
    return "";
}

/// The same wish of an earlier call, that waits for a signature.
std::optional<execution::Operation> asked_before(Engine& engine, const platform::StoredBackup& stored) {
    for (execution::Operation& each : engine.journal().open())
        if (each.state == execution::State::waiting && each.target.guest == stored.guest &&
            each.action == platform::Action(platform::DeleteBackup{stored.id}))
            return std::move(each);
    return std::nullopt;
}

/// What the retention of VMs calls incomplete, a place found damaged.
std::string why_of(const KnownBackup& known, std::string why) {
    constexpr std::string_view incomplete = "incomplete";
    if (known.stored.verified == false && why.starts_with(incomplete))
        why.replace(0, incomplete.size(), "damaged");
    return why;
}

/// By which the policies know a guest.
VmName name_for(const std::string& name, const platform::GuestId& guest, const backup::Policies& policies) {
    const auto parsed = VmName::try_parse(name);
    return parsed && policies.of_vm.contains(parsed->str()) ? *parsed : VmName(guest);
}

} // namespace

std::vector<BackupFate> decide_fates(const std::vector<KnownBackup>& all, const backup::Policies& policies,
                                     Instant when) {
    std::map<std::string, const KnownBackup*> by_id;
    std::vector<backup::Found> judged;
    std::vector<BackupFate> fates;
    for (const KnownBackup& each : all) {
        if (std::string why = standing_of(each); !why.empty()) {
            fates.push_back({each, false, std::move(why)});
            continue;
        }
        by_id.emplace(each.stored.id, &each);
        judged.push_back(found_of(each));
    }
    const auto rule_of = [&](const backup::Backup& backup) {
        const KnownBackup& known = *by_id.at(backup.id);
        return backup::Rule{.keep = policies.for_vm(name_for(known.name, known.stored.guest, policies)).keep};
    };
    for (backup::Fate& each :
         backup::decide_fates(judged, this_host(), rule_of, policies.keep_destroyed, when))
        fates.push_back(
            {*by_id.at(each.backup.id), each.goes, why_of(*by_id.at(each.backup.id), std::move(each.why))});
    std::ranges::stable_sort(fates, [](const BackupFate& one, const BackupFate& other) {
        const auto key = [](const BackupFate& fate) {
            const auto& stored = fate.backup.stored;
            return std::tuple(stored.guest.size(), stored.guest, -stored.made);
        };
        return key(one) < key(other);
    });
    return fates;
}

std::vector<platform::GuestId> choose_guests(const std::vector<platform::Guest>& guests,
                                             const std::vector<KnownBackup>& all,
                                             const backup::Policies& policies, const GuestChoice& choice,
                                             Instant when) {
    if (choice.policy && !policies.by_name.contains(*choice.policy))
        throw Error(Code::not_found, "there is no policy " + text::printable(*choice.policy),
                    "backup.json says which there are besides daily, weekly, monthly and none");
    std::map<platform::GuestId, std::int64_t> last;
    for (const KnownBackup& each : all)
        if (!each.operation.empty() && each.stored.verified != false)
            last[each.stored.guest] = std::max(last[each.stored.guest], each.stored.made);
    std::vector<platform::GuestId> chosen;
    for (const platform::Guest& guest : guests) {
        backup::LastBackup judged{.vm = name_for(guest.name, guest.id, policies)};
        if (const auto found = last.find(guest.id); found != last.end())
            judged.taken_at = Instant(std::chrono::seconds(found->second));
        if (choice.policy && policies.name_for(judged.vm) != *choice.policy) continue;
        if (choice.only_due && !is_due(policies, judged, when)) continue;
        chosen.push_back(guest.id);
    }
    return chosen;
}

std::vector<ForgottenBackup> forget_backups(Engine& engine, const std::vector<BackupFate>& fates,
                                            const std::string& requester,
                                            const std::function<void()>& check) {
    std::vector<ForgottenBackup> forgotten;
    for (const BackupFate& fate : fates) {
        if (!fate.goes) continue;
        const auto& stored = fate.backup.stored;
        if (auto waiting = asked_before(engine, stored)) {
            forgotten.push_back({fate, std::move(*waiting)});
            continue;
        }
        const auto guest = engine.platform().guest(stored.guest);
        const auto submitted =
            engine.journal().submit({.source = {execution::Source::Kind::shell, requester},
                                     .target = {stored.guest, guest ? guest->incarnation : ""},
                                     .action = platform::DeleteBackup{stored.id},
                                     .key = "forget " + stored.id});
        forgotten.push_back({fate, finish_or_cancel(engine, submitted.operation.id, check)});
    }
    return forgotten;
}

} // namespace blockhost::agent
