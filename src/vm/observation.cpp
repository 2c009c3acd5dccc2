// SPDX-License-Identifier: MIT
/// See observation.hpp.

#include "vm/observation.hpp"

#include "base/text/text.hpp"
#include "guest/cloud_init.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "vm/renamed.hpp"

#include <algorithm>

namespace blockhost {

namespace {

/// Whether `path` is the file `name` in `folder`, one of BlockHost's, however that folder is spelled.
bool is_file(const World& world, const std::filesystem::path& path, const std::filesystem::path& folder,
             const std::string& name) {
    return path.filename() == name && world.paths.state.is_same(path.parent_path(), folder);
}

/// Whether such a file backs `path`, as far as we may read it: a snapshot puts an overlay on a disk.
bool stands_on(const World& world, const std::filesystem::path& path, const std::filesystem::path& folder,
               const std::string& name) {
    try {
        const auto chain = backing_chain(path);
        return std::any_of(chain.begin(), chain.end(),
                           [&](const auto& each) { return is_file(world, each, folder, name); });
    } catch (const Error&) {
        return false;
    }
}

bool has_file(const World& world, const std::vector<std::string>& paths, const std::filesystem::path& folder,
              const std::string& name) {
    return std::any_of(paths.begin(), paths.end(),
                       [&](const std::filesystem::path& path) { return is_file(world, path, folder, name); });
}

/// A VM of the 0.2.0 provisioner has no other program's metadata. Its disk lies where that provisioner put
/// it, and its seed or MAC agrees with what that one left in the seed folder. The record is the other half of
/// the proof.
bool is_adoptable(const World& world, const VmName& name, const DomainFacts& facts) {
    if (facts.claim.unproven() || facts.other_metadata) return false;
    const std::string disk = name.str() + ".qcow2";
    const bool has_disk = has_file(world, facts.disks, world.storage, disk) ||
                          std::any_of(facts.disks.begin(), facts.disks.end(), [&](const std::string& each) {
                              return stands_on(world, each, world.storage, disk);
                          });
    if (!has_disk) return false;
    const std::filesystem::path seed_path = guest::seed_path(world.paths.cloud_init, name);
    if (has_file(world, facts.seeds, seed_path.parent_path(), seed_path.filename().string())) return true;
    const auto seeds = world.paths.cloud_init.open();
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
        return DomainSeen::off;
    case PowerState::paused:
    case PowerState::crashed:
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
    fill(text, "{stranger}", seen.stranger);
    fill(text, "{status}", seen.record ? to_string(seen.record->status) : "none");
    const bool dated = seen.record && seen.record->suspended_at;
    fill(text, "{since}",
         dated ? format_instant(*seen.record->suspended_at) : std::string("an unknown time"));
    return text;
}

} // namespace

Proof proof_of(const World& world, const VmName& name, const std::optional<VmRecord>& record,
               const DomainFacts& facts) {
    if (facts.claim.unproven()) return facts.claim.ours(world.instance) ? Proof::mark : Proof::none;
    const bool claimed = record && record->status != RecordStatus::destroyed;
    return claimed && is_adoptable(world, name, facts) ? Proof::adoptable : Proof::none;
}

namespace {

void look_at_domain(const World& world, Observation& seen) {
    seen.facts = read_domain(seen.domain->xml);
    seen.proof = proof_of(world, seen.name, seen.record, seen.facts);
    if (const DomainMark* mark = seen.facts.claim.ours(world.instance)) seen.mark = *mark;
    if (seen.proof == Proof::none) seen.stranger = seen.facts.claim.words(world.instance);
}

} // namespace

Observation observe(World& world, const VmName& name, EntrySeen entry) {
    return observe(world, name, world.registry.read().find(name), entry);
}

Observation observe(World& world, const VmName& name, std::optional<VmRecord> record, EntrySeen entry) {
    Observation seen{.name = name, .record = std::move(record), .domain = {}, .facts = {}, .mark = {}};
    seen.domain = world.hypervisor().find(name.str());
    if (seen.domain)
        look_at_domain(world, seen);
    else if (seen.record && seen.record->status != RecordStatus::destroyed)
        seen.renamed_to = renamed_domains(world.hypervisor(), world.instance)[name.str()];
    seen.state = classify(seen_record(seen.record), seen_domain(seen.domain, seen.proof), entry);
    return seen;
}

const Verdict& decide(const Observation& seen, Verb verb) {
    if (!seen.renamed_to.empty()) throw renamed(seen.name.str(), seen.renamed_to);
    const Verdict& verdict = verdict_of(seen.state, verb);
    if (verdict.kind == Verdict::Kind::refuse)
        throw Error(verdict.code, filled(verdict.message, seen), filled(verdict.hint, seen));
    return verdict;
}

} // namespace blockhost
