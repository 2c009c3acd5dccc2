// SPDX-License-Identifier: MIT
#include "platform/proxmox/role.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <array>

namespace blockhost::platform::proxmox {

namespace {

enum class Where { guests, node, cluster, backups, disks, bridges };

struct Right {
    std::string_view privilege;
    Where where;
};
/// One of these is enough.
using Need = std::vector<Right>;

struct Feature {
    std::string_view name;
    std::vector<Need> needs; ///< all of them
};

/// Version 9 split VM.Monitor; neither version knows the other's names.
std::vector<Feature> agent_features(int major) {
    if (major < 9) {
        const Need monitor{{"VM.Monitor", Where::guests}};
        return {{"guest agent: ask", {monitor}},
                {"guest agent: freeze", {monitor}},
                {"guest agent: run programs", {monitor}}};
    }
    const Right all{"VM.GuestAgent.Unrestricted", Where::guests};
    return {{"guest agent: ask", {{{"VM.GuestAgent.Audit", Where::guests}, all}}},
            {"guest agent: freeze", {{{"VM.GuestAgent.FileSystemMgmt", Where::guests}, all}}},
            {"guest agent: run programs", {{all}}}};
}

/// A guest is read before it is changed, so that features on guests need VM.Audit, too.
std::vector<Feature> features_of(int major, const RoleScope& scope) {
    const auto on_guests = [](std::string_view privilege) { return Need{{privilege, Where::guests}}; };
    const Need read = on_guests("VM.Audit");
    std::vector<Feature> features{
        {"see guests", {read}},
        {"start and stop", {read, on_guests("VM.PowerMgmt")}},
        {"set config: processors", {read, on_guests("VM.Config.CPU")}},
        {"set config: memory", {read, on_guests("VM.Config.Memory")}},
        {"set config: options", {read, on_guests("VM.Config.Options")}},
        {"set config: a container's name", {read, on_guests("VM.Config.Network")}},
        {"grow", {read, on_guests("VM.Config.Disk"), {{"Datastore.AllocateSpace", Where::disks}}}},
        {"snapshot", {read, on_guests("VM.Snapshot")}},
        {"roll back", {read, {{"VM.Snapshot.Rollback", Where::guests}, {"VM.Snapshot", Where::guests}}}},
        {"destroy", {read, on_guests("VM.Allocate")}},
        {"copy a template",
         {read,
          on_guests("VM.Clone"),
          on_guests("VM.Allocate"),
          {{"Datastore.AllocateSpace", Where::disks}},
          {{"SDN.Use", Where::bridges}}}},
        {"SMART", {{{"Sys.Audit", Where::cluster}}}},
        {"host facts", {{{"Sys.Audit", Where::node}}}},
    };
    if (!scope.backup_storage.empty()) {
        const Right all_backups{"Datastore.Allocate", Where::backups};
        const Need space{{"Datastore.AllocateSpace", Where::backups}, all_backups},
            owner{{"VM.Backup", Where::guests}, all_backups};
        features.push_back(
            {"backup", {read, on_guests("VM.Backup"), {{"Datastore.AllocateSpace", Where::backups}}}});
        features.push_back({"delete a backup", {read, space, owner}});
        features.push_back({"restore",
                            {on_guests("VM.Allocate"),
                             on_guests("VM.Config.Options"),
                             {{"Datastore.AllocateSpace", Where::disks}},
                             space,
                             owner,
                             {{"SDN.Use", Where::bridges}}}});
    }
    std::ranges::move(agent_features(major), std::back_inserter(features));
    return features;
}

/// Empty for a storage that is not used.
std::string path_of(Where where, const RoleScope& scope) {
    const auto storage = [](const std::string& name) { return name.empty() ? "" : "/storage/" + name; };
    switch (where) {
    case Where::guests:
        return "/vms";
    case Where::node:
        return "/nodes/" + scope.node;
    case Where::cluster:
        break;
    case Where::backups:
        return storage(scope.backup_storage);
    case Where::disks:
        return storage(scope.disk_storage);
    case Where::bridges:
        return "/sdn/zones/localnetwork";
    }
    return "/";
}

/// Guests and bridges lie below the path that is asked about.
bool has_to_hold_below(Where where) {
    return where == Where::guests || where == Where::bridges;
}

/// Asks once about each path.
class Held {
  public:
    explicit Held(const std::function<Privileges(const std::string&)>& ask) : ask_(ask) {}
    bool has(const Right& right, const std::string& path) {
        auto known = known_.find(path);
        if (known == known_.end()) known = known_.emplace(path, ask_(path)).first;
        const auto found = known->second.find(right.privilege);
        return found != known->second.end() && (found->second || !has_to_hold_below(right.where));
    }

