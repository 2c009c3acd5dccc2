// SPDX-License-Identifier: MIT
#include "backup/catalogue.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::backup {

namespace {

constexpr const char* see_list = "'blockhost-libvirt backup list' shows what there is";

std::optional<Backup> backup_of(const Snapshot& snapshot) {
    const auto vm = VmName::try_parse(snapshot.tag("vm").value_or(""));
    const auto uuid = Uuid::try_parse(snapshot.tag("uuid").value_or(""));
    const auto operation = OperationId::try_parse(snapshot.tag("op").value_or(""));
    const auto instance = InstanceId::try_parse(snapshot.host);
    if (!vm || !uuid || !operation || !instance) return std::nullopt;
    return Backup{snapshot.id, snapshot.taken_at, *vm, *uuid, *operation, *instance};
}

} // namespace

std::vector<std::string> tags_of(const VmName& vm, const Uuid& uuid, const OperationId& operation) {
    return {"vm=" + vm.str(), "uuid=" + uuid.str(), "op=" + operation.str()};
}

Catalogue::Catalogue(const std::vector<Snapshot>& snapshots) {
    for (const Snapshot& each : snapshots) {
        if (auto backup = backup_of(each))
            all_.push_back(std::move(*backup));
        else
            ++others_;
    }
    std::ranges::stable_sort(all_, {}, &Backup::taken_at);
}

std::vector<Backup> Catalogue::of(const VmName& vm) const {
    std::vector<Backup> found;
    std::ranges::copy_if(all_, std::back_inserter(found), [&](const Backup& each) { return each.vm == vm; });
    return found;
}

std::vector<Backup> Catalogue::latest_of_each() const {
    std::vector<Backup> latest;
    for (const Backup& each : all_) {
        const auto same = std::ranges::find(latest, each.vm, &Backup::vm);
        if (same == latest.end())
            latest.push_back(each);
        else
            *same = each;
    }
    std::ranges::sort(latest, {}, &Backup::vm);
    return latest;
}

const Backup* Catalogue::foreign_to(const InstanceId& own) const {
    const auto found = std::ranges::find_if(all_, [&](const Backup& each) { return each.instance != own; });
    return found == all_.end() ? nullptr : &*found;
}

const Backup& Catalogue::find(std::string_view name) const {
    constexpr std::string_view latest = "@latest";
    constexpr std::size_t fewest_digits = 6;
    if (name.ends_with(latest)) {
        const VmName vm(name.substr(0, name.size() - latest.size()));
        const auto last =
            std::find_if(all_.rbegin(), all_.rend(), [&](const Backup& each) { return each.vm == vm; });
        if (last == all_.rend()) throw Error(Code::not_found, "there is no backup of " + vm.str(), see_list);
        return *last;
    }
    const bool is_id =
        name.size() >= fewest_digits && name.find_first_not_of("0123456789abcdef") == name.npos;
    if (!is_id)
        throw Error(
            Code::invalid, text::printable(name) + " names no backup",
            fmt::format("give at least {} digits of its id, or NAME@latest; {}", fewest_digits, see_list));
    const Backup* found = nullptr;
    for (const Backup& each : all_) {
        if (!each.id.starts_with(name)) continue;
        if (found != nullptr)
            throw Error(Code::usage, fmt::format("more than one backup's id begins with {}", name),
                        "give more of its digits");
        found = &each;
    }
    if (found == nullptr) throw Error(Code::not_found, fmt::format("there is no backup {}", name), see_list);
    return *found;
}

} // namespace blockhost::backup
