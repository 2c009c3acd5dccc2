// SPDX-License-Identifier: MIT
#pragma once
/// Frozen disks as a folder of chunk files, read-only: vda/00012/00003123 is chunk 3123 of vda. A chunk
/// without data has no file.
///
/// A chunk's file has a size, an inode and times that depend on nothing but the disk, the chunk and when it
/// was last stored anew: who compares them with those of the last backup reads only what changed.

#include "imgtree/read_ahead.hpp"

#include <optional>
#include <sys/stat.h>

struct fuse_session;

namespace blockhost::imgtree {

/// What the kernel asks about, by number.
class Tree {
  public:
    using Node = std::uint64_t;
    static constexpr Node root = 1;

    /// Throws Error{io} when an export's size is not the plan's.
    Tree(Plan plan, std::vector<NbdDisk> disks);
    Tree(const Tree&) = delete; // its disks look into its plan
    Tree& operator=(const Tree&) = delete;

    std::optional<Node> find(Node folder, std::string_view name) const;
    std::optional<struct stat> look(Node node) const;
    /// Nothing for what is no folder.
    std::optional<std::vector<std::pair<std::string, Node>>> names(Node folder) const;
    /// Bytes of a file from `at` on, at most `count`, and none at its end; they stay until the next call.
    /// Nothing when they cannot be read: then nothing can be read any more, since what was served before must
    /// not be taken for whole.
    std::optional<std::string_view> read(Node file, std::uint64_t at, std::size_t count);
    /// The exports, to be polled while nothing is asked of the tree.
    std::vector<ReadAhead>& disks() { return disks_; }
    const std::string& trouble() const { return trouble_; } ///< the first failure; empty: none

  private:
    struct Place;
    std::optional<Place> place(Node node) const;
    const backup::TimedRun* run_of(std::size_t disk, std::uint64_t chunk) const;
    bool has_chunk_in(std::size_t disk, std::uint64_t folder) const;

    Plan plan_;
    std::vector<ReadAhead> disks_;
    std::string trouble_;
};

/// A session that answers from `tree`, which outlives it, mounted at `mount_point`. Throws Error{io}.
class Mount {
  public:
    Mount(Tree& tree, const std::string& mount_point);
    Mount(const Mount&) = delete;
    Mount& operator=(const Mount&) = delete;
    ~Mount();
    /// Answers until `until` is readable, or the folder is unmounted.
    void serve(int until);

  private:
    Tree& tree_;
    fuse_session* session_;
};

} // namespace blockhost::imgtree
