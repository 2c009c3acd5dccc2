// SPDX-License-Identifier: MIT
#include "backup/policies.hpp"

#include <boost/json/object.hpp>

namespace blockhost::backup {

namespace {

using namespace std::chrono_literals;
namespace bj = boost::json;
using json::Fields;

constexpr std::int64_t most_kept = 10'000, most_days = 3650;
/// The timer comes once a day, but not to the minute.
constexpr auto tolerance = 6h;

unsigned count_in(Fields& fields, std::string_view key) {
    return static_cast<unsigned>(fields.maybe_integer(key, 0, most_kept).value_or(0));
}

/// What is not named is not kept.
Keep keep_in(Fields& owner) {
    Fields fields = owner.object("keep");
    const Keep keep{.last = count_in(fields, "last"),
                    .daily = count_in(fields, "daily"),
                    .weekly = count_in(fields, "weekly"),
                    .monthly = count_in(fields, "monthly"),
                    .within_days = count_in(fields, "within_days")};
    fields.finish();
    if (keep == Keep{0, 0, 0, 0, 0})
        throw owner.refusal("keep", "keeps nothing", "say at least how many of the last are kept");
    return keep;
}

std::chrono::hours every_in(Fields& fields) {
    const std::string text = fields.text("every");
    if (text == "day") return 24h;
    if (text == "week") return 7 * 24h;
    if (text == "month") return 30 * 24h;
    if (text == "never") return 0h;
    throw fields.refusal("every", "is none of day, week, month, never");
}

std::chrono::days days_in(Fields& fields, std::string_view key, std::chrono::days usual) {
    return std::chrono::days(fields.maybe_integer(key, 0, most_days).value_or(usual.count()));
}

void read_policies(Fields& fields, Policies& policies) {
    const Keep usual = fields.has("keep") ? keep_in(fields) : Keep{};
    for (auto& each : policies.by_name) each.second.keep = usual;
    if (!fields.has("policies")) return;
    const bj::value& list = fields.value("policies");
    if (!list.is_object()) throw fields.refusal("policies", "is no object");
    for (const auto& each : list.get_object()) {
        const std::string name(each.key());
        Fields policy(each.value(), "policy " + name);
        const auto every = every_in(policy);
        policies.by_name[name] = {every, policy.has("keep") ? keep_in(policy) : usual};
        policy.finish();
    }
}

} // namespace

Policies::Policies()
    : by_name{{"daily", {24h}}, {"weekly", {7 * 24h}}, {"monthly", {30 * 24h}}, {"none", {0h}}} {}

const std::string& Policies::name_for(const VmName& vm) const {
    const auto named = of_vm.find(vm.str());
    return named == of_vm.end() ? usual : named->second;
}

const Policy& Policies::for_vm(const VmName& vm) const {
    return by_name.at(name_for(vm));
}

Policies policies_in(Fields& fields) {
    Policies policies;
    read_policies(fields, policies);
    if (const auto usual = fields.maybe_text("policy")) policies.usual = *usual;
    if (!policies.by_name.contains(policies.usual))
        throw fields.refusal("policy", "names a policy that is not there");
    if (fields.has("vms"))
        for (auto& [vm, policy] : fields.text_by_name("vms")) {
            if (!VmName::try_parse(vm)) throw fields.refusal("vms", "has what is no VM's name");
            if (!policies.by_name.contains(policy))
                throw fields.refusal("vms", "names a policy that is not there");
            policies.of_vm[vm] = policy;
        }
    policies.keep_destroyed = days_in(fields, "keep_destroyed_days", policies.keep_destroyed);
    policies.append_only = fields.maybe_flag("append_only").value_or(false);
    policies.before_destroy = fields.maybe_flag("before_destroy").value_or(false);
    policies.before_destroy_wait = days_in(fields, "before_destroy_wait_days", policies.before_destroy_wait);
    return policies;
}

bool is_due(const Policies& policies, const LastBackup& last, Instant when) {
    if (policies.before_destroy && last.suspended_at &&
        (!last.taken_at || *last.taken_at < *last.suspended_at))
        return true;
    const auto every = policies.for_vm(last.vm).every;
    if (every == 0h) return false;
    // One that was taken later than now is no reason to take none: the clock was set back.
    return !last.taken_at || *last.taken_at > when || *last.taken_at + every <= when + tolerance;
}

std::optional<Instant> put_off_until(const Policies& policies, Instant suspended_at,
                                     const std::optional<Instant>& last_taken_at, std::chrono::days grace) {
    if (!policies.before_destroy || (last_taken_at && *last_taken_at >= suspended_at)) return std::nullopt;
    return suspended_at + grace + policies.before_destroy_wait;
}

bool is_overdue(const Policies& policies, const LastBackup& last, Instant when) {
    const auto every = policies.for_vm(last.vm).every;
    if (every == 0h) return false;
    const auto since = last.taken_at ? last.taken_at : last.created_at;
    return !since || *since + every + every / 2 < when;
}

} // namespace blockhost::backup
