// SPDX-License-Identifier: MIT
#pragma once
/// A hub as those see it who see to all hosts: what each host told, and what is wanted of it.

#include "hub/settings.hpp"

#include <memory>

namespace blockhost::hub {

/// For one thread. Each function throws Error{no_answer} or Error{io} when the hub cannot be reached,
/// Error{denied} when it does not let this operator, Error{not_found} for a host that it does not know.
class Fleet {
  public:
    virtual ~Fleet() = default;
    virtual std::string name() const = 0;

    /// By name.
    virtual std::vector<std::string> hosts() = 0;
    /// The newest report; nothing: none came, or its time is over, as far as the hub keeps time.
    virtual std::optional<std::string> report(const std::string& host) = 0;

    /// The desired state; nothing: nothing is wanted.
    virtual std::optional<std::string> desired(const std::string& host) = 0;
    /// Puts `document` in the place of `before`, which desired() gave. Throws Error{busy} when something else
    /// is wanted by now.
    virtual void want(const std::string& host, const std::string& document,
                      const std::optional<std::string>& before) = 0;

    /// The signed operation of that name, if one waits there.
    virtual std::optional<std::string> signed_operation(const std::string& host, const std::string& name) = 0;
    virtual void sign(const std::string& host, const std::string& name, const std::string& document) = 0;
};

/// The hub that the settings name. `check` is called at least every 200 ms of a wait. Throws Error{config}
/// for a hub that has no store of its own to look into.
std::unique_ptr<Fleet> open_fleet(const Settings& settings, std::function<void()> check);

} // namespace blockhost::hub
