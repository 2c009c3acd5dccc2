// SPDX-License-Identifier: MIT
// Writes and reads each kind of action, member by member.
#include "platform/action_json.hpp"

#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/value_from.hpp>
#include <fmt/format.h>
#include <limits>

namespace blockhost::platform {

namespace bj = boost::json;
using json::Fields;

namespace {

constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t most_cpus = std::numeric_limits<int>::max();
constexpr std::int64_t longest_patience = 7 * 24 * 3600;

template<class Value>
void put(bj::object& object, std::string_view key, const std::optional<Value>& value) {
    if (value) object[key] = bj::value_from(*value);
}

/// A list of texts without repetition; written in order.
bj::array list_of(const std::set<std::string>& all) {
    return bj::array(all.begin(), all.end());
}

std::set<std::string> set_of(Fields& fields, std::string_view key) {
    const auto all = fields.texts(key);
    std::set<std::string> each(all.begin(), all.end());
    if (each.size() != all.size()) throw fields.refusal(key, "has one of its texts twice");
    return each;
}

std::optional<int> maybe_cpus(Fields& fields) {
    const auto cpus = fields.maybe_integer("cpus", 0, most_cpus);
    return cpus ? std::optional(static_cast<int>(*cpus)) : std::nullopt;
}

struct Writer {
    bj::object& to;
    void operator()(const Start&) const {}
    void operator()(const Stop& stop) const {
        to["patience_s"] = stop.patience.count();
        to["force"] = stop.force;
    }
    void operator()(const Resume&) const {}
    void operator()(const SetConfig& set) const {
        to["digest"] = set.digest;
        put(to, "name", set.name);
        put(to, "description", set.description);
        put(to, "cpus", set.cpus);
        put(to, "memory_mib", set.memory_mib);
        if (set.tags) to["tags"] = list_of(*set.tags);
        put(to, "start_on_boot", set.start_on_boot);
        put(to, "is_protected", set.is_protected);
    }
    void operator()(const Grow& grow) const { to["disk_mib"] = grow.disk_mib; }
    void operator()(const Create& create) const {
        to["source"] = create.source;
        to["config"] = to_json(create.config);
    }
    void operator()(const TakeSnapshot& take) const {
        to["snapshot"] = take.snapshot;
        to["description"] = take.description;
    }
    void operator()(const RollBack& back) const { to["snapshot"] = back.snapshot; }
    void operator()(const DeleteSnapshot& gone) const { to["snapshot"] = gone.snapshot; }
    void operator()(const Backup& backup) const {
        to["repository"] = backup.repository;
        to["notes"] = backup.notes;
        to["is_protected"] = backup.is_protected;
    }
    void operator()(const Restore& restore) const { to["backup"] = restore.backup; }
    void operator()(const DeleteBackup& gone) const { to["backup"] = gone.backup; }
    void operator()(const Destroy&) const {}
    void operator()(const SetFeatures& set) const { to["features"] = list_of(set.features); }
    void operator()(const Mount& mount) const { to["point"] = mount.point; }
    void operator()(const Unmount& unmount) const { to["point"] = unmount.point; }
};

Action read(ActionKind kind, Fields& from) {
    switch (kind) {
    case ActionKind::start:
        return Start{};
    case ActionKind::stop:
        return Stop{std::chrono::seconds(from.integer("patience_s", 0, longest_patience)),
                    from.flag("force")};
    case ActionKind::resume:
        return Resume{};
    case ActionKind::set_config: {
        SetConfig set;
        set.digest = from.text("digest");
        set.name = from.maybe_text("name");
        set.description = from.maybe_text("description");
        set.cpus = maybe_cpus(from);
        set.memory_mib = from.maybe_integer("memory_mib", 0, most);
        if (from.has("tags")) set.tags = set_of(from, "tags");
        set.start_on_boot = from.maybe_flag("start_on_boot");
        set.is_protected = from.maybe_flag("is_protected");
        return set;
    }
    case ActionKind::grow:
        return Grow{from.integer("disk_mib", 0, most)};
    case ActionKind::create: {
        Create create{.source = from.text("source"), .config = {}};
        create.config = config_from_json(from.value("config"), from.where() + ".config");
        return create;
    }
    case ActionKind::snapshot:
        return TakeSnapshot{from.text("snapshot"), from.text("description")};
    case ActionKind::rollback:
        return RollBack{from.text("snapshot")};
    case ActionKind::delete_snapshot:
        return DeleteSnapshot{from.text("snapshot")};
    case ActionKind::backup:
        return Backup{from.text("repository"), from.text("notes"), from.flag("is_protected")};
    case ActionKind::restore:
        return Restore{from.text("backup")};
    case ActionKind::delete_backup:
        return DeleteBackup{from.text("backup")};
    case ActionKind::destroy:
        return Destroy{};
    case ActionKind::set_features:
        return SetFeatures{set_of(from, "features")};
    case ActionKind::mount:
        return Mount{from.text("point")};
    case ActionKind::unmount:
        return Unmount{from.text("point")};
    }
    throw Error(Code::internal, "an action of no kind is read");
}

} // namespace

bj::object to_json(const Action& action) {
    bj::object object{{"kind", to_string(kind_of(action))}};
    std::visit(Writer{object}, action);
    return object;
}

Action action_from_json(const bj::value& value, const std::string& where) {
    Fields fields(value, where);
    const std::string word = fields.text("kind");
    const auto kind = action_kind(word);
    if (!kind)
        throw fields.refusal("kind",
                             fmt::format("is \"{}\", which is no kind of action", text::printable(word)));
    Action action = read(*kind, fields);
    fields.finish();
    return action;
}

bj::object to_json(const Target& target) {
    return {{"guest", target.guest}, {"incarnation", target.incarnation}};
}

Target target_from_json(const bj::value& value, const std::string& where) {
    Fields fields(value, where);
    Target target{fields.text("guest"), fields.text("incarnation")};
    fields.finish();
    return target;
}

bj::object to_json(const GuestConfig& config) {
    bj::object object{{"name", config.name}};
    put(object, "cpus", config.cpus);
    put(object, "memory_mib", config.memory_mib);
    put(object, "disk_mib", config.disk_mib);
    if (!config.description.empty()) object["description"] = config.description;
    if (!config.tags.empty()) object["tags"] = list_of(config.tags);
    if (config.start_on_boot) object["start_on_boot"] = true;
    if (config.is_protected) object["is_protected"] = true;
    if (!config.details.empty()) {
        bj::object details;
        for (const auto& [key, text] : config.details) details[key] = text;
        object["details"] = std::move(details);
    }
    return object;
}

GuestConfig config_from_json(const bj::value& value, const std::string& where) {
    Fields fields(value, where);
    GuestConfig config;
    config.name = fields.text("name");
    config.cpus = maybe_cpus(fields);
    config.memory_mib = fields.maybe_integer("memory_mib", 0, most);
    config.disk_mib = fields.maybe_integer("disk_mib", 0, most);
    config.description = fields.maybe_text("description").value_or("");
    if (fields.has("tags")) config.tags = set_of(fields, "tags");
    config.start_on_boot = fields.maybe_flag("start_on_boot").value_or(false);
    config.is_protected = fields.maybe_flag("is_protected").value_or(false);
    if (fields.has("details"))
        for (auto& [key, text] : fields.text_by_name("details")) config.details.emplace(key, text);
    fields.finish();
    return config;
}

} // namespace blockhost::platform
