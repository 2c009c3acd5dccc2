// SPDX-License-Identifier: MIT
#pragma once
/// Makes a bootable Debian disk from the host's own package sources, without any other download.

#include "image/programs.hpp"

#include "base/files/files.hpp"

#include <boost/json/object.hpp>
#include <string>
#include <vector>

namespace blockhost::image {

/// Where the host's own Debian packages come from.
struct PackageSources {
    std::vector<std::string> lines; ///< as in sources.list
    std::string main;               ///< the address of the first, for people
    std::string digest;             ///< of the package lists that this host's apt has
};
/// Throws Error{config} when apt knows no source of Debian 12, or its lists are missing.
PackageSources package_sources(const Run& run);

/// The inputs that identify what bootstrap() makes, the sources included.
boost::json::object bootstrap_inputs(const PackageSources& sources);

/// Makes the raw image `disk` in `bench`: one ext4 partition with Debian 12. Its boot loader is installed
/// later, inside the image, by finishing_arguments(). Throws Error{program}, {no_room}.
void bootstrap(const Run& run, const Folder& bench, const std::string& disk, const PackageSources& sources);

/// What virt-customize has to do besides the common script.
std::vector<std::string> finishing_arguments();

} // namespace blockhost::image
