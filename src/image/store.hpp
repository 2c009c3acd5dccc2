#pragma once
/// The versions of the template: `blockhost-base-<id>.qcow2`, read-only and never written again, each with a
/// manifest beside it (`.json`) that was there before it, and the link that names the current one
/// (config/templates.hpp). A version is what has both. For one writer at a time: the build lock's holder.

#include "base/files.hpp"
#include "base/time.hpp"
#include "config/paths.hpp"

#include <boost/json/object.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::image {

/// What is known of one version.
struct Manifest {
    std::string id; ///< the first 12 hex digits of the inputs' SHA-256
    Instant made_at;
    std::string made_by;                         ///< "blockhost-libvirt 1.0.0"
    std::string origin;                          ///< where it came from, for people
    boost::json::object inputs;                  ///< same inputs, same id
    std::map<std::string, std::string> packages; ///< installed in it: name, version; empty when not looked at
    std::uint64_t virtual_bytes = 0, bytes = 0;
    std::string sha256;  ///< of the image file
    bool booted = false; ///< it has been seen to boot until its guest agent answered
};

/// The id that follows from inputs.
std::string id_of(const boost::json::object& inputs);

class Store {
  public:
    /// Makes the folder where it is missing (0711: QEMU reads images through it).
    static Store open_or_make(const Paths& paths);
    /// Nothing when there is no such folder.
    static std::optional<Store> open(const Paths& paths);

    /// Sorted, oldest first.
    std::vector<Manifest> versions() const;
    /// Nothing also when its manifest cannot be read, or its image is not as large as when it was made.
    std::optional<Manifest> version(const std::string& id) const;
    std::filesystem::path image(const std::string& id) const;
    /// Whether anything has the name of that version's image.
    bool is_taken(const std::string& id) const;

    /// Images that have a version's name and are none: nobody knows what they are.
    std::vector<std::filesystem::path> strays() const;

    /// The id that create's way leads to, however the link is spelled; nothing when that is no version of
    /// ours.
    std::optional<std::string> current() const;
    /// Whether the link or its stand-in leads to that version.
    bool is_linked(const std::string& id) const;
    /// What has the link's name and is not a link of ours: the 0.2.0 provisioner's file, or a link to where
    /// an admin moved that. Disks name it as their backing path.
    std::optional<std::filesystem::path> old_base() const;

    /// Takes file `name` of `bench` for the image of a new version: manifest first, image last, durably.
    /// `check` may end a long copy.
    void publish(const Folder& bench, const std::string& name, const Manifest& manifest,
                 const std::function<void()>& check) const;
    void note_booted(const std::string& id) const;
    /// Moves the link, or its stand-in while there is an old base.
    void make_current(const std::string& id) const;
    /// Puts the link where the old base is. The caller has proof that nothing stands on that.
    void replace_old_base() const;
    /// Removes a version: image first, so that no image is ever without a manifest. Throws Error{busy} when
    /// a process has the image open for its guest (QEMU locks what it uses).
    void remove(const std::string& id) const;
    /// Removes what killed writers left: half-made links and manifests, manifests without their image.
    void clear_leftovers() const;

  private:
    explicit Store(Folder folder) : folder_(std::move(folder)) {}
    void write_manifest(const Manifest& manifest) const;
    std::optional<std::string> id_behind(const char* link) const;

    Folder folder_;
};

/// Whether a process holds a lock on the file, as QEMU does on every image that its guest uses
/// (QEMU, docs/system/qemu-block-drivers, "Disk image file locking").
bool is_in_use(const std::filesystem::path& image);

} // namespace blockhost::image
