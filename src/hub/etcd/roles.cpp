// SPDX-License-Identifier: MIT
#include "hub/etcd/roles.hpp"

#include "base/text/base64.hpp"
#include "base/time.hpp"
#include "config/secret_file.hpp"
#include "hub/etcd/places.hpp"

namespace blockhost::hub::etcd {

namespace bj = boost::json;

namespace {

constexpr std::size_t password_digits = 64;

/// Whether it was done now; false where the refusal has these words: it was done before.
bool unless(Gateway& gateway, std::string_view words, const std::string& path, const bj::object& request) {
    try {
        gateway.call(path, request);
        return true;
    } catch (const Refused& error) {
        if (error.words().find(words) == std::string::npos) throw;
        return false;
    }
}

void grant(Gateway& root, const std::string& role, const char* type, const std::string& prefix) {
    root.call("auth/role/grant", {{"name", role},
                                  {"perm", bj::object{{"permType", type},
                                                      {"key", base64::encode(prefix)},
                                                      {"range_end", base64::encode(range_end(prefix))}}}});
}

} // namespace

bool require_authentication(const Access& root, const std::function<void()>& check) {
    Access open = root;
    open.user.clear();
    Gateway gateway(open, check);
    try {
        gateway.call("auth/user/list", bj::object());
    } catch (const Refused& error) {
        if (error.words().find("user name is empty") == std::string::npos) throw;
        return false;
    }
    unless(gateway, "already exists", "auth/user/add",
           {{"name", root.user}, {"password", read_secret(root.password_file, "the password for etcd")}});
    unless(gateway, "already exists", "auth/role/add", {{"name", "root"}});
    gateway.call("auth/user/grant", {{"user", root.user}, {"role", "root"}});
    gateway.call("auth/enable", bj::object());
    return true;
}

Given give(Gateway& root, const Wish& wish, const std::function<void(const std::string& password)>& keep) {
    const std::string role = wish.is_operator ? "blockhost-operators" : "blockhost-host-" + wish.user;
    const Places places(wish.prefix, wish.user);
    unless(root, "already exists", "auth/role/add", {{"name", role}});
    if (wish.is_operator) {
        grant(root, role, "READWRITE", places.hosts);
    } else {
        grant(root, role, "READ", places.wanted);
        grant(root, role, "READWRITE", places.told);
    }
    const auto password = [&] {
        const std::string made = random_hex(password_digits);
        keep(made);
        return made;
    };
    Given given = Given::was_there;
    try {
        root.call("auth/user/get", {{"name", wish.user}});
        if (wish.renews) {
            root.call("auth/user/changepw", {{"name", wish.user}, {"password", password()}});
            given = Given::changed;
        }
    } catch (const Refused& error) {
        if (error.words().find("user name not found") == std::string::npos) throw;
        const std::string made = password();
        const bj::object request{{"name", wish.user}, {"password", made}};
        // One whose answer was lost at one member is there at the next.
        if (!unless(root, "already exists", "auth/user/add", request))
            root.call("auth/user/changepw", request);
        given = Given::made;
    }
    root.call("auth/user/grant", {{"user", wish.user}, {"role", role}});
    return given;
}

} // namespace blockhost::hub::etcd
