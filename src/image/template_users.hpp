// SPDX-License-Identifier: MIT
#pragma once
/// What each image backs: the proof that a version of the template may be removed.

#include "vm/context.hpp"

#include <map>
#include <string>
#include <vector>

namespace blockhost::image {

/// For each image that backs anything, by its identity (files::identity), the sorted names of its users: VMs
/// by their disks, domains of any origin by theirs, creates under way by their journal entry. Throws when
/// volumes, domains, VM database or journal cannot be looked at as a whole, and when the disk of a VM in the
/// database is not found: nothing is proved then. A caller who wants proof holds the templates exclusively
/// (hold_templates).
std::map<std::string, std::vector<std::string>> template_users(World& world);

} // namespace blockhost::image
