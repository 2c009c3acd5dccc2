// SPDX-License-Identifier: MIT
/// Turns a backup into what a create is asked for.

#include "operations/restore/restore.hpp"

#include "operations/restore/contents.hpp"

#include <fmt/format.h>

namespace blockhost::operations {

namespace {

constexpr std::uint64_t gib = 1ull << 30;

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

VmRequest request_of(const World& world, const Contents& contents, const RestoreRequest& request) {
    const backup::Record& record = contents.record;
    const std::uint64_t bytes = contents.manifest.disks.front().bytes;
    return {.name = request.as.value_or(record.name),
            .wallet = Wallet(record.owner, read_engine_manifest(world.paths).address_pattern),
            .username = record.username.value_or(Username("admin")),
            .cpus = record.cpus,
            .memory_mib = record.memory_mib,
            .disk_gib = static_cast<std::int64_t>((bytes + gib - 1) / gib),
            .expiry_days = limits::expiry_days_min,
            .nft_token_id = {}};
}

Origin origin_of(const backup::Repository& repository, const backup::Backup& backup, const Contents& contents,
                 const RestoreRequest& request) {
    const backup::Record& record = contents.record;
    const backup::ManifestDisk& disk = contents.manifest.disks.front();
    const bool is_copy = request.as.has_value();
    return {.uuid = is_copy ? Uuid::random() : contents.manifest.uuid,
            .mac = is_copy ? Mac::random_qemu() : record.mac,
            .ip = is_copy ? std::nullopt : record.ip,
            .ipv6 = is_copy ? std::nullopt : record.ipv6,
            .expires_at = expiry_of(record, request),
            .disk_bytes = disk.bytes,
            .data_bytes = backup::data_bytes(disk),
            .base = contents.manifest.base,
            .told = "backup " + backup.short_id(),
            .fill =
                [&](const std::filesystem::path& image, bool on_template, const Interruption& interruption) {
                    backup::fill_disk(repository, backup, contents.manifest, image,
                                      on_template ? backup::StandsOn::another_image
                                                  : backup::StandsOn::nothing,
                                      [&] { interruption.check(); });
                },
            .then = request.then,
            .guest = is_copy ? Origin::Guest::renewed : Origin::Guest::as_before};
}

} // namespace

void restore(World& world, const backup::Repository& repository, const backup::Backup& backup,
             const RestoreRequest& request, const std::function<void(const CreateResult&)>& deliver) {
    if (request.as && request.then == Origin::Then::stay_off)
        throw Error(Code::usage, "a copy has to run, so that its agent can give it an identity of its own",
                    "leave out --off, or restore it under its own name");
    const Contents contents = read_contents(repository, backup);
    const CreateRequest wanted{
        .vm = request_of(world, contents, request),
        .user_data = backup::small_file(repository, backup, "user-data", limits::cloud_init_max_bytes),
        .ssh_key = {},
        .ready_timeout = request.ready_timeout,
        .clock = request.clock,
        .origin = origin_of(repository, backup, contents, request)};
    try {
        create(world, wanted, deliver);
    } catch (const Error& error) {
        if (error.code() != Code::exists) throw;
        throw Error(Code::exists, error.message(),
                    request.as ? "choose another name"
                               : "'--in-place' brings back its disk, '--as NEW' restores a copy beside it");
    }
}

} // namespace blockhost::operations
