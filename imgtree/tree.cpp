// SPDX-License-Identifier: MIT
#define FUSE_USE_VERSION 312

#include "imgtree/tree.hpp"

#include "base/error.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <fuse_lowlevel.h>
#include <poll.h>

namespace blockhost::imgtree {

using backup::TimedRun;

namespace {

constexpr std::uint64_t chunks_a_folder = 256;
constexpr double for_ever = 1e6; ///< seconds: nothing here changes

/// Numbers of nodes: the kind above, the disk, and what is counted within it.
constexpr unsigned kind_bits = 60, disk_bits = 48;
enum class Kind : std::uint64_t { top = 0, disk = 1, folder = 2, chunk = 3 };

std::uint64_t number(Kind kind, std::uint64_t disk, std::uint64_t within) {
    return static_cast<std::uint64_t>(kind) << kind_bits | disk << disk_bits | within;
}

/// An inode that only depends on names (FNV-1a).
std::uint64_t inode(std::string_view name, std::uint64_t node) {
    std::uint64_t hash = 14695981039346656037u;
    const auto take = [&hash](unsigned char byte) { hash = (hash ^ byte) * 1099511628211u; };
    for (char c : name) take(static_cast<unsigned char>(c));
    const std::uint64_t within = node & ~(std::uint64_t(0xfff) << disk_bits);
    for (unsigned shift = 0; shift < 64; shift += 8) take(static_cast<unsigned char>(within >> shift));
    return hash | 2; // neither 0 nor the root's
}

timespec time_of(std::int64_t nanoseconds) {
    constexpr std::int64_t second = 1'000'000'000;
    return {nanoseconds / second, nanoseconds % second};
}

} // namespace

struct Tree::Place {
    Kind kind;
    std::size_t disk;
    std::uint64_t within;
};

Tree::Tree(Plan plan, std::vector<NbdDisk> disks) : plan_(std::move(plan)) {
    for (std::size_t i = 0; i < disks.size(); ++i) disks_.emplace_back(std::move(disks[i]), plan_.disks[i]);
    for (std::size_t i = 0; i < disks_.size(); ++i)
        if (disks_[i].bytes() != plan_.disks[i].bytes)
            throw Error(Code::io, fmt::format("{} has {} bytes now, and had {}", plan_.disks[i].name,
                                              disks_[i].bytes(), plan_.disks[i].bytes));
}

const TimedRun* Tree::run_of(std::size_t disk, std::uint64_t chunk) const {
    return backup::run_with(plan_.disks[disk].times, chunk);
}

bool Tree::has_chunk_in(std::size_t disk, std::uint64_t folder) const {
    const std::uint64_t first = folder * chunks_a_folder;
    if (run_of(disk, first) != nullptr) return true;
    const auto& times = plan_.disks[disk].times;
    const auto next =
        std::ranges::lower_bound(times, first, {}, [](const TimedRun& each) { return each.run.first; });
    return next != times.end() && next->run.first < first + chunks_a_folder;
}

std::optional<Tree::Place> Tree::place(Node node) const {
    const Place place{static_cast<Kind>(node >> kind_bits), (node >> disk_bits) & 0xfff,
                      node & ((std::uint64_t(1) << disk_bits) - 1)};
    switch (place.kind) {
    case Kind::top:
        if (place.disk == 0 && place.within >= 1 && place.within < 2 + plan_.files.size()) return place;
        break;
    case Kind::disk:
        if (place.disk < disks_.size() && place.within == 0) return place;
        break;
    case Kind::folder:
        if (place.disk < disks_.size() && has_chunk_in(place.disk, place.within)) return place;
        break;
    case Kind::chunk:
        if (place.disk < disks_.size() && run_of(place.disk, place.within) != nullptr) return place;
        break;
    }
    return std::nullopt;
}

std::optional<struct stat> Tree::look(Node node) const {
    const auto at = place(node);
    if (!at) return std::nullopt;
    struct stat seen {};
    const bool is_file = at->kind == Kind::chunk || (at->kind == Kind::top && node != root);
    seen.st_mode = is_file ? S_IFREG | 0400 : S_IFDIR | 0500;
    seen.st_nlink = is_file ? 1 : 2;
    seen.st_uid = plan_.uid;
    seen.st_gid = plan_.gid;
    std::int64_t when = 0; // folders always look the same
    if (at->kind == Kind::chunk) {
        const Disk& disk = plan_.disks[at->disk];
        seen.st_size = static_cast<off_t>(backup::bytes_of_chunk(at->within, disk.bytes, disk.chunk_bytes));
        seen.st_ino = inode(disk.name, node);
        when = run_of(at->disk, at->within)->at;
    } else if (is_file) {
        const SmallFile& file = plan_.files[at->within - 2];
        seen.st_size = static_cast<off_t>(file.content.size());
        seen.st_ino = inode(file.name, node);
        when = plan_.at;
    } else {
        seen.st_ino = node == root ? root : inode(plan_.disks[at->disk].name, node);
    }
    seen.st_mtim = seen.st_ctim = seen.st_atim = time_of(when);
    return seen;
}

std::optional<Tree::Node> Tree::find(Node folder, std::string_view name) const {
    const auto at = place(folder);
    if (!at) return std::nullopt;
    if (folder == root) {
        for (std::size_t i = 0; i < plan_.files.size(); ++i)
            if (plan_.files[i].name == name) return number(Kind::top, 0, 2 + i);
        for (std::size_t i = 0; i < plan_.disks.size(); ++i)
            if (plan_.disks[i].name == name) return number(Kind::disk, i, 0);
        return std::nullopt;
    }
    const auto counted = text::parse_int(name);
    if (!counted || *counted < 0) return std::nullopt;
    const auto within = static_cast<std::uint64_t>(*counted);
    const bool is_folder = at->kind == Kind::disk;
    if (!is_folder && (at->kind != Kind::folder || within / chunks_a_folder != at->within))
        return std::nullopt;
    if (name != (is_folder ? fmt::format("{:05}", within) : fmt::format("{:08}", within)))
        return std::nullopt;
    const Node node = number(is_folder ? Kind::folder : Kind::chunk, at->disk, within);
    return place(node) ? std::optional(node) : std::nullopt;
}

std::optional<std::vector<std::pair<std::string, Tree::Node>>> Tree::names(Node folder) const {
    const auto at = place(folder);
    if (!at || at->kind == Kind::chunk || (at->kind == Kind::top && folder != root)) return std::nullopt;
    std::vector<std::pair<std::string, Node>> all;
    if (folder == root) {
        for (std::size_t i = 0; i < plan_.files.size(); ++i)
            all.emplace_back(plan_.files[i].name, number(Kind::top, 0, 2 + i));
        for (std::size_t i = 0; i < plan_.disks.size(); ++i)
            all.emplace_back(plan_.disks[i].name, number(Kind::disk, i, 0));
        return all;
    }
    const std::uint64_t chunks =
        backup::chunk_count(plan_.disks[at->disk].bytes, plan_.disks[at->disk].chunk_bytes);
    if (at->kind == Kind::disk) {
        for (std::uint64_t i = 0; i * chunks_a_folder < chunks; ++i)
            if (has_chunk_in(at->disk, i))
                all.emplace_back(fmt::format("{:05}", i), number(Kind::folder, at->disk, i));
        return all;
    }
    const std::uint64_t first = at->within * chunks_a_folder;
    for (std::uint64_t i = first; i < std::min(chunks, first + chunks_a_folder); ++i)
        if (run_of(at->disk, i) != nullptr)
            all.emplace_back(fmt::format("{:08}", i), number(Kind::chunk, at->disk, i));
    return all;
}

std::optional<std::string_view> Tree::read(Node file, std::uint64_t at, std::size_t count) {
    const auto where = place(file);
    const auto seen = look(file);
    if (!seen || !S_ISREG(seen->st_mode) || !trouble_.empty()) return std::nullopt;
    const auto size = static_cast<std::uint64_t>(seen->st_size);
    if (at >= size) return std::string_view();
    count = static_cast<std::size_t>(std::min<std::uint64_t>(count, size - at));
    if (where->kind == Kind::top)
        return std::string_view(plan_.files[where->within - 2].content).substr(at, count);
    try {
        return disks_[where->disk].read(where->within * plan_.disks[where->disk].chunk_bytes + at, count);
    } catch (const Error& error) {
        trouble_ = error.message();
        return std::nullopt;
    }
}

// The kernel's questions.

namespace {

Tree& tree_of(fuse_req_t request) {
    return *static_cast<Tree*>(fuse_req_userdata(request));
}

/// Folders are always read with what is in them.
void on_init(void* /*tree*/, fuse_conn_info* connection) {
    connection->want |= FUSE_CAP_READDIRPLUS;
    connection->want &= ~static_cast<unsigned>(FUSE_CAP_READDIRPLUS_AUTO);
}

fuse_entry_param entry_of(const Tree& tree, Tree::Node node) {
    fuse_entry_param entry{};
    entry.ino = node;
    entry.attr = *tree.look(node);
    entry.attr_timeout = entry.entry_timeout = for_ever;
    return entry;
}

void on_lookup(fuse_req_t request, fuse_ino_t folder, const char* name) {
    const auto node = tree_of(request).find(folder, name);
    if (!node) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    const fuse_entry_param entry = entry_of(tree_of(request), *node);
    fuse_reply_entry(request, &entry);
}

void on_getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info* /*open*/) {
    if (const auto seen = tree_of(request).look(node))
        fuse_reply_attr(request, &*seen, for_ever);
    else
        fuse_reply_err(request, ENOENT);
}

void on_open(fuse_req_t request, fuse_ino_t /*node*/, fuse_file_info* open) {
    if ((open->flags & O_ACCMODE) != O_RDONLY) {
        fuse_reply_err(request, EROFS);
        return;
    }
    open->direct_io = 1; // each byte is read once
    open->noflush = 1;   // nothing was written
    fuse_reply_open(request, open);
}

void on_read(fuse_req_t request, fuse_ino_t node, std::size_t count, off_t at, fuse_file_info* /*open*/) {
    const auto bytes = tree_of(request).read(node, static_cast<std::uint64_t>(at), count);
    if (bytes)
        fuse_reply_buf(request, bytes->data(), bytes->size());
    else
        fuse_reply_err(request, EIO);
}

/// With what is known of each, so that the kernel asks for none of them again.
void on_readdirplus(fuse_req_t request, fuse_ino_t node, std::size_t room, off_t from,
                    fuse_file_info* /*open*/) {
    const auto names = tree_of(request).names(node);
    if (!names) {
        fuse_reply_err(request, ENOTDIR);
        return;
    }
    std::string page(room, '\0');
    std::size_t used = 0;
    for (auto i = static_cast<std::size_t>(from); i < names->size(); ++i) {
        const auto& [name, number] = (*names)[i];
        const fuse_entry_param entry = entry_of(tree_of(request), number);
        const std::size_t needs = fuse_add_direntry_plus(request, page.data() + used, room - used,
                                                         name.c_str(), &entry, static_cast<off_t>(i + 1));
        if (needs > room - used) break;
        used += needs;
    }
    fuse_reply_buf(request, page.data(), used);
}

fuse_lowlevel_ops operations() {
    fuse_lowlevel_ops all{};
    all.init = on_init;
    all.lookup = on_lookup;
    all.getattr = on_getattr;
    all.open = on_open;
    all.read = on_read;
    all.readdirplus = on_readdirplus;
    return all;
}

} // namespace

