// SPDX-License-Identifier: MIT
#pragma once
/// Committing an overlay that nobody has open. libvirt can only do it for a domain that runs.

#include <filesystem>
#include <functional>

namespace blockhost::host {

/// Writes what the qcow2 overlay has into the image that it stands on, with qemu-img; the overlay stays as it
/// is, so that this may be repeated. QEMU's lock refuses a start of the VM meanwhile. `check` is called at
/// least every 200 ms; what it throws ends the commit, and the image below has a part of the content then.
/// Throws Error{program} when it fails.
void commit_overlay(const std::filesystem::path& overlay, const std::function<void()>& check);

} // namespace blockhost::host
