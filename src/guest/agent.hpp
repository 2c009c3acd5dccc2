#pragma once
/// The QEMU guest agent's protocol (QEMU docs/interop/qemu-ga-ref): messages as text, no transport.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost::guest {

/// Sends one command and returns the reply's text; throws Error{guest} when nobody answers.
using AgentCall = std::function<std::string(const std::string& command)>;

/// RFC 4648 with padding, as the agent sends file contents; nothing for anything else.
std::optional<std::string> decode_base64(std::string_view encoded);

/// True when the agent answers a ping.
bool ping(const AgentCall& call);

/// A small file of the guest, whole (64 KiB at most); nothing when the guest has no such file. The handle is
/// closed in every case. Throws Error{guest}.
std::optional<std::string> read_file(const AgentCall& call, std::string_view path);

/// How far cloud-init is, from its own files in /run/cloud-init and /var/lib/cloud.
struct CloudInitState {
    enum class Kind { unknown, running, done, disabled, failed } kind = Kind::unknown;
    /// For failed: which (no datasource, final stage never ran); for done: quoted module errors, if any.
    std::string detail;
    bool idle = false; ///< running, but no stage is at work now: if that stays so, the final stage never ran
};
CloudInitState cloud_init_state(const AgentCall& call);

} // namespace blockhost::guest
