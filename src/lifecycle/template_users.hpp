#pragma once
/// What stands on which image: the proof that a version of the template may go.

#include "lifecycle/world.hpp"

#include <map>
#include <string>
#include <vector>

namespace blockhost {

/// For each image that anything stands on, by its identity (files::identity), the names of what does, sorted:
/// VMs by their disks, domains of any origin by theirs, creates under way by their journal entry. Throws when
/// any of volumes, domains, VM database and journal cannot be looked at whole, and when the disk of a VM in
/// the database is nowhere to be seen: then nothing is proved. The caller holds the templates exclusively
/// (hold_templates), or wants no proof.
std::map<std::string, std::vector<std::string>> template_users(World& world);

} // namespace blockhost
