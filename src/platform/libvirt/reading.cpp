// SPDX-License-Identifier: MIT
#include "platform/libvirt/reading.hpp"

#include "base/text/digest.hpp"
#include "base/text/text.hpp"

#include <algorithm>

namespace blockhost::platform {

namespace {

constexpr std::string_view of_uuid = "uuid:";
constexpr const char* no_domain = "its record has no domain of that name";

Power power_of(PowerState state) {
    switch (state) {
    case PowerState::running:
    case PowerState::stopping:
        return Power::running;
    case PowerState::paused:
        return Power::paused;
    case PowerState::off:
    case PowerState::crashed:
        return Power::stopped;
    case PowerState::unknown:
        break;
    }
    return Power::unknown;
}

/// What a definition says of these.
void take_settings(const DomainSettings& said, GuestConfig& config) {
    config.cpus = static_cast<int>(said.cpus.value_or(1));
    config.memory_mib = said.memory_mib;
    config.description = normal_description(said.description.value_or(""));
    config.tags.clear();
    for (const std::string& tag : said.tags.value_or(std::set<std::string>()))
        config.tags.insert(normal_tag(tag));
}

} // namespace

Incarnation incarnation_of(const std::string& uuid) {
    return uuid.empty() ? "" : std::string(of_uuid) + uuid;
}

std::string uuid_of(const Incarnation& incarnation) {
    return incarnation.starts_with(of_uuid) ? incarnation.substr(of_uuid.size()) : "";
}

LibvirtReading::LibvirtReading(const Paths& paths, Reality reality, Progress& progress)
    : world_(paths, reality, Intent::look, progress), database_(world_.registry.read()) {
    for (VmRecord& record : database_.records(&bad_)) {
        std::string name = record.name.str();
        records_.emplace(std::move(name), std::move(record));
    }
}

/// One that is not among the records may be one that cannot be read: then this throws.
std::optional<VmRecord> LibvirtReading::record_of(const VmName& name) const {
    const auto found = records_.find(name.str());
    if (found != records_.end()) return found->second;
    return bad_.empty() ? std::nullopt : database_.find(name);
}

Guests LibvirtReading::list() {
    Guests guests;
    for (const auto& [name, record] : records_) {
        if (record.status == RecordStatus::destroyed) continue;
        Guest guest;
        guest.id = guest.name = name;
        guest.is_partial = true;
        guests.seen.push_back(std::move(guest));
    }
    guests.doubt = doubt();
    return guests;
}

std::string LibvirtReading::doubt() const {
    return bad_.empty() ? "" : "records that cannot be read: " + text::join(bad_, ", ");
}

Guests LibvirtReading::guests() {
    std::map<std::string, PowerState> states;
    for (const DomainState& each : world_.hypervisor().states()) states.emplace(each.name, each.state);
    std::map<std::string, DomainUse> uses;
    for (DomainUse& each : world_.hypervisor().uses()) {
        std::string name = each.name;
        uses.emplace(std::move(name), std::move(each));
    }
    Guests guests;
    for (const auto& [name, record] : records_) {
        if (record.status == RecordStatus::destroyed) continue;
        Guest guest;
        guest.id = guest.name = name;
        if (const auto state = states.find(name); state != states.end())
            guest.power = power_of(state->second);
        else
            guest.unreadable = no_domain;
        if (const auto use = uses.find(name); use != uses.end()) {
            guest.incarnation = incarnation_of(use->second.uuid);
            guest.config.emplace();
            guest.is_partial = true;
            guest.config->name = guest.id;
            guest.config->memory_mib = static_cast<std::int64_t>(use->second.memory_mib);
        }
        if (record.status == RecordStatus::suspended) guest.lock = "suspended";
        guests.seen.push_back(std::move(guest));
    }
    guests.doubt = doubt();
    return guests;
}

void LibvirtReading::tell_domain(const Observation& seen, Guest& guest) {
    guest.power = power_of(seen.domain->state);
    guest.incarnation = incarnation_of(seen.domain->uuid);
    guest.digest = sha256(seen.domain->xml);
    GuestConfig config;
    config.name = seen.name.str();
    take_settings(read_settings(seen.domain->xml, seen.facts), config);
    constexpr std::uint64_t mib = 1 << 20;
    if (!seen.facts.disks.empty())
        if (const auto volume = world_.hypervisor().find_volume(seen.facts.disks.front()))
            config.disk_mib = static_cast<std::int64_t>(volume->capacity_bytes / mib);
    if (seen.record && !seen.record->owner.empty()) config.details["owner_wallet"] = seen.record->owner;
    if (is_alive(seen.domain->state)) {
        const auto others = world_.hypervisor().other_definitions(seen.name.str());
        if (!others.empty()) {
            GuestConfig running = config;
            take_settings(read_settings(others.front()), running);
            if (running != config) guest.running = std::move(running);
        }
    }
    guest.config = std::move(config);
}

std::optional<Guest> LibvirtReading::guest(const GuestId& id) {
    const VmName name(id);
    const auto entry = world_.journal.peek(name);
    const Observation seen = observe(world_, name, record_of(name), entry ? entry->seen() : EntrySeen::none);
    if (seen.state == VmState::absent || seen.state == VmState::destroyed) return std::nullopt;
    if (seen.state == VmState::foreign)
        throw Error(Code::foreign, name.str() + " is " + seen.stranger, "it is no guest of this instance's");
    Guest guest;
    guest.id = guest.name = name.str();
    if (seen.domain)
        tell_domain(seen, guest);
    else
        guest.unreadable = seen.record ? no_domain : "there is no domain of that name yet";
    if (entry && world_.journal.held(name)) guest.lock = entry->verb;
    if (guest.lock.empty() && seen.record && seen.record->status == RecordStatus::suspended)
        guest.lock = "suspended";
    return guest;
}

} // namespace blockhost::platform
