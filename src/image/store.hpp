// SPDX-License-Identifier: MIT
#pragma once
/// The versions of the template, and the link that names the current one (config/templates.hpp). A version is
/// an image, `blockhost-base-<id>.qcow2`, and a manifest beside it (`.json`). The manifest is there first;
/// the image is read-only and never written again. Only the holder of the build lock writes.

#include "base/files/files.hpp"
#include "base/time.hpp"
#include "config/paths.hpp"
#include "image/inside.hpp"

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::image {

/// What is known of one version.
struct Manifest {
    std::string id; ///< the first 12 hex digits of the inputs' SHA-256
    Instant made_at;
    std::string made_by;        ///< "blockhost-libvirt" and its version
    std::string origin;         ///< where it came from, for people
    boost::json::object inputs; ///< same inputs, same id
    Inside inside;              ///< empty when nobody looked
    std::uint64_t virtual_bytes = 0, bytes = 0;
    std::string sha256;  ///< of the image file
    bool booted = false; ///< it has booted until its guest agent answered
};

/// The id that follows from inputs.
std::string id_of(const boost::json::object& inputs);

class Store {
  public:
    /// Makes the folder (0755: QEMU reads images through it) when it is missing, and takes it back
    /// (take_templates).
    static Store open_or_make(const Paths& paths);
    /// Nothing when there is no such folder.
    static std::optional<Store> open(const Paths& paths);

    /// Sorted, oldest first.
    std::vector<Manifest> versions() const;
    /// Nothing also when its manifest cannot be read, or its image has another size than when it was made.
    std::optional<Manifest> version(const std::string& id) const;
    std::filesystem::path image(const std::string& id) const;
    /// Whether anything has the name of that version's image.
    bool is_taken(const std::string& id) const;

    /// Files that have the name of a version's image and belong to no version: nobody knows what they are.
    std::vector<std::filesystem::path> strays() const;

    /// The id of the version that create uses, however the link is spelled; nothing when the link leads to no
    /// version.
    std::optional<std::string> current() const;
    /// Whether the link or its stand-in leads to that version.
    bool is_linked(const std::string& id) const;
    /// What has the link's name and is no link to a version: the 0.2.0 provisioner's file, or a link to where
    /// an admin moved it. Old disks name it as their backing path.
    std::optional<std::filesystem::path> old_base() const;

    /// Moves file `name` of `bench` to its place as the image of a new version: manifest first, image last,
    /// durably. `check` may throw, to end a long copy.
    void publish(const Folder& bench, const std::string& name, const Manifest& manifest,
                 const std::function<void()>& check) const;
    void note_booted(const std::string& id) const;
    /// Moves the link, or the stand-in while there is an old base.
    void make_current(const std::string& id) const;
    /// Puts the link in the old base's place. The caller has proof that nothing stands on the old base.
    void replace_old_base() const;
    /// Removes a version, image first, so that no image is ever without a manifest. Throws Error{busy} when a
    /// process has the image open for its guest (QEMU locks what it uses).
    void remove(const std::string& id) const;
    /// Removes what killed writers left: half-made links and manifests, and manifests without an image.
    void clear_leftovers() const;

  private:
    explicit Store(Folder folder) : folder_(std::move(folder)) {}
    void write_manifest(const Manifest& manifest) const;
    std::optional<std::string> id_behind(const char* link) const;

    Folder folder_;
};

/// Whether a process holds a lock on the file, as QEMU does on every image that its guest uses (QEMU,
/// docs/system/qemu-block-drivers, "Disk image file locking"). Throws Error{io} for what is no regular file.
bool is_in_use(const std::filesystem::path& image);

} // namespace blockhost::image