  private:
    const std::function<Privileges(const std::string&)>& ask_;
    std::map<std::string, Privileges> known_;
};

std::optional<Lack> lack_of(std::string_view feature, const Need& need, const RoleScope& scope, Held& held) {
    std::vector<std::string> choices;
    for (const Right& right : need) {
        const std::string path = path_of(right.where, scope);
        if (path.empty()) return std::nullopt;
        if (held.has(right, path)) return std::nullopt;
        choices.push_back(std::string(right.privilege) + " on " + path +
                          (has_to_hold_below(right.where) ? " and below" : ""));
    }
    return Lack{std::string(feature), text::join(choices, " or "),
                "give the token, and its user, a role with " + choices.front()};
}

constexpr std::array supported{8, 9};

bool is_supported(int major) {
    return std::ranges::find(supported, major) != supported.end();
}

constexpr std::string_view life_cycle =
    "VM.Allocate VM.Audit VM.Config.Disk VM.Config.CPU VM.Config.Memory VM.Config.Network VM.Config.Options "
    "VM.PowerMgmt VM.Clone VM.Snapshot VM.Snapshot.Rollback VM.Backup Datastore.Allocate "
    "Datastore.AllocateSpace Datastore.Audit Sys.Audit SDN.Use";

} // namespace

std::optional<int> major_version(std::string_view version) {
    const auto major = text::parse_int(version.substr(0, version.find('.')));
    if (!major || *major < 1 || *major > 999) return std::nullopt;
    return static_cast<int>(*major);
}

std::vector<Lack> lacks_of(std::string_view version, const RoleScope& scope,
                           const std::function<Privileges(const std::string& path)>& held) {
    std::vector<Lack> lacks;
    const auto major = major_version(version);
    if (!major || !is_supported(*major))
        lacks.push_back({"node", "Proxmox VE 8 or 9; this node runs \"" + text::printable(version) + "\"",
                         "upgrade the node, or this program"});
    Held known(held);
    for (const Feature& feature : features_of(major.value_or(supported.back()), scope))
        for (const Need& need : feature.needs)
            if (auto lack = lack_of(feature.name, need, scope, known)) lacks.push_back(std::move(*lack));
    return lacks;
}

std::string role_commands(int major) {
    if (!is_supported(major))
        throw Error(Code::invalid, "Proxmox VE " + std::to_string(major) + " is not supported",
                    "supported are 8 and 9");
    const std::string_view agent =
        major < 9 ? "VM.Monitor"
                  : "VM.GuestAgent.Audit VM.GuestAgent.FileSystemMgmt VM.GuestAgent.Unrestricted";
    return "# As root on a node of Proxmox VE " + std::to_string(major) +
           ". The third command shows the token's secret, once.\n"
           "pveum role add BlockHost --privs \"" +
           std::string(life_cycle) + " " + std::string(agent) +
           "\"\n"
           "pveum user add blockhost@pve --comment \"BlockHost agent\"\n"
           "pveum user token add blockhost@pve agent --privsep 1\n"
           "pveum acl modify / --users blockhost@pve --roles BlockHost\n"
           "pveum acl modify / --tokens 'blockhost@pve!agent' --roles BlockHost\n"
           "# Write blockhost@pve!agent=SECRET into the token's file on the agent's host, mode 0600.\n";
}

} // namespace blockhost::platform::proxmox
