// SPDX-License-Identifier: MIT
#pragma once
/// What root believes of the blockhost user's text and folders: request parameters, journal, VM database, and
/// the state folder's content. For root_actions.cpp and root_steps.cpp.

#include "vm/cleanup.hpp"
#include "vm/observation.hpp"

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

namespace blockhost::root {

/// The member `key` of that type. Throws Error{invalid} when there is none.
std::string text_of(const boost::json::object& from, std::string_view key);
std::int64_t number_of(const boost::json::object& from, std::string_view key);
/// Throws Error{invalid} "Invalid domain name: '…'".
VmName name_of(const std::string& text);

/// The domain of that name; nothing when there is none. Throws Error{foreign} for one that is not this
/// instance's: its mark must name this state folder too.
std::optional<Observation> ours(World& world, const VmName& name);
/// The same, but throws Error{not_found} when there is none.
Observation existing(World& world, const VmName& name);

/// One of BlockHost's folders; nothing when it does not exist. The blockhost user owns the state folder and
/// can put links there: only root's are followed. Throws Error{denied} at any other link.
std::optional<Folder> open_ours(const World& world, const std::filesystem::path& path);
/// Throws Error{denied} for `path`: "PATH `why`".
[[noreturn]] void planted(const std::filesystem::path& path, std::string_view why);
/// Checks that a file is a regular one with this one name. It may be absent where libvirt makes it anew.
/// Throws Error{denied}.
enum class Absent { is_fine, is_refused };
void require_plain(const std::optional<Folder>& folder, const std::filesystem::path& path, Absent absent);
/// Checks that the addresses are the VM's own, by its record or by its operation's note, and nobody else's.
/// Throws Error{invalid}.
void require_own(const World& world, const VmName& name, const OwnAddresses& wanted);

/// `seen`, without its record when the record's addresses are not the VM's own: the VM is not pinned to
/// those.
Observation believed(World& world, Observation seen);

/// The entry of an operation `verb` on the VM whose process holds it now.
std::optional<EntryView> held_entry(const World& world, const VmName& name, Verb verb);

} // namespace blockhost::root
