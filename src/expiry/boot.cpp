// SPDX-License-Identifier: MIT
/// See boot.hpp.

#include "expiry/boot.hpp"

#include "base/boot_clock.hpp"
#include "base/exceptions.hpp"
#include "base/text/json.hpp"
#include "expiry/parallel.hpp"
#include "operations/power.hpp"
#include "operations/recover.hpp"
#include "vm/remembered.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <exception>
#include <set>

namespace blockhost::expiry {

namespace {

namespace bj = boost::json;

constexpr const char* memory_file = "boot.json";

/// The VMs that boot handled since the host started.
std::set<std::string> seen_to(const World& world) {
    const bj::object memory = recall(world, memory_file);
    if (json::string_or(memory, "boot_id", "") != moment_now().boot) return {};
    const auto names = json::strings_in(memory, "seen_to");
    return {names.begin(), names.end()};
}

void remember_seen_to(const World& world, const std::set<std::string>& names) {
    remember(world, memory_file,
             {{"boot_id", moment_now().boot}, {"seen_to", bj::array(names.begin(), names.end())}});
}

BootItem bring_back(World& world, const VmName& name) {
    try {
        const auto outcome = operations::start_unless_kept_off(world, name);
        if (!outcome) return {name, BootItem::End::kept_off, ""};
        if (*outcome == operations::Outcome::done) return {name, BootItem::End::started, ""};
        return {name, BootItem::End::running, ""};
    } catch (const std::exception& error) {
        return {name, BootItem::End::failed, as_error(error).what()};
    }
}

/// The names of active VMs. The names of records that cannot be read are put into `bad`.
std::vector<std::string> active_vms(const World& world, const std::set<std::string>& but,
                                    std::vector<std::string>* bad = nullptr) {
    std::vector<std::string> names;
    for (const VmRecord& record : world.registry.read().records(bad))
        if (record.status == RecordStatus::active && !but.contains(record.name.str()))
            names.push_back(record.name.str());
    return names;
}

/// Finishes the operations that were under way when the host went down.
void finish_interrupted(World& world) {
    for (const operations::Recovery& recovery : operations::recover(world, {}, operations::Mode::act))
        if (!recovery.failure.empty()) world.progress.warn(recovery.name.str() + ": " + recovery.failure);
}

} // namespace

std::string_view to_string(BootItem::End end) {
    switch (end) {
    case BootItem::End::started:
        return "started";
    case BootItem::End::running:
        return "runs already";
    case BootItem::End::kept_off:
        return "kept off: it was stopped by an admin";
    case BootItem::End::failed:
        return "FAILED";
    }
    return "?";
}

std::vector<BootItem> boot(World& world, BootManner manner, unsigned jobs, std::chrono::seconds patience,
                           const std::function<void(const BootItem&)>& told) {
    std::set<std::string> done = manner == BootManner::once ? seen_to(world) : std::set<std::string>{};
    if (world.journal.names().empty() && active_vms(world, done).empty()) return {};
    world.reconnect(patience);
    finish_interrupted(world);
    std::vector<std::string> bad;
    const std::vector<std::string> names = active_vms(world, done, &bad);
    for (const std::string& name : bad)
        world.progress.warn("the record of " + name + " cannot be read; whether it should run is not known");

    std::vector<std::optional<BootItem>> ends(names.size());
    std::vector<BootItem> items;
    std::exception_ptr untold;
    try {
        for_each_vm(
            world, names, jobs,
            [&](World& own, std::size_t i) { ends[i] = bring_back(own, VmName(names[i])); },
            [&](std::size_t i) {
                items.push_back(*ends[i]);
                if (ends[i]->end != BootItem::End::failed) done.insert(names[i]);
                told(*ends[i]);
            });
    } catch (...) {
        untold = std::current_exception();
    }
    remember_seen_to(world, done);
    if (untold) std::rethrow_exception(untold);
    return items;
}

} // namespace blockhost::expiry
