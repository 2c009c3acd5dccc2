// SPDX-License-Identifier: MIT
#pragma once
/// What makes a build's image: programs of the host, or nothing at all in the simulated world.

#include "base/files/files.hpp"
#include "base/interrupt.hpp"
#include "base/progress.hpp"
#include "config/config.hpp"
#include "image/inside.hpp"
#include "image/source.hpp"

#include <boost/json/object.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace blockhost::image {

/// What was asked for.
struct Order {
    Source source;
    std::string sha512; ///< of the source's image; empty: as Debian's list says, or any
    bool needs_checksum = true;
    std::filesystem::path ca_file;
    bool with_packages = true; ///< install the template packages
    bool customise = true;     ///< false: the image is taken as it is
    bool verify_boot = false;
    bool force = false; ///< fetch and make it again, even if nothing has changed
};

/// What the image will be made of.
struct Inputs {
    boost::json::object all; ///< same inputs, same version
    std::string origin;      ///< for people
};

/// The image in the build folder, ready to be published.
struct Made {
    std::string file;
    Inside inside; ///< empty when nobody looked
};

class Maker {
  public:
    virtual ~Maker() = default;
    /// Finds out the inputs, and downloads what they name.
    virtual Inputs inputs(const Folder& bench) = 0;
    /// Makes the image in `bench` from what inputs() found. When it throws, `bench` may hold anything.
    virtual Made make(const Folder& bench) = 0;
    /// Boots a throw-away disk that stands on `image` until the guest agent answers. Throws Error{guest} when
    /// it does not.
    virtual void boot(const Folder& bench, const std::filesystem::path& image) = 0;
};

/// `interruption` ends the work, between programs and while one runs.
std::unique_ptr<Maker> make_real(const Paths& paths, const Order& order, Progress& progress,
                                 const Interruption& interruption);
std::unique_ptr<Maker> make_simulated(const Order& order);

} // namespace blockhost::image
