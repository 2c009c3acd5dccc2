// SPDX-License-Identifier: MIT
/// See identity.hpp.

#include "guest/identity.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

namespace blockhost::guest {
namespace {

/// The kernel's random UUID is a valid machine-id once its dashes are gone. The new file replaces the old one
/// in one step; D-Bus's own copy becomes a link, as Debian makes it.
constexpr std::string_view script =
    "set -e\n"
    "tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id.new\n"
    "chmod 0444 /etc/machine-id.new\n"
    "mv -f /etc/machine-id.new /etc/machine-id\n"
    "[ ! -d /var/lib/dbus ] || ln -sf /etc/machine-id /var/lib/dbus/machine-id\n"
    "command -v ssh-keygen >/dev/null || exit 0\n"
    "rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub\n"
    "ssh-keygen -A >/dev/null\n"
    "command -v systemctl >/dev/null || exit 0\n"
    "systemctl try-restart ssh.service sshd.service 2>/dev/null || true\n";

} // namespace

void renew_identity(const AgentCall& call, std::chrono::milliseconds span, const Waiting& waiting) {
    const Outcome outcome = exec(call, {"/bin/sh", {"-c", std::string(script)}}, span, waiting);
    if (outcome.status() == 0) return;
    throw Error(Code::guest, "the guest cannot be given an identity of its own: " +
                                 text::printable(text::trim(outcome.err.substr(0, 300))));
}

} // namespace blockhost::guest
