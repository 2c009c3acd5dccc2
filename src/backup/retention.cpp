// SPDX-License-Identifier: MIT
#include "backup/retention.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>

namespace blockhost::backup {

namespace {

using std::chrono::days;

/// The day of an instant, as text and as a number to count in.
std::chrono::sys_days day_of(Instant at) {
    return std::chrono::floor<days>(at);
}

std::string name_of_day(Instant at) {
    return format_instant(Instant(day_of(at))).substr(0, 10);
}

std::string name_of_month(Instant at) {
    return name_of_day(at).substr(0, 7);
}

/// ISO 8601: the week belongs to the year that its Thursday lies in.
std::string name_of_week(Instant at) {
    const auto day = day_of(at);
    const auto thursday = day + days(4 - static_cast<int>(std::chrono::weekday(day).iso_encoding()));
    const int year = static_cast<int>(std::chrono::year_month_day(thursday).year());
    const auto first = std::chrono::sys_days(std::chrono::year(year) / std::chrono::January / 1);
    return fmt::format("{}-W{:02}", year, (thursday - first).count() / 7 + 1);
}

/// Counts down the periods that are still wanted.
class Counter {
  public:
    Counter(std::string_view word, unsigned wanted, std::string (*period_of)(Instant))
        : word_(word), left_(wanted), period_of_(period_of) {}

    /// Asked from the newest on: why it wants that backup; empty: it does not.
    std::string wants(const Backup& backup) {
        if (left_ == 0) return "";
        const std::string period = period_of_(backup.taken_at);
        if (period == last_) return "";
        last_ = period;
        --left_;
        return fmt::format("{} {}", word_, period);
    }

  private:
    std::string_view word_;
    unsigned left_;
    std::string (*period_of_)(Instant);
    std::string last_ = {};
};

std::string joined(const std::vector<std::string>& words) {
    std::string all;
    for (const std::string& each : words)
        if (!each.empty()) all += (all.empty() ? "" : ", ") + each;
    return all;
}

/// One VM's backups, the newest first.
class Decision {
  public:
    Decision(const Rule& rule, days keep_destroyed, Instant when)
        : rule_(rule), keep_destroyed_(keep_destroyed), when_(when),
          last_(rule.keep.last), counters_{{{"daily", rule.keep.daily, name_of_day},
                                            {"weekly", rule.keep.weekly, name_of_week},
                                            {"monthly", rule.keep.monthly, name_of_month}}} {}

    std::vector<Fate> fates(const std::vector<Found>& all) {
        const bool has_whole = std::ranges::any_of(all, [&](const Found& each) { return counts(each); });
        std::vector<Fate> fates;
        for (const Found& each : all) fates.push_back(fate_of(each, has_whole));
        return fates;
    }

  private:
    bool counts(const Found& found) const { return found.is_whole && found.backup.taken_at <= when_; }

    Fate fate_of(const Found& found, bool has_whole) {
        const auto stays = [&](std::string why) { return Fate{found.backup, false, std::move(why)}; };
        const auto goes = [&](std::string why) { return Fate{found.backup, true, std::move(why)}; };
        if (found.backup.taken_at > when_) return stays("it was taken later than now");
        if (rule_.gone_since && when_ > *rule_.gone_since + keep_destroyed_)
            return goes("the VM is gone since " + name_of_day(*rule_.gone_since));
        if (!found.is_whole) {
            if (!has_whole) return stays("incomplete, but the VM has no whole one");
            return found.backup.taken_at + incomplete_for > when_ ? stays("incomplete, or being taken")
                                                                  : goes("incomplete");
        }
        const std::string why = wanted_by(found.backup);
        return why.empty() ? goes("no policy wants it") : stays(why);
    }

    /// Every counter is asked, since each counts by itself.
    std::string wanted_by(const Backup& backup) {
        const bool is_newest = seen_++ == 0;
        std::vector<std::string> why;
        if (seen_ <= last_) why.push_back("last");
        for (Counter& each : counters_) why.push_back(each.wants(backup));
        if (backup.taken_at + days(rule_.keep.within_days) > when_)
            why.push_back(fmt::format("within {} days", rule_.keep.within_days));
        std::string text = joined(why);
        return text.empty() && is_newest ? "the last whole one" : text;
    }

    const Rule& rule_;
    days keep_destroyed_;
    Instant when_;
    unsigned last_, seen_ = 0;
    std::array<Counter, 3> counters_;
};

} // namespace

std::vector<Fate> decide_fates(const std::vector<Found>& all, const InstanceId& own,
                               const std::function<Rule(const Backup&)>& rule_of, days keep_destroyed,
                               Instant when) {
    std::map<std::pair<std::string, std::string>, std::vector<Found>> by_vm;
    std::vector<Fate> fates;
    for (const Found& each : all) {
        if (each.backup.instance == own)
            by_vm[{each.backup.vm.str(), each.backup.uuid.str()}].push_back(each);
        else
            fates.push_back({each.backup, false, "another host's"});
    }
    for (auto& [vm, found] : by_vm) {
        std::ranges::stable_sort(found, std::greater{},
                                 [](const Found& each) { return each.backup.taken_at; });
        const Rule rule = rule_of(found.front().backup);
        std::ranges::move(Decision(rule, keep_destroyed, when).fates(found), std::back_inserter(fates));
    }
    return fates;
}

} // namespace blockhost::backup
