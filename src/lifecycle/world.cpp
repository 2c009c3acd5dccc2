/// Opening the world, observing one VM, and the verdict on it.

#include "lifecycle/world.hpp"

#include "base/text.hpp"
#include "guest/cloud_init.hpp"
#include "hypervisor/load.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <thread>

namespace blockhost {

namespace {

using namespace std::chrono_literals;

DbConfig config_of(const Paths& paths, Reality reality) {
    DbConfig config = read_db_config(paths);
    if (reality == Reality::simulated) {
        config.db_file = mock_database(paths);
        config.storage_path = paths.disks;
    }
    return config;
}

/// A verb that changes something makes the state folder where no package did.
InstanceId instance_for(const Paths& paths, Intent intent) {
    std::error_code error;
    if (intent == Intent::change) std::filesystem::create_directories(paths.state, error);
    if (error)
        throw Error(Code::io, fmt::format("cannot make {}: {}", paths.state.string(), error.message()),
                    "make that folder, or run as a user who may");
    if (intent == Intent::change) return instance_id(paths);
    return existing_instance_id(paths).value_or(InstanceId::random());
}

std::unique_ptr<host::Network> network_of(const Paths& paths, Reality reality) {
    if (reality == Reality::simulated) return std::make_unique<host::SimulatedNetwork>(paths.world);
    return std::make_unique<host::KernelNetwork>(paths);
}

} // namespace

bool is_lost_connection(const Error& error) {
    return error.code() == Code::no_answer || error.code() == Code::hypervisor_down;
}

std::filesystem::path mock_database(const Paths& mock_paths) {
    return mock_paths.world.parent_path() / "mock-db.json";
}

World::World(Paths given, Reality kind, Intent intent, Talk& listener)
    : paths(std::move(given)), reality(kind), talk(listener), config(config_of(paths, reality)),
      instance(instance_for(paths, intent)), registry(config.db_file, waits()), journal(paths.journal),
      pool(pool_name(config, paths, instance)), storage(config.storage_path),
      network(network_of(paths, reality)), late_window(reality == Reality::simulated ? 2s : 10s) {}

Hypervisor& World::hypervisor() {
    if (!hypervisor_)
        hypervisor_ = reality == Reality::simulated ? open_simulated(paths.world)
                                                    : open_hypervisor(paths, Access::write);
    return *hypervisor_;
}

RegistryWaits World::waits() {
    RegistryWaits waits;
    waits.give_up = [this] { return interruption && interruption->reason() != Interruption::Reason::none; };
    return waits;
}

void World::reconnect(std::chrono::seconds patience) {
    const Deadline deadline = Deadline::in(patience);
    hypervisor_.reset();
    while (true) {
        try {
            hypervisor();
            return;
        } catch (const Error&) {
            if (deadline.passed()) throw;
        }
        std::this_thread::sleep_for(500ms);
    }
}

void World::delete_volume(const std::string& file_name) {
    hypervisor().delete_volume((storage / file_name).string());
}

void World::sync_volumes() const {
    if (const auto folder = Folder::open(storage)) folder->sync();
}

std::vector<std::string> World::volume_files() const {
    const auto folder = Folder::open(storage);
    return folder ? folder->names() : std::vector<std::string>{};
}

namespace {

bool contains(const std::vector<std::string>& list, const std::string& wanted) {
    return std::find(list.begin(), list.end(), wanted) != list.end();
}

/// A VM of the 0.2.0 provisioner: nobody else's metadata, its disk where that one put it, and its seed or its
/// MAC agreeing with what that one left in the seed folder. The record is the other half of the proof.
bool is_adoptable(const World& world, const VmName& name, const DomainFacts& facts) {
    if (facts.mark || facts.other_metadata) return false;
    if (!contains(facts.disks, (world.storage / (name.str() + ".qcow2")).string())) return false;
    const auto seed_folder = world.paths.cloud_init / name.str();
    if (contains(facts.seeds, guest::seed_path(world.paths.cloud_init, name).string())) return true;
    const auto seeds = Folder::open(world.paths.cloud_init);
    const auto seed = seeds ? seeds->sub(name.str()) : std::nullopt;
    const auto network = seed ? seed->read("network-config") : std::nullopt;
    if (!network) return false;
    const std::string lower = text::lower(*network);
    return std::any_of(facts.macs.begin(), facts.macs.end(), [&](const std::string& mac) {
        return lower.find(text::lower(mac)) != std::string::npos;
    });
}

DomainSeen seen_domain(const std::optional<DomainView>& view, Proof proof) {
    if (!view) return DomainSeen::none;
    if (proof == Proof::none) return DomainSeen::foreign;
    switch (view->state) {
    case PowerState::off:
    case PowerState::crashed:
        return DomainSeen::off;
    case PowerState::paused:
        return DomainSeen::paused;
    default:
        return DomainSeen::running;
    }
}

RecordSeen seen_record(const std::optional<VmRecord>& record) {
    if (!record) return RecordSeen::none;
    switch (record->status) {
    case RecordStatus::active:
        return RecordSeen::active;
    case RecordStatus::suspended:
        return RecordSeen::suspended;
    case RecordStatus::destroyed:
        return RecordSeen::destroyed;
    }
    return RecordSeen::none;
}

void fill(std::string& text, std::string_view placeholder, std::string_view value) {
    for (std::size_t at = 0; (at = text.find(placeholder, at)) != std::string::npos; at += value.size())
        text.replace(at, placeholder.size(), value);
}

std::string filled(std::string_view sentence, const Observation& seen) {
    std::string text(sentence);
    fill(text, "{name}", seen.name.str());
    fill(text, "{status}", seen.record ? to_string(seen.record->status) : "none");
    const bool dated = seen.record && seen.record->suspended_at;
    fill(text, "{since}",
         dated ? format_instant(*seen.record->suspended_at) : std::string("an unknown time"));
    return text;
}

} // namespace

Proof proof_of(const World& world, const VmName& name, const std::optional<VmRecord>& record,
               const DomainFacts& facts) {
    if (facts.mark) return facts.mark->instance == world.instance.str() ? Proof::mark : Proof::none;
    const bool claimed = record && record->status != RecordStatus::destroyed;
    return claimed && is_adoptable(world, name, facts) ? Proof::adoptable : Proof::none;
}

Observation observe(World& world, const VmName& name, EntrySeen entry) {
    Observation seen{name, {}, {}, {}, Proof::none, VmState::absent};
    seen.record = world.registry.read().find(name);
    seen.domain = world.hypervisor().find(name.str());
    if (seen.domain) {
        seen.facts = read_domain(seen.domain->xml);
        seen.proof = proof_of(world, name, seen.record, seen.facts);
    }
    seen.state = classify(seen_record(seen.record), seen_domain(seen.domain, seen.proof), entry);
    return seen;
}

const Verdict& decide(const Observation& seen, Verb verb) {
    const Verdict& verdict = verdict_of(seen.state, verb);
    if (verdict.kind == Verdict::Kind::refuse)
        throw Error(verdict.code, filled(verdict.message, seen), filled(verdict.hint, seen));
    return verdict;
}

} // namespace blockhost
