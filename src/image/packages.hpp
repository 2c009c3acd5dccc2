// SPDX-License-Identifier: MIT
#pragma once
/// The .deb files that go into the template: those in `<state>/template-packages`, which the installer's
/// engine fills.

#include "image/programs.hpp"

#include "base/files/files.hpp"
#include "base/files/state_folder.hpp"

#include <boost/json/array.hpp>
#include <string>
#include <vector>

namespace blockhost::image {

/// One of these files, copied to `debs/<package>.deb` in the build folder.
struct TemplatePackage {
    std::string file; ///< its name in template-packages
    std::string package, version, sha256;
};

/// Copies and reads all of them, sorted by file name. Throws Error{config} when there is none, when one is no
/// Debian package, or when two are of one package.
std::vector<TemplatePackage> take_packages(const Run& run, const StatePlace& folder, const Folder& bench);

boost::json::array as_inputs(const std::vector<TemplatePackage>& packages);

} // namespace blockhost::image
