#pragma once
/// What root believes of the blockhost user's text and folders: parameters of requests, journal, VM database,
/// and whatever lies in the state folder. For root_actions.cpp and root_steps.cpp.

#include "lifecycle/leftovers.hpp"
#include "lifecycle/world.hpp"

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

namespace blockhost::root {

/// A member of that kind. Throws Error{invalid} when there is none.
std::string text_of(const boost::json::object& from, std::string_view key);
std::int64_t number_of(const boost::json::object& from, std::string_view key);
/// Throws Error{invalid} "Invalid domain name: '…'".
VmName name_of(const std::string& text);

/// The domain of that name; nothing when there is none. Throws Error{foreign} for one that is not ours: its
/// mark must name this state folder too.
std::optional<Observation> ours(World& world, const VmName& name);
/// The same, but Error{not_found} when there is none.
Observation existing(World& world, const VmName& name);

/// A folder of ours; nothing when there is none. What lies in the state folder is the blockhost user's, who
/// can put a link there: only root's own are followed. Throws Error{denied} at anybody else's.
std::optional<Folder> open_ours(const World& world, const std::filesystem::path& path);
/// That a file is a regular one with this one name; absent is fine where libvirt makes it anew. Throws
/// Error{denied}.
enum class Absent { is_fine, is_refused };
void require_plain(const std::optional<Folder>& folder, const std::filesystem::path& path, Absent absent);
/// Nothing below a disk but templates: libvirt opens the whole chain for QEMU. Throws Error{denied}.
void require_templates_below(const World& world, const std::filesystem::path& image);
/// That of the files that a domain of `name` names, those in our folders are such. (What else it has, root
/// gave it.)
void require_planted_nothing(const World& world, const VmName& name, const DomainFacts& facts);

/// Takes out of `wanted` what no VM may have, and says so: a sentence each.
std::vector<std::string> take_out_unfit(World& world, const VmName& name, OwnAddresses& wanted);
/// That they are the VM's own, by its record or by what its operation noted, and nobody else's. Throws
/// Error{invalid}.
void require_own(const World& world, const VmName& name, const OwnAddresses& wanted);

/// The entry of an operation that somebody holds now.
std::optional<EntryView> held_entry(const World& world, const VmName& name, Verb verb);

} // namespace blockhost::root
