// SPDX-License-Identifier: MIT
/// See disk_chain.hpp.

#include "vm/disk_chain.hpp"

#include "base/text/text.hpp"
#include "hypervisor/files/disk_layers.hpp"
#include "hypervisor/files/qcow2.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <functional>

namespace blockhost {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view disk_suffix = ".qcow2";
constexpr const char* own_target =
    "vda"; ///< the disk that create gives a VM, and that the 0.2.0 provisioner gave it

bool contains(const std::vector<std::string>& list, const std::string& wanted) {
    return std::ranges::find(list, wanted) != list.end();
}

/// Judges by the file's name alone.
DiskProof proof_by_name(const World& world, const VmName& name, const std::string& file) {
    const auto disk = disk_name(file);
    if (disk && disk->vm == name && disk->operation.of(world.instance)) return DiskProof::ours;
    return file == name.str() + std::string(disk_suffix) ? DiskProof::old : DiskProof::none;
}

/// The backing chain of a file, nearest first; nothing where it cannot be read.
std::optional<std::vector<fs::path>> readable_chain(const fs::path& file) {
    try {
        return backing_chain(file);
    } catch (const Error&) {
        return std::nullopt;
    }
}

class Collection {
  public:
    Collection(World& world, const Observation& seen)
        : world_(world), seen_(seen), files_(world.volume_files()) {}

    std::vector<std::string> all() {
        if (seen_.domain) {
            look_at(seen_.domain->xml);
            for (const std::string& xml : world_.hypervisor().other_definitions(seen_.name.str()))
                look_at(xml);
        }
        for (const std::string& file : files_) // disks that no definition names any more
            if (proof_by_name(world_, seen_.name, file) == DiskProof::ours) add(file);
        if (!found_.empty()) require_nobody_above();
        std::ranges::stable_sort(found_, std::greater(),
                                 [&](const std::string& file) { return height(file); });
        return found_;
    }

  private:
    /// The higher, the sooner a file goes: a file that only its own chain proves must not lose that chain
    /// first.
    std::size_t height(const std::string& file) const {
        if (operation_of_volume(seen_.name, file)) return 0;
        const auto chain = readable_chain(world_.storage / file);
        return 1 + (chain ? chain->size() : 0);
    }
    bool is_in_storage(const fs::path& path) const {
        return world_.paths.state.is_same(path.parent_path(), world_.storage);
    }
    bool is_template(const fs::path& path) const { return world_.paths.templates.is(path.parent_path()); }
    /// Several definitions name the same disk, so that warnings would repeat.
    void warn_once(const std::string& text) {
        if (contains(warned_, text)) return;
        warned_.push_back(text);
        world_.progress.warn(text);
    }
    void add(const std::string& file) {
        if (!contains(found_, file)) found_.push_back(file);
    }

    void look_at(const std::string& xml) {
        for (const DiskLayers& disk : disk_layers(xml))
            if (!disk.files.empty()) look_at(disk);
    }

    /// Read from the headers, where we may read them: the chain in a definition may be out of date.
    static std::vector<fs::path> layers_of(const DiskLayers& disk) {
        std::vector<fs::path> layers(disk.files.begin(), disk.files.end());
        if (const auto below = readable_chain(layers.front())) {
            layers.resize(1);
            layers.insert(layers.end(), below->begin(), below->end());
        }
        if (!disk.commit.empty()) layers.insert(layers.begin() + 1, disk.commit);
        return layers;
    }

    void look_at(const DiskLayers& disk) {
        const auto layers = layers_of(disk);
        const bool ours =
            disk.target == own_target || std::ranges::any_of(layers, [&](const fs::path& layer) {
                return proof_by_name(world_, seen_.name, layer.filename().string()) == DiskProof::ours;
            });
        if (!ours) {
            warn_once(fmt::format("{} is attached to {} but was not made by us; it is kept",
                                  disk.files.front(), seen_.name.str()));
            return;
        }
        if (!disk.copy.empty())
            refuse(
                fmt::format("a block copy of the disk of {} to {} is under way", seen_.name.str(),
                            text::printable(disk.copy)),
                fmt::format("let it end, or 'virsh blockjob {} {} --abort'", seen_.name.str(), disk.target));
        for (const fs::path& layer : layers) {
            if (is_template(layer)) break;
            take(layer);
        }
    }