Mount::Mount(Tree& tree, const std::string& mount_point) : tree_(tree) {
    std::string name = "imgtree", flag = "-o",
                options = "ro,nosuid,nodev,noexec,allow_other,default_permissions";
    std::array<char*, 3> words{name.data(), flag.data(), options.data()};
    fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(words.size()), words.data());
    const fuse_lowlevel_ops answers = operations();
    session_ = fuse_session_new(&arguments, &answers, sizeof answers, &tree);
    if (session_ == nullptr) throw Error(Code::io, "FUSE cannot begin");
    if (fuse_session_mount(session_, mount_point.c_str()) != 0) {
        fuse_session_destroy(session_);
        throw Error(Code::io, "the tree cannot be mounted at " + mount_point);
    }
}

/// The mount itself ends with the last process of its mount namespace.
Mount::~Mount() {
    fuse_session_destroy(session_);
}

void Mount::serve(int until) {
    fuse_buf buffer{};
    while (fuse_session_exited(session_) == 0) {
        std::vector<pollfd> waits{{fuse_session_fd(session_), POLLIN, 0}, {until, POLLIN, 0}};
        std::vector<ReadAhead*> on_their_way;
        for (ReadAhead& disk : tree_.disks())
            if (const short events = disk.events()) {
                waits.push_back({disk.fd(), events, 0});
                on_their_way.push_back(&disk);
            }
        if (poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) break;
        if (waits[1].revents != 0) break;
        for (std::size_t i = 0; i < on_their_way.size(); ++i)
            if (waits[2 + i].revents != 0) on_their_way[i]->progress();
        if (waits[0].revents == 0) continue;
        const int got = fuse_session_receive_buf(session_, &buffer);
        if (got == -EINTR || got == -EAGAIN) continue;
        if (got <= 0) break;
        fuse_session_process_buf(session_, &buffer);
    }
    std::free(buffer.mem);
}

} // namespace blockhost::imgtree
