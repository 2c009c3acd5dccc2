// SPDX-License-Identifier: MIT
/// Turns a backup into what a create is asked for.

#include "operations/restore/restore.hpp"

#include "base/text/text.hpp"

#include <fmt/format.h>

namespace blockhost::operations {

namespace {

constexpr std::uint64_t gib = 1ull << 30;

struct Contents {
    backup::Manifest manifest;
    backup::Record record;
};

/// What this version makes has one disk, of a size that a VM may have.
void require_one_disk(const backup::Backup& backup, const backup::Manifest& manifest) {
    constexpr const char* hint = "'blockhost-libvirt backup extract' restores its disks alone";
    if (manifest.disks.size() != 1)
        throw Error(Code::invalid,
                    fmt::format("backup {} has {} disks, and this version restores VMs with one",
                                backup.short_id(), manifest.disks.size()),
                    hint);
    if (manifest.disks.front().bytes > limits::disk_max_gib * gib)
        throw Error(Code::invalid,
                    fmt::format("backup {} has a larger disk than a VM may have", backup.short_id()), hint);
}

Contents read_contents(const backup::Restic& restic, const backup::Backup& backup) {
    Contents contents{backup::manifest_of(restic, backup), backup::record_of(restic, backup)};
    require_one_disk(backup, contents.manifest);
    return contents;
}

Instant expiry_of(const backup::Record& record, const RestoreRequest& request) {
    constexpr const char* hint = "'--expiry-days N' gives it N days from now";
    if (request.expiry_days) return now() + std::chrono::hours(24) * *request.expiry_days;
    if (!record.expires_at)
        throw Error(Code::wrong_state,
                    fmt::format("the backup does not say when {} expires", record.name.str()), hint);
    if (*record.expires_at <= now())
        throw Error(Code::wrong_state,
                    fmt::format("{} expired at {}", record.name.str(), format_instant(*record.expires_at)),
                    hint);
    return *record.expires_at;
}

VmRequest request_of(const World& world, const Contents& contents) {
    const backup::Record& record = contents.record;
    const std::uint64_t bytes = contents.manifest.disks.front().bytes;
    return {.name = record.name,
            .wallet = Wallet(record.owner, read_engine_manifest(world.paths).address_pattern),
            .username = record.username.value_or(Username("admin")),
            .cpus = record.cpus,
            .memory_mib = record.memory_mib,
            .disk_gib = static_cast<std::int64_t>((bytes + gib - 1) / gib),
            .expiry_days = limits::expiry_days_min,
            .nft_token_id = {}};
}

Origin origin_of(const backup::Restic& restic, const backup::Backup& backup, const Contents& contents,
                 const RestoreRequest& request) {
    const backup::Record& record = contents.record;
    const backup::ManifestDisk& disk = contents.manifest.disks.front();
    return {.uuid = contents.manifest.uuid,
            .mac = record.mac,
            .ip = record.ip,
            .ipv6 = record.ipv6,
            .expires_at = expiry_of(record, request),
            .disk_bytes = disk.bytes,
            .data_bytes = backup::data_bytes(disk),
            .base = contents.manifest.base,
            .told = "backup " + backup.short_id(),
            .fill =
                [&](const std::filesystem::path& image, bool on_template, const Interruption& interruption) {
                    backup::fill_disk(restic, backup, contents.manifest, image,
                                      on_template ? backup::StandsOn::another_image
                                                  : backup::StandsOn::nothing,
                                      [&] { interruption.check(); });
                },
            .then = request.then};
}

} // namespace

void restore(World& world, const backup::Restic& restic, const backup::Backup& backup,
             const RestoreRequest& request, const std::function<void(const CreateResult&)>& deliver) {
    const Contents contents = read_contents(restic, backup);
    const CreateRequest wanted{
        .vm = request_of(world, contents),
        .user_data = backup::small_file(restic, backup, "user-data", limits::cloud_init_max_bytes),
        .ssh_key = {},
        .ready_timeout = request.ready_timeout,
        .clock = request.clock,
        .origin = origin_of(restic, backup, contents, request)};
    try {
        create(world, wanted, deliver);
    } catch (const Error& error) {
        if (error.code() != Code::exists) throw;
        throw Error(
            Code::exists, error.message(),
            fmt::format("destroy {} first, or take its disk alone by 'blockhost-libvirt backup extract'",
                        contents.record.name.str()));
    }
}

} // namespace blockhost::operations
