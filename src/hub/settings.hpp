// SPDX-License-Identifier: MIT
#pragma once
/// Which hub this host has: the member "hub" of `<etc>/agent.json`, and the environment over it. docs/hub.md
/// lists members and variables.

#include "http/session.hpp"

#include <boost/json/value.hpp>
#include <map>

namespace blockhost::hub {

struct Settings {
    enum class Kind { none, folder, https, etcd };
    Kind kind = Kind::none;
    std::filesystem::path folder;
    std::string url;                  ///< "https://HOST[:PORT][/PATH]", without a slash at its end
    std::filesystem::path token_file; ///< which holds the token; the token itself is in no setting
    http::Trust trust;
    std::vector<std::string> urls; ///< of etcd's members, each "https://HOST:PORT"
    std::string user;              ///< at etcd; empty: the host's name
    std::filesystem::path password_file;
    std::string prefix = "/blockhost"; ///< of all keys in etcd
    std::chrono::seconds poll{300};    ///< until an answer says otherwise
};

/// Where a value comes from.
struct Origin {
    std::string member; ///< "poll_s"
    boost::json::value value;
    std::string from; ///< "default", the file, or a variable's name
};

/// Gives an environment variable's value; null when it is not set.
using Environment = std::function<const char*(std::string_view name)>;
/// This process's own.
const char* environment(std::string_view name);

/// Reads the member strictly; `section` is null where there is none. `where` names it in messages, `file` in
/// origins, which get one for each value. An empty variable is one that is not set. Throws Error{config},
/// naming the member or variable, for anything that makes no sense.
Settings read_settings(const boost::json::value* section, const std::string& where, const std::string& file,
                       const Environment& environment, std::vector<Origin>* origins = nullptr);

} // namespace blockhost::hub
