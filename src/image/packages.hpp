#pragma once
/// The .deb files that go into the template: whatever lies in `<state>/template-packages`, which the
/// installer's engine fills.

#include "image/programs.hpp"

#include "base/files.hpp"

#include <boost/json/array.hpp>
#include <string>
#include <vector>

namespace blockhost::image {

/// One of them, copied to `debs/<package>.deb` of the bench.
struct TemplatePackage {
    std::string file; ///< its name in the folder
    std::string package, version, sha256;
};

/// Copies and reads them all, sorted by file name. Throws Error{config} when there is none, when one is no
/// Debian package, or when two are of one package.
std::vector<TemplatePackage> take_packages(const Run& run, const std::filesystem::path& folder,
                                           const Folder& bench);

boost::json::array as_inputs(const std::vector<TemplatePackage>& packages);

} // namespace blockhost::image
