#pragma once
/// Making a new version of the template, and moving the link to it.

#include "base/lock.hpp"
#include "image/maker.hpp"
#include "image/store.hpp"

namespace blockhost::image {

/// Where a build works: `<cache>/build`, root's alone and empty at the start, with what was left of killed
/// builds gone; under the build lock, of which there is one on a host.
class Bench {
  public:
    /// Waits for another build, saying who it is. Throws Error{busy} when that takes longer than `patience`,
    /// Error{interrupted}, Error{denied} when the cache folder is not ours alone, Error{io}.
    static Bench open(const Paths& paths, Talk& talk, const Interruption& interruption,
                      std::chrono::seconds patience);
    ~Bench();
    Bench(const Bench&) = delete;
    const Folder& folder() const { return folder_; }

  private:
    Bench(Folder cache, FileLock lock);
    Folder cache_, folder_;
    FileLock lock_;
};

/// Makes the version that follows from `maker`'s inputs unless it is there, and makes it the current one.
/// Returns what names it now: the link, or its stand-in.
/// Whatever fails before that leaves the current one as it was. `program`: who made it, for the manifest.
std::filesystem::path build(const Paths& paths, const Order& order, Maker& maker, const Bench& bench,
                            Talk& talk, const Interruption& interruption, const std::string& program);

} // namespace blockhost::image
