// SPDX-License-Identifier: MIT
#pragma once
/// Makes a new version of the template, and moves the link to it.

#include "base/files/lock.hpp"
#include "image/maker.hpp"
#include "image/store.hpp"

namespace blockhost::image {

/// The folder in which a build works: `<cache>/build`, root's alone. It is empty at the start: what killed
/// builds left is removed. The build lock, of which a host has one, is held meanwhile.
class Bench {
  public:
    /// Waits for another build, saying who runs it. Throws Error{busy} after `patience`, Error{interrupted},
    /// Error{io}, Error{denied} when somebody else owns or can write to the cache folder.
    static Bench open(const Paths& paths, Progress& progress, const Interruption& interruption,
                      std::chrono::seconds patience);
    ~Bench();
    Bench(const Bench&) = delete;
    const Folder& folder() const { return folder_; }

  private:
    Bench(Folder cache, FileLock lock);
    Folder cache_, folder_;
    FileLock lock_;
};

/// Makes the version that follows from `maker`'s inputs, unless it exists, and makes it the current one. A
/// failure before that leaves the current version as it was. `program` is what the manifest names as the
/// maker. Returns what names the current version now: the link, or its stand-in.
std::filesystem::path build(const Paths& paths, const Order& order, Maker& maker, const Bench& bench,
                            Progress& progress, const Interruption& interruption, const std::string& program);

} // namespace blockhost::image
