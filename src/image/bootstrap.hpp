#pragma once
/// A bootable Debian disk from the host's own package sources, without any other download.

#include "image/programs.hpp"

#include "base/files.hpp"

#include <boost/json/object.hpp>
#include <string>
#include <vector>

namespace blockhost::image {

/// Where the host's own Debian packages come from.
struct PackageSources {
    std::vector<std::string> lines; ///< as sources.list has them
    std::string main;               ///< the first one's address, for people
    std::string digest;             ///< of the lists of packages as the host knows them
};
/// Throws Error{config} when apt knows no source of Debian 12, or its lists are missing.
PackageSources package_sources(const Run& run);

/// What identifies what bootstrap() makes, sources included.
boost::json::object bootstrap_inputs(const PackageSources& sources);

/// Makes the raw image `disk` in the bench: one ext4 partition with Debian 12 and a boot loader whose
/// installation inside the image, by finishing_arguments(), is still to be done. Throws Error{program},
/// {no_room}.
void bootstrap(const Run& run, const Folder& bench, const std::string& disk, const PackageSources& sources);

/// What virt-customize has to do beyond the common script.
std::vector<std::string> finishing_arguments();

} // namespace blockhost::image
