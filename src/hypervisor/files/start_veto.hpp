// SPDX-License-Identifier: MIT
#pragma once
/// A suspended VM stays off: the file that says so, and what the hook program answers libvirtd about it.
///
/// <state>/suspended/NAME holds one JSON object {"instance", "uuid", "since"}. vm/stay_off_marks.hpp writes
/// it; the hook program (hooks/start_veto.cpp), which libvirtd runs before every start on this host, finds
/// the state folder in the mark of the definition it is given.

#include "base/files/files.hpp"
#include "base/time.hpp"
#include "model/names.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// One VM that must stay off.
struct StartVeto {
    InstanceId instance;
    std::string uuid; ///< of the domain that was suspended; empty: whatever domain has its name
    Instant since;
};

/// The file's content, one line.
std::string render_start_veto(const StartVeto& veto);
/// Nothing for anything that is not such an object: it forbids nothing.
std::optional<StartVeto> parse_start_veto(std::string_view text);
/// The file of a VM in the folder of such files; nothing when there is none or its content is none. Throws
/// Error{io} when it cannot be read or is no regular file.
std::optional<StartVeto> read_start_veto(const Folder& suspended, const VmName& name);

/// The folder in the state folder, as in Paths, and the file there whose time of change is when libvirtd last
/// asked about a domain of ours.
inline constexpr std::string_view suspended_folder = "suspended";
inline constexpr std::string_view veto_asked_file = "start-veto-asked";

/// Whether a non-zero answer to this operation of libvirt's QEMU hook keeps a domain off, and does nothing
/// else. "prepare" comes before every start, that from a saved image included; a failure on "reconnect" or
/// "started" would kill a domain that runs.
bool precedes_start(std::string_view operation);

/// Why the domain of that definition, called `name` by libvirtd, must not start: one sentence. Nothing: it
/// may, and so it may when anything is not as expected. Notes in the state folder that it was asked.
std::optional<std::string> reason_to_stay_off(std::string_view name, const std::string& definition) noexcept;

} // namespace blockhost
