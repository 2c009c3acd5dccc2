// SPDX-License-Identifier: MIT
#include "operations/lost_records.hpp"

#include "base/text/text.hpp"
#include "hypervisor/files/disk_layers.hpp"
#include "hypervisor/files/qcow2.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::operations {

namespace {

/// Those of this program's that no backup can use; a sentence.
std::string lost_in(const std::string& vm, const std::filesystem::path& disk) {
    constexpr std::string_view ours = "bh-";
    try {
        for (const Qcow2Bitmap& each : qcow2_bitmaps(disk))
            if (each.in_use && each.name.starts_with(ours))
                return fmt::format("the record of what {} wrote was not closed when it went off: its next "
                                   "backup reads all of the disk",
                                   vm);
    } catch (const Error& error) {
        if (error.code() == Code::config)
            return fmt::format("{} ('qemu-img check -r all' may mend it, while {} is off)", error.message(),
                               vm);
    }
    return {};
}

} // namespace

std::vector<std::string> lost_records(const World& world, const Observation& seen) {
    std::vector<std::string> found;
    if (!seen.domain || is_alive(seen.domain->state) || geteuid() != 0) return found;
    for (const DiskLayers& disk : disk_layers(seen.domain->xml)) {
        if (disk.files.empty()) continue;
        const std::filesystem::path file = disk.files.front();
        if (!world.paths.state.is_same(file.parent_path(), world.storage)) continue;
        if (auto lost = lost_in(seen.name.str(), file); !lost.empty()) found.push_back(std::move(lost));
    }
    return found;
}

} // namespace blockhost::operations
