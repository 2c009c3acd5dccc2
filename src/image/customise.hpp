#pragma once
/// Turning a Debian image into the template of BlockHost VMs: virt-customize runs data/customise-template.sh
/// inside it (docs/contract.md, "build-template").

#include "image/packages.hpp"
#include "image/programs.hpp"

#include <map>

namespace blockhost::image {

/// The script's digest: part of a version's inputs.
std::string recipe_digest();

/// Customises the raw image `disk` of the bench, with `packages` from its debs/; `more` are virt-customize's
/// further arguments. Returns the packages that are inside afterwards, with their versions. Throws
/// Error{config} when a template package cannot be installed or is not inside in the end, Error{program}.
std::map<std::string, std::string> customise(const Run& run, const Folder& bench, const std::string& disk,
                                             const std::vector<TemplatePackage>& packages,
                                             const std::vector<std::string>& more);

/// What the script reported of the packages inside. Throws Error{config} or {program} for a report of
/// failure, and for one that is cut off.
std::map<std::string, std::string> read_report(const std::string& report);

/// Throws Error{config} naming each package that is not among those inside in its own version.
void require_inside(const std::vector<TemplatePackage>& packages,
                    const std::map<std::string, std::string>& inside);

} // namespace blockhost::image
