// SPDX-License-Identifier: MIT
#pragma once
/// Turns a Debian image into the template of BlockHost's VMs: virt-customize runs data/customise-template.sh
/// inside it (docs/contract.md, "build-template").

#include "image/inside.hpp"
#include "image/packages.hpp"
#include "image/programs.hpp"

namespace blockhost::image {

/// The script's digest, which is one of a version's inputs.
std::string recipe_digest();

/// Customises the raw image `disk` in `bench`, with `packages` from its debs/. `more` are further arguments
/// for virt-customize. Returns what is inside afterwards. Throws Error{program}, and Error{config} when a
/// template package cannot be installed or is not inside in the end.
Inside customise(const Run& run, const Folder& bench, const std::string& disk,
                 const std::vector<TemplatePackage>& packages, const std::vector<std::string>& more);

/// Reads the script's report. Throws Error{config} or {program} for a report of failure, and for one that is
/// cut off.
Inside read_report(const std::string& report);

/// Throws Error{config} naming each package that is not inside in its own version.
void require_inside(const std::vector<TemplatePackage>& packages,
                    const std::map<std::string, std::string>& inside);

} // namespace blockhost::image
