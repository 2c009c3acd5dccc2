// SPDX-License-Identifier: MIT
#pragma once
/// What a Proxmox node's answer means. The reason stands in the status line; nodes since 2025 repeat it as
/// "message", and "errors" names parameters (pve-http-server, src/PVE/APIServer/AnyEvent.pm).

#include <boost/json/value.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost::platform::proxmox {

/// One whole answer, as it arrived.
struct RawAnswer {
    int status = 0;
    std::string reason;       ///< from the status line; outside text
    std::string content_type; ///< as sent
    std::string body;
};

/// Why a call was not carried out, or that nobody knows whether it was.
enum class RefusalKind {
    unauthenticated, ///< the token is wrong, unknown, expired, or its user disabled. Never asked again
    forbidden,       ///< a privilege lacks; Refusal::path and ::privileges where the node names them
    root_only,       ///< no token may do this, whatever its role
    invalid,         ///< a parameter is wrong; Refusal::parameters
    unknown_call,    ///< the node's version has no such call
    no_guest,        ///< no guest of that id and kind on that node
    no_node,         ///< the node's name is not known
    exists,          ///< the id is taken
    busy,            ///< somebody else works on the guest; passes by itself
    locked,          ///< a flag in the guest's configuration, Refusal::lock; may last for ever
    changed,         ///< the configuration changed since it was read
    wrong_state,     ///< running, stopped or protected, and the call wants the other
    no_agent,        ///< the guest agent is not configured, or does not answer
    no_reaction,     ///< the guest was asked to shut down, and did not in time
    no_room,         ///< a storage is full
    no_storage,      ///< a storage is not there: unknown, switched off, or not reached
    not_executed,    ///< the daemon behind the front end is dead (595)
    unknown,         ///< the answer got lost: the call may have been, or may yet be, carried out
    unreadable,      ///< not the answer of a Proxmox node
    other,           ///< refused for another reason, which the words tell
};

struct Refusal {
    RefusalKind kind = RefusalKind::other;
    std::string words;      ///< the node's own sentence, in one line; outside text
    std::string path;       ///< of `forbidden`: "/vms/140"
    std::string privileges; ///< of `forbidden`: "VM.Allocate"; "A|B" where either would do
    std::string lock;       ///< of `locked`: "backup"
    std::map<std::string, std::string> parameters; ///< of `invalid` and `root_only`: what is wrong with each
    bool operator==(const Refusal&) const = default;
};

/// Reads an answer whose status is not 2xx.
Refusal refusal_of(const RawAnswer& answer);

/// A refusal as a task's end tells it: the same sentences, without a status.
Refusal refusal_in(std::string_view words);

/// "data" of an answer with 2xx. Nothing when the body is no such document (a proxy's page).
std::optional<boost::json::value> data_of(const RawAnswer& answer);

} // namespace blockhost::platform::proxmox
