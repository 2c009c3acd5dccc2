// SPDX-License-Identifier: MIT
// Reads the settings of signatures, strictly.
#include "authority/settings.hpp"

#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::authority {

namespace {

using json::Fields;

std::filesystem::path path_in(Fields& fields, std::string_view key) {
    std::filesystem::path path = fields.maybe_text(key).value_or("");
    if (!path.empty() && !path.is_absolute()) throw fields.refusal(key, "is no absolute path");
    return path;
}

void require_changes(const Fields& fields, std::string_view key, const std::vector<std::string>& changes) {
    const auto known = change_names();
    for (const std::string& each : changes)
        if (std::ranges::find(known, each) == known.end())
            throw fields.refusal(key, fmt::format("names \"{}\", which is no change", text::printable(each)),
                                 "they are: " + text::join({known.begin(), known.end()}, ", "));
}

void read_role(Fields role, const std::string& name, std::vector<Role>& roles) {
    const auto built_in = std::ranges::find(roles, name, &Role::name);
    Role read{name, role.texts("principals"), {}};
    if (built_in == roles.end()) {
        read.changes = role.texts("changes");
        require_changes(role, "changes", read.changes);
    }
    role.finish();
    if (built_in == roles.end())
        roles.push_back(std::move(read));
    else
        built_in->principals = std::move(read.principals);
}

AuthoritySettings read(const boost::json::value& section, const std::string& where) {
    Fields fields(section, where);
    AuthoritySettings settings;
    settings.allowed_signers = path_in(fields, "allowed_signers");
    settings.revoked = path_in(fields, "revoked");
    const std::string require = fields.maybe_text("require_signatures").value_or("destructive");
    if (require != "all" && require != "destructive")
        throw fields.refusal("require_signatures", "is neither \"all\" nor \"destructive\"");
    settings.gate.require = require == "all" ? RequireSignatures::all : RequireSignatures::destructive;
    settings.gate.window = std::chrono::hours(fields.maybe_integer("window_hours", 1, 720).value_or(72));
    if (fields.has("roles")) {
        Fields roles = fields.object("roles");
        for (const auto& member : fields.value("roles").get_object()) {
            const std::string name(member.key());
            read_role(roles.object(name), name, settings.gate.roles.all);
        }
    }
    if (fields.has("two_signers")) {
        const auto changes = fields.texts("two_signers");
        require_changes(fields, "two_signers", changes);
        settings.gate.roles.two_signers = {changes.begin(), changes.end()};
    }
    fields.finish();
    return settings;
}

} // namespace

AuthoritySettings authority_settings(const boost::json::value& section, const std::string& where) {
    try {
        return read(section, where);
    } catch (const Error& error) {
        throw Error(Code::config, error.message(), error.hint());
    }
}

} // namespace blockhost::authority
