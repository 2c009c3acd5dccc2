// SPDX-License-Identifier: MIT
/// See login.hpp.

#include "guest/login.hpp"

#include "base/text/text.hpp"
#include "guest/user_data.hpp"

#include <algorithm>
#include <yaml-cpp/yaml.h>

namespace blockhost::guest {

namespace {

constexpr std::size_t longest_quoted = 200;

/// The member `key` of a mapping, or of the mapping that it merges in; yaml-cpp leaves merging to its users.
YAML::Node field(const YAML::Node& mapping, const char* key) {
    if (!mapping.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
    if (const YAML::Node own = mapping[key]) return own;
    const YAML::Node merged = mapping["<<"];
    return merged && merged.IsMap() ? merged[key] : YAML::Node(YAML::NodeType::Undefined);
}

std::string scalar(const YAML::Node& node) {
    return node.IsDefined() && node.IsScalar() ? node.Scalar() : "";
}

/// Adds the base64 text in a public key's line.
void add_key(std::vector<std::string>& keys, const std::string& line) {
    for (const std::string& word : text::split(line, ' '))
        if (word.starts_with("AAAA")) return void(keys.push_back(word));
}

void add_keys(Login& login, const YAML::Node& given) {
    if (!given.IsDefined()) return;
    if (given.IsSequence())
        for (const auto& each : given) add_key(login.keys, scalar(each));
    else
        add_key(login.keys, scalar(given));
}

/// Adds what the user's own mapping declares.
void declare(Login& login, const YAML::Node& user) {
    login.declared = true;
    for (const std::string& part : text::split(scalar(field(user, "gecos")), ','))
        if (part.starts_with("wallet=")) login.owner.push_back(part);
    add_keys(login, field(user, "ssh_authorized_keys"));
    add_keys(login, field(user, "ssh-authorized-keys"));
}

bool is_in(const std::string& list, const std::string& name) {
    for (const std::string& each : text::split(list, ','))
        if (text::trim(each) == name) return true;
    return false;
}

/// `users` may be a list of names and mappings, a mapping by names, or names separated by commas.
void look_at_users(Login& login, const YAML::Node& users) {
    if (!users.IsDefined()) return;
    if (users.IsScalar() && is_in(users.Scalar(), login.name)) login.declared = true;
    if (users.IsMap())
        for (const auto& user : users)
            if (scalar(user.first) == login.name) declare(login, user.second);
    if (!users.IsSequence()) return;
    for (const auto& user : users) {
        if (user.IsScalar() && is_in(user.Scalar(), login.name)) login.declared = true;
        if (scalar(field(user, "name")) == login.name) declare(login, user);
    }
}

/// `user` renames the distribution's default user, which gets the keys of the whole document.
void look_at_default_user(Login& login, const YAML::Node& document) {
    const YAML::Node user = field(document, "user");
    if (!user.IsDefined() || (scalar(user) != login.name && scalar(field(user, "name")) != login.name))
        return;
    declare(login, user);
    add_keys(login, field(document, "ssh_authorized_keys"));
}

/// The seven fields of the user's line in passwd(5); empty when there is none.
std::vector<std::string> passwd_line(const AgentCall& call, const std::string& name) {
    for (const std::string& line : text::split(read_file(call, "/etc/passwd").value_or(""), '\n')) {
        auto fields = text::split(line, ':');
        if (fields.size() == 7 && fields[0] == name) return fields;
    }
    return {};
}

} // namespace

Login login_in(std::string_view user_data, const std::string& name) {
    Login login{.name = name, .declared = false, .owner = {}, .keys = {}};
    if (kind_of(user_data) != UserDataKind::cloud_config) return login;
    try {
        const YAML::Node document = YAML::Load(std::string(user_data));
        look_at_users(login, field(document, "users"));
        look_at_default_user(login, document);
    } catch (const YAML::Exception&) {
        // A text that cannot be read declares nothing; cloud-init will report it, too.
    }
    return login;
}

std::string lacking(const AgentCall& call, const Login& login) {
    const auto user = passwd_line(call, login.name);
    if (user.empty()) return "the guest has no user " + login.name;
    const auto gecos = text::split(text::lower(user[4]), ','); // the guest compares wallets without case, too
    for (const std::string& part : login.owner)
        if (std::find(gecos.begin(), gecos.end(), text::lower(part)) == gecos.end())
            return "the guest's user " + login.name + " is not the owner's: its GECOS field is '" +
                   text::printable(user[4], longest_quoted) + "', without '" + part + "'";
    if (login.keys.empty()) return "";
    const std::string known = read_file(call, user[5] + "/.ssh/authorized_keys").value_or("");
    for (const std::string& key : login.keys)
        if (known.find(key) == known.npos)
            return "the guest's user " + login.name + " does not have the SSH key that it was to have";
    return "";
}

} // namespace blockhost::guest
