// SPDX-License-Identifier: MIT
/// Follows every disk to the images that back it.

#include "image/template_users.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "config/mounts.hpp"
#include "host/capability.hpp"
#include "hypervisor/files/qcow2.hpp"
#include "vm/disk_chain.hpp"

#include <fmt/format.h>
#include <set>

namespace blockhost::image {

namespace {

class Look {
  public:
    explicit Look(World& world) : world_(world) {}

    std::map<std::string, std::vector<std::string>> all() {
        require_mounted(world_.paths);
        world_.volume_files(); // throws when the pool's folder is missing
        for (const auto& folder :
             std::set<std::filesystem::path>{world_.storage, world_.paths.disks.string()})
            look_at_folder(folder);
        look_at_templates();
        look_at_domains();
        look_at_database();
        look_at_journal();
        std::map<std::string, std::vector<std::string>> found;
        for (const auto& [image, owners] : users_) found[image].assign(owners.begin(), owners.end());
        return found;
    }

  private:
    /// `owner` uses the disk's own file and all that backs it.
    void note(const std::string& owner, const std::filesystem::path& disk) {
        try {
            note_file(owner, disk);
            for (const auto& image : backing_chain(disk)) note_file(owner, image);
        } catch (const Error& error) {
            throw error.within("what " + owner + " stands on cannot be told");
        }
    }

    void note_file(const std::string& owner, const std::filesystem::path& file) {
        users_[files::identity(file)].insert(owner);
        if (const auto below = host::file_below(file)) note(owner, *below);
    }

    /// The VM that a file in the pool's folder belongs to, by the file's name.
    static std::optional<VmName> vm_of(const std::string& file) {
        constexpr std::string_view suffix = ".qcow2";
        if (const auto disk = disk_name(file)) return disk->vm;
        if (!file.ends_with(suffix)) return std::nullopt;
        return VmName::try_parse(file.substr(0, file.size() - suffix.size())); // of the 0.2.0 provisioner
    }

    void look_at_folder(const std::filesystem::path& path) {
        const auto folder = world_.paths.state.at(path);
        if (!folder) return;
        for (const std::string& file : folder->names()) {
            if (folder->kind(file) == Folder::Kind::folder) continue;
            const auto vm = vm_of(file);
            try {
                note(vm ? vm->str() : text::printable((path / file).string()), path / file);
            } catch (const Error&) {
                if (folder->kind(file) != Folder::Kind::absent) throw;
                continue; // a destroy was quicker
            }
            if (vm) seen_.insert(vm->str());
        }
    }

    /// A file beside the versions may be backed by one of them; a version is not its own user.
    void look_at_templates() {
        const auto folder = world_.paths.templates.open();
        if (!folder) return;
        for (const std::string& file : folder->names()) {
            if (folder->kind(file) != Folder::Kind::file) continue;
            const std::filesystem::path path = world_.paths.templates.string(file);
            for (const auto& image : backing_chain(path)) note_file(text::printable(path.string()), image);
        }
    }

    void look_at_domains() {
        for (const DomainState& each : world_.hypervisor().states()) {
            try {
                look_at_domain(each.name);
            } catch (const Error&) {
                if (world_.hypervisor().find(each.name)) throw;
            } // gone meanwhile, with its disks
        }
    }

    void look_at_domain(const std::string& name) {
        const auto view = world_.hypervisor().find(name);
        if (!view) return;
        look_at_definition(name, view->xml);
        for (const std::string& xml : world_.hypervisor().other_definitions(name))
            look_at_definition(name, xml);
    }

    void look_at_definition(const std::string& name, const std::string& xml) {
        const DiskSources sources = disk_sources(xml);
        const std::string owner = text::printable(name);
        std::error_code missing;
        for (const std::string& file : sources.raw)
            if (std::filesystem::exists(file, missing)) note_file(owner, file);
        for (const std::string& file : sources.removable)
            if (std::filesystem::exists(file, missing)) note(owner, file);
        for (const std::string& file : sources.files) note(owner, file);
        for (const auto& volume : sources.volumes) note(owner, path_of(volume, owner));
        if (!sources.files.empty() || !sources.raw.empty() || !sources.volumes.empty()) seen_.insert(name);
    }

    std::filesystem::path path_of(const DiskSources::Volume& volume, const std::string& owner) {
        const auto pool = world_.hypervisor().find_pool(volume.pool);
        if (pool) return std::filesystem::path(pool->path) / volume.volume;
        throw Error(Code::not_found,
                    fmt::format("what {} stands on cannot be told: there is no storage pool {}", owner,
                                text::printable(volume.pool)));
    }

    void look_at_database() {
        std::vector<std::string> unreadable;
        for (const VmRecord& record : world_.registry.read().records(&unreadable)) {
            if (record.status == RecordStatus::destroyed || seen_.count(record.name.str()) != 0) continue;
            if (const auto entry = world_.journal.peek(record.name))
                throw Error(Code::busy, fmt::format("{} of {} is under way", entry->verb, record.name.str()),
                            "try again when it is done");
            throw Error(
                Code::wrong_state,
                fmt::format("the disk of {} is nowhere to be seen, so that nobody knows what it stands on",
                            record.name.str()),
                fmt::format("bring it back, or destroy {}", record.name.str()));
        }
        if (!unreadable.empty())
            throw Error(Code::registry,
                        fmt::format("the record '{}' in {} cannot be read",
                                    text::printable(unreadable.front()), world_.registry.file().string()),
                        "mend it");
    }

    void look_at_journal() {
        for (const VmName& name : world_.journal.names()) {
            const auto entry = world_.journal.peek(name);
            if (!entry) continue;
            const std::string image = json::string_or(entry->notes, template_note, "");
            std::error_code gone;
            if (!image.empty() && std::filesystem::exists(image, gone))
                note_file(entry->verb + " of " + name.str(), image);
        }
    }

    World& world_;
    std::map<std::string, std::set<std::string>> users_;
    std::set<std::string> seen_; ///< the names of VMs whose disks were looked at
};

} // namespace

std::map<std::string, std::vector<std::string>> template_users(World& world) {
    return Look(world).all();
}

} // namespace blockhost::image