    void take(const fs::path& layer) {
        const std::string file = layer.filename().string(), shown = text::printable(layer.string());
        std::error_code ignored;
        if (!is_in_storage(layer) && !fs::exists(layer, ignored))
            throw Error(
                Code::io,
                fmt::format("the disk {} of {} cannot be seen; nothing was touched", shown, seen_.name.str()),
                "mount its file system, or set storage_path in db.yaml back to where it lies");
        if (!is_in_storage(layer))
            refuse(fmt::format("{} is part of the disk of {}, but lies outside of {}", shown,
                               seen_.name.str(), world_.storage.string()),
                   "bring the disk back into that folder first (virsh blockcopy), or set storage_path in "
                   "db.yaml "
                   "back to where it lies");
        if (!contains(files_, file)) {
            warn_once(fmt::format("the disk {} of {} is gone already", shown, seen_.name.str()));
            return;
        }
        if (disk_proof(world_, seen_.name, file) == DiskProof::none)
            refuse(fmt::format("{} is part of the disk of {}, but nothing proves that it was made for it",
                               shown, seen_.name.str()),
                   "bring the disk into one piece first (virsh blockpull)");
        add(file);
    }

    /// Refuses to delete a disk that backs an overlay which no domain has attached: the overlay would be
    /// lost.
    void require_nobody_above() const {
        std::vector<std::string> identities;
        for (const std::string& file : found_) identities.push_back(files::identity(world_.storage / file));
        for (const std::string& file : files_) {
            if (contains(found_, file) || disk_name(file)) continue;
            const auto chain = readable_chain(world_.storage / file);
            if (!chain || std::ranges::none_of(*chain, [&](const fs::path& below) {
                    return contains(identities, files::identity(below));
                }))
                continue;
            refuse(fmt::format("{} stands on the disk of {}, but is no part of it", text::printable(file),
                               seen_.name.str()),
                   "move it away or remove it, then destroy again");
        }
    }

    [[noreturn]] static void refuse(const std::string& why, const std::string& hint) {
        throw Error(Code::wrong_state, why + "; nothing was touched", hint);
    }

    World& world_;
    const Observation& seen_;
    std::vector<std::string> files_; ///< in the storage folder
    std::vector<std::string> found_, warned_;
};

} // namespace

std::optional<DiskName> disk_name(std::string_view file) {
    const auto last = file.rfind('.');
    if (last == file.npos || last + 1 == file.size()) return std::nullopt;
    const std::string_view stem = file.substr(0, last);
    const auto dot = stem.rfind('.');
    if (dot == stem.npos) return std::nullopt;
    const auto vm = VmName::try_parse(stem.substr(0, dot));
    const auto operation = OperationId::try_parse(stem.substr(dot + 1));
    if (!vm || !operation) return std::nullopt;
    return DiskName{*vm, *operation};
}

DiskProof disk_proof(const World& world, const VmName& name, const std::string& file) {
    if (file.empty() || file.find('/') != file.npos) return DiskProof::none;
    const DiskProof named = proof_by_name(world, name, file);
    if (named != DiskProof::none || disk_name(file)) return named;
    const auto chain = readable_chain(world.storage / file);
    if (!chain) return DiskProof::none;
    for (const fs::path& below : *chain) {
        if (!world.paths.state.is_same(below.parent_path(), world.storage)) continue;
        const DiskProof proof = proof_by_name(world, name, below.filename().string());
        if (proof != DiskProof::none) return proof;
    }
    return DiskProof::none;
}

std::vector<std::string> disks_of(World& world, const Observation& seen) {
    return Collection(world, seen).all();
}

} // namespace blockhost
