#pragma once
/// What a build makes an image with: programs of the host, or, in the simulated world, nothing at all.

#include "base/files.hpp"
#include "base/interrupt.hpp"
#include "base/talk.hpp"
#include "config/config.hpp"
#include "image/source.hpp"

#include <boost/json/object.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace blockhost::image {

/// What was asked for.
struct Order {
    Source source;
    std::string sha512; ///< that the source's image must have; empty: what Debian's list says, or none
    bool needs_checksum = true;
    std::filesystem::path ca_file;
    bool with_packages = true; ///< install the template packages
    bool customise = true;     ///< else the image is taken as it is
    bool verify_boot = false;
    bool force = false; ///< fetch and make it again, even if nothing has changed
};

/// What the image will be made of.
struct Inputs {
    boost::json::object all; ///< same inputs, same version
    std::string origin;      ///< for people
};

/// The image as it lies in the bench, ready to be published.
struct Made {
    std::string file;
    std::map<std::string, std::string> packages; ///< in it, with versions; empty when not looked at
};

class Maker {
  public:
    virtual ~Maker() = default;
    /// Finds out, downloading what must be downloaded.
    virtual Inputs inputs(const Folder& bench) = 0;
    /// Makes the image in the bench, from what inputs() found. Throws with the bench in any state.
    virtual Made make(const Folder& bench) = 0;
    /// Boots a throw-away disk on `image` until its guest agent answers. Throws Error{guest} when it does
    /// not.
    virtual void boot(const Folder& bench, const std::filesystem::path& image) = 0;
};

/// `interruption` ends the work between and in its programs.
std::unique_ptr<Maker> make_real(const Paths& paths, const Order& order, Talk& talk,
                                 const Interruption& interruption);
std::unique_ptr<Maker> make_simulated(const Order& order);

} // namespace blockhost::image
