// SPDX-License-Identifier: MIT
#pragma once
/// The way back: empty disks are filled from a tar archive of what tree.hpp shows. The archive is outside
/// text.

#include "base/files/tar.hpp"
#include "imgtree/nbd_disk.hpp"

namespace blockhost::imgtree {

class Filling {
  public:
    /// `disks` are the plan's, and hold zeros; an overlay shows what it stands on, whatever that is. Throws
    /// Error{io} when one has another size than the plan says.
    Filling(Plan plan, std::vector<NbdDisk> disks);

    /// Reads an archive to its end. Nothing but the plan's chunks is written, each once, in its place and
    /// with its size; the plan's other files are passed over. Throws Error{invalid} for anything else in it,
    /// and for what is no archive; Error{io}.
    void read(int archive);
    /// What was written is on the disks, and nothing of what an overlay stands on shows where the plan has no
    /// chunk. Throws Error{invalid} when a chunk is missing.
    void finish();

  private:
    struct Place {
        std::size_t disk;
        std::uint64_t chunk;
    };
    std::optional<Place> place(std::string_view path) const;
    void take(TarReader& archive, const Place& place, std::uint64_t bytes);
    /// Writes what differs from `there`, what the disk shows at `at`: only that takes room.
    void put(std::size_t disk, std::string_view bytes, std::string_view there, std::uint64_t at);
    void clear_what_shows_through(std::size_t disk);

    Plan plan_;
    std::vector<NbdDisk> disks_;
    std::vector<std::vector<bool>> missing_; ///< of each disk, by chunk
    std::vector<std::vector<bool>> showing_; ///< the chunks in which an overlay showed data; else empty
};

} // namespace blockhost::imgtree
