// SPDX-License-Identifier: MIT
#pragma once
/// The only access to what lies below the state folder. A user other than root owns that folder, and can put
/// a link, a FIFO or a file with a second name in the place of anything in it at any time. So the folder is
/// opened once. Everything below it is opened relative to that descriptor, without following links.

#include "base/files/files.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace blockhost {

/// The state folder. Copies share the descriptor, which is opened at first need. The path to the folder
/// itself is the admin's choice, and may contain links.
class StateFolder {
  public:
    /// No state folder: every path lies outside of it.
    StateFolder() = default;
    StateFolder(std::filesystem::path path);

    /// Nothing when it does not exist. Throws Error{io}.
    std::optional<Folder> open() const;
    /// Makes the folder when missing, with its parents.
    Folder make() const;
    /// The path of the folder, or of a file in it: for messages, definitions and comparisons. Never open it:
    /// that would follow planted links.
    std::string string() const;
    std::string string(std::string_view file) const;

    /// A folder that configuration names, in the state folder or elsewhere; nothing when it does not exist. A
    /// link on the way (in the state folder: on the way from it) is followed only when root or the caller
    /// made it. Throws Error{io}, also for what is not a folder.
    std::optional<Folder> at(const std::filesystem::path& path) const;
    /// Whether `path`, which is outside text, names the same folder as `ours`, which configuration names: by
    /// device and inode when both exist, else by their plain spelling. Throws like at() for `ours`.
    bool is_same(const std::filesystem::path& path, const std::filesystem::path& ours) const;
    /// Whether `path` names the state folder.
    bool is(const std::filesystem::path& path) const;

    struct File {
        Folder folder;
        std::string name; ///< a link of this name must not be followed
    };
    /// Where a file that configuration names is; nothing when its folder does not exist. Links as in at().
    std::optional<File> file_at(const std::filesystem::path& path) const;

  private:
    struct Door;
    std::shared_ptr<Door> door_;
};

/// A folder directly in the state folder.
class StatePlace {
  public:
    /// Which links are followed: none, or root's, which move large folders to another file system.
    enum class Links { none, of_root };

    StatePlace() = default;
    StatePlace(StateFolder state, std::string name, Links links = Links::none);
    /// For a folder by its path; its parent is taken for the state folder.
    StatePlace(const std::filesystem::path& path);

    /// Nothing when it does not exist. Throws Error{io}, also at a link in its place.
    std::optional<Folder> open() const;
    /// Makes the folder (not the state folder) with `mode` when missing; when root makes it, it gets the
    /// state folder's owner.
    Folder make(mode_t mode) const;
    /// Whether `path` names it; like StateFolder::is_same. Throws like open().
    bool is(const std::filesystem::path& path) const;
    /// Like StateFolder::string.
    std::string string() const;
    std::string string(std::string_view file) const;

  private:
    StateFolder state_;
    std::string name_;
    Links links_ = Links::none;
};

} // namespace blockhost
