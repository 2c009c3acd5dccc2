// SPDX-License-Identifier: MIT
#include "backup/repository.hpp"

#include "backup/keys/quick_key.hpp"
#include "base/files/access.hpp"
#include "base/files/files.hpp"
#include "base/text/text.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::backup {

namespace {

/// Nothing where this process cannot become another user.
std::optional<Account> account_of(const std::string& user) {
    if (geteuid() != 0) return std::nullopt;
    const auto account = account_named(user);
    if (!account)
        throw Error(
            Code::config, "there is no user " + text::printable(user) + " for restic to run as",
            fmt::format(
                "useradd --system --home-dir /var/lib/{0} --create-home --shell /usr/sbin/nologin {0}",
                usual_user));
    return account;
}

Folder cache_folder(const Paths& paths) {
    return Folder::open_or_make(paths.cache.parent_path(), 0755);
}

/// A remote repository's lists are worth keeping here.
std::filesystem::path make_cache(const Paths& paths, const std::string& repository,
                                 const std::optional<Account>& user) {
    if (is_local(repository)) return {};
    const Folder cache = cache_folder(paths).make_sub("blockhost-backup", 0700);
    if (user && fchown(cache.fd(), user->uid, user->gid) != 0)
        throw errno_error("cannot give away", cache.path().string(), errno);
    return cache.path();
}

Access access_to(const Paths& paths, const Settings& settings, std::string password) {
    const auto user = account_of(settings.user);
    return {.repository = settings.repository,
            .password = std::move(password),
            .user = user,
            .cache = make_cache(paths, settings.repository, user),
            .key = settings.key};
}

/// The folder of a repository on this host, which restic's user writes.
void make_folder(const Access& access) {
    if (!is_local(access.repository)) return;
    const std::filesystem::path path(access.repository);
    const auto parent = Folder::open(path.parent_path());
    if (!parent)
        throw Error(Code::not_found, "there is no folder " + path.parent_path().string(),
                    "make it, or mount the file system that is to hold the repository");
    const std::string name = path.filename().string();
    if (parent->kind(name) == Folder::Kind::absent) {
        const Folder made = parent->make_sub(name, 0700);
        if (access.user && fchown(made.fd(), access.user->uid, access.user->gid) != 0)
            throw errno_error("cannot give away", path.string(), errno);
    }
    if (!access.user) return;
    if (const auto closed = first_impassable(path, {access.user->uid, {access.user->gid}}))
        throw Error(Code::denied, fmt::format("restic's user may not pass through {}", closed->string()),
                    fmt::format("let it (chmod o+x {}), or name another place", closed->string()));
}

Error set_up_before(const Settings& settings) {
    return Error(
        Code::exists, "backups go to the repository " + text::printable(settings.repository) + " already",
        "to change that, move backup.json and backup.password out of the way first; what it holds stays");
}

/// Whether the repository was made just now.
bool make_if_missing(const Restic& restic) {
    try {
        restic.make();
        return true;
    } catch (const Error& error) {
        if (error.code() != Code::exists) throw;
        return false;
    }
}

/// It saves time, and no more: what keeps it from being made is told, and the repository is as it was.
std::string quick_key(const Restic& restic, SetupEnd& end) {
    try {
        return put_quick_key(restic);
    } catch (const Error& error) {
        end.slow_key = error.message();
        return "";
    }
}

void require_no_other_hosts(const Restic& restic, const InstanceId& instance) {
    const Catalogue catalogue(restic.snapshots());
    const Backup* foreign = catalogue.foreign_to(instance);
    if (foreign == nullptr && catalogue.others() == 0) return;
    throw Error(Code::foreign,
                foreign != nullptr ? fmt::format("the repository has backups of another host (of its VM {})",
                                                 foreign->vm.str())
                                   : "the repository has snapshots that are no backups of this program's",
                "give each host a repository of its own: who can write to one can read all of it");
}

} // namespace

std::filesystem::path make_mount_point(const Paths& paths) {
    cache_folder(paths);
    return Folder::open_or_make(paths.cache, 0711).make_sub("backup-view", 0700).path();
}

namespace {

constexpr const char* copies = "backup-copy";

} // namespace

std::filesystem::path make_copy_folder(const Paths& paths, const VmName& vm, std::uint64_t bytes) {
    cache_folder(paths);
    const Folder all = Folder::open_or_make(paths.cache, 0711).make_sub(copies, 0711);
    const auto free = files::room_on(all.fd(), all.path().string()).free;
    if (free < bytes)
        throw Error(Code::no_room,
                    fmt::format("{} of data have to be copied, and {} has room for {}",
                                text::human_bytes(bytes), all.path().string(), text::human_bytes(free)),
                    "make room there, or give this host /dev/fuse");
    return all.make_sub(vm.str(), 0700).path();
}

void remove_copy_folder(const Paths& paths, const VmName& vm) {
    const auto cache = Folder::open(paths.cache);
    const auto all = cache ? cache->sub(copies) : std::nullopt;
    if (all) all->remove_tree(vm.str());
}

Restic open_repository(const Paths& paths, const std::function<void()>& check) {
    return Restic(access_to(paths, require_settings(paths), require_password(paths)), check);
}

Restic open_repository_at(const Paths& paths, const Settings& settings, const std::string& password,
                          const std::function<void()>& check) {
    require_address(settings.repository);
    return Restic(access_to(paths, settings, password), check);
}

void require_same_repository(const Restic& restic, const Settings& settings) {
    const std::string found = restic.repository_id();
    if (found == settings.repository_id) return;
    throw Error(
        Code::foreign,
        fmt::format("the repository at {} is another than the one that was set up ({} in place of {})",
                    text::printable(settings.repository), found.substr(0, 8),
                    text::printable(settings.repository_id).substr(0, 8)),
        "mount the right one there");
}

SetupEnd set_up(const Paths& paths, const InstanceId& instance, const SetupRequest& request,
                const std::function<void()>& check) {
    constexpr std::size_t password_digits = 64;
    require_address(request.repository);
    if (const auto before = read_settings(paths)) {
        if (before->repository != request.repository) throw set_up_before(*before);
        const Restic restic = open_repository(paths, check);
        require_same_repository(restic, *before);
        return {*before, restic.access().password, SetupEnd::What::was_there};
    }
    const auto kept = read_password(paths); // of a setup that died
    if (kept && request.password && *kept != *request.password)
        throw Error(Code::exists, password_file(paths).string() + " has another password already",
                    "move it out of the way first");
    SetupEnd end{{request.repository, "", request.user},
                 kept               ? *kept
                 : request.password ? *request.password
                                    : random_hex(password_digits)};
    const Restic restic(access_to(paths, end.settings, end.password), check);
    restic.version();
    make_folder(restic.access());
    // A repository whose password nobody knows is worse than a password without a repository.
    if (!kept) write_password(paths, end.password);
    try {
        if (!make_if_missing(restic)) {
            end.what = SetupEnd::What::joined;
            require_no_other_hosts(restic, instance);
        }
        const Restic quicker = restic.by_key(end.settings.key = quick_key(restic, end));
        end.settings.repository_id = quicker.repository_id();
    } catch (const Error& error) {
        // Nothing was made that the password opens.
        if (!kept && (error.code() == Code::denied || error.code() == Code::foreign))
            if (const auto folder = Folder::open(paths.etc))
                folder->remove(password_file(paths).filename().string());
        throw;
    }
    write_settings(paths, end.settings);
    return end;
}

} // namespace blockhost::backup
