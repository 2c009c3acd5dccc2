// SPDX-License-Identifier: MIT
#pragma once
/// The way to the hub that the settings name.

#include "hub/settings.hpp"
#include "hub/transport.hpp"

#include <memory>

namespace blockhost::hub {

/// For the host of that name. `check` is called at least every 200 ms of a wait, and throws to end it. Opens
/// nothing yet. Throws Error{config} where the settings name no hub.
std::unique_ptr<Transport> open_transport(const Settings& settings, const std::string& host,
                                          std::function<void()> check);

} // namespace blockhost::hub
