// SPDX-License-Identifier: MIT
// Roles, and what their members may sign.
#include "authority/roles.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::authority {

namespace {

bool has(const std::vector<std::string>& all, std::string_view one) {
    return std::ranges::find(all, one) != all.end();
}

std::vector<const Role*> roles_of(const Roles& roles, const Signer& signer) {
    std::vector<const Role*> found;
    for (const Role& role : roles.all)
        if (std::ranges::any_of(signer.principals,
                                [&](const auto& each) { return has(role.principals, each); }))
            found.push_back(&role);
    return found;
}

void require_role(const Roles& roles, const Signer& signer, std::string_view change) {
    const auto found = roles_of(roles, signer);
    if (std::ranges::any_of(found, [&](const Role* role) { return has(role->changes, change); })) return;
    const std::string who =
        fmt::format("{} ({} key {})", text::join(signer.principals, ", "), signer.key_type, signer.key);
    if (found.empty())
        throw Error(Code::denied, who + " has no role",
                    "name it among the principals of a role in agent.json");
    std::vector<std::string> names;
    names.reserve(found.size());
    for (const Role* role : found) names.push_back(role->name);
    throw Error(
        Code::denied,
        fmt::format("{} has the role {}, which may not sign {}", who, text::join(names, " and "), change),
        "have it signed by somebody whose role may");
}

} // namespace

std::vector<Role> built_in_roles() {
    const auto names = change_names();
    return {{"operator", {"operator"}, std::vector<std::string>(names.begin(), names.end())},
            {"recovery", {"recovery"}, {"rotate-keys"}}};
}

std::size_t signers_for(const Roles& roles, const Change& change) {
    return roles.two_signers.contains(std::string(name_of(change))) ? 2 : 1;
}

void require_may_sign(const Roles& roles, const std::vector<Signer>& signers, const Change& change) {
    if (signers.empty())
        throw Error(Code::denied, "the signed operation carries no signature",
                    "sign it: blockhost-libvirt sign");
    std::set<std::string> keys;
    for (const Signer& signer : signers) {
        require_role(roles, signer, name_of(change));
        if (!keys.insert(signer.key).second)
            throw Error(Code::denied, fmt::format("two signatures are by one key, {}", signer.key),
                        "have the second one made by another operator");
    }
    if (const std::size_t wanted = signers_for(roles, change); keys.size() < wanted)
        throw Error(Code::denied,
                    fmt::format("{} wants {} different signers, and {} has signed", name_of(change), wanted,
                                keys.size()),
                    "have another operator sign what `sign` printed");
}

} // namespace blockhost::authority
