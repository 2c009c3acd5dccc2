// SPDX-License-Identifier: MIT
#include "backup/settings.hpp"

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "base/text/strict_json.hpp"
#include "base/text/text.hpp"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace blockhost::backup {

namespace {

constexpr std::int64_t version = 1;
constexpr std::size_t longest_address = 1000, longest_password = 4096;
constexpr const char* set_up_first = "'blockhost-libvirt backup setup' makes it";

Error wrong(const std::filesystem::path& file, std::string_view what, std::string hint) {
    return Error(Code::config, file.string() + " " + std::string(what), std::move(hint));
}

/// "rest:https://user:password@host/", and what rclone and ssh would take likewise.
bool has_password(std::string_view address) {
    const std::size_t at = address.find('@');
    if (at == address.npos) return false;
    const std::size_t authority = address.find("//");
    const std::string_view user = authority == address.npos || authority > at
                                      ? address.substr(address.find(':') + 1, at - address.find(':') - 1)
                                      : address.substr(authority + 2, at - authority - 2);
    return user.find(':') != user.npos;
}

void require_version(json::Fields& fields) {
    if (fields.integer("version", 0, 1'000'000) != version)
        throw fields.refusal("version", fmt::format("is not {}", version));
}

Settings settings_in(const std::string& text, const std::string& name) {
    const boost::json::value document = json::parse_strictly(text, name);
    json::Fields fields(document, name);
    require_version(fields);
    Settings settings{fields.text("repository"), fields.text("repository_id"), fields.text("user"),
                      policies_in(fields), fields.maybe_text("key").value_or("")};
    fields.finish();
    require_address(settings.repository);
    if (settings.user.empty()) throw fields.refusal("user", "is empty");
    return settings;
}

} // namespace

std::filesystem::path settings_file(const Paths& paths) {
    return paths.etc / "backup.json";
}

std::filesystem::path password_file(const Paths& paths) {
    return paths.etc / "backup.password";
}

void require_address(const std::string& repository) {
    constexpr std::array<std::string_view, 3> remote{"sftp:", "rest:", "rclone:"};
    const bool is_remote = std::ranges::any_of(remote, [&](std::string_view each) {
        return repository.starts_with(each) && repository.size() > each.size();
    });
    if (repository.size() > longest_address || text::printable(repository, longest_address) != repository ||
        (!is_remote && (!is_local(repository) || repository.ends_with('/'))))
        throw Error(
            Code::invalid, "the repository's address is not usable: " + text::printable(repository),
            "give an absolute path, sftp:USER@HOST:/PATH, rest:https://HOST/PATH or rclone:REMOTE:PATH");
    if (is_remote && has_password(repository))
        throw Error(Code::invalid,
                    "the repository's address has a password in it, which every user could read",
                    "let ssh keys or rclone's own configuration hold it");
}

bool is_local(std::string_view repository) {
    return repository.starts_with('/');
}

std::optional<Settings> read_settings(const Paths& paths) {
    const std::filesystem::path file = settings_file(paths);
    try {
        const auto text = files::read(file, 64u << 10);
        return text ? std::optional(settings_in(*text, file.string())) : std::nullopt;
    } catch (const Error& error) {
        throw Error(Code::config, error.message(), error.hint());
    }
}

Policies read_policies(const Paths& paths) {
    const std::filesystem::path file = settings_file(paths);
    try {
        const auto text = files::read(file, 64u << 10);
        if (!text) return {};
        const boost::json::value document = json::parse_strictly(*text, file.string());
        json::Fields fields(document, file.string());
        require_version(fields);
        Policies policies = policies_in(fields);
        fields.finish();
        return policies;
    } catch (const Error& error) {
        throw Error(Code::config, error.message(), error.hint());
    }
}

Settings require_settings(const Paths& paths) {
    auto settings = read_settings(paths);
    if (!settings)
        throw Error(Code::config,
                    "no repository for backups was set up: there is no " + settings_file(paths).string(),
                    set_up_first);
    return *settings;
}

void write_settings(const Paths& paths, const Settings& settings) {
    boost::json::object document{{"version", version},
                                 {"repository", settings.repository},
                                 {"repository_id", settings.repository_id},
                                 {"user", settings.user}};
    if (!settings.key.empty()) document["key"] = settings.key;
    files::replace(settings_file(paths), json::python_line(document) + "\n",
                   {.mode = 0644, .uid = {}, .gid = {}});
}

std::optional<std::string> read_password(const Paths& paths) {
    const std::filesystem::path file = password_file(paths);
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK));
    if (!fd && errno == ENOENT) return std::nullopt;
    if (!fd) throw wrong(file, fmt::format("cannot be opened: {}", std::strerror(errno)), "run it as root");
    struct stat found {};
    if (fstat(fd.get(), &found) != 0) throw errno_error("cannot look at", file.string(), errno);
    if (!S_ISREG(found.st_mode))
        throw wrong(file, "is no regular file", "put the repository's password there");
    if (found.st_uid != geteuid() || (found.st_mode & 077) != 0)
        throw wrong(
            file, "may be read or written by others",
            fmt::format("chown root {0} && chmod 0600 {0}, and consider the password known", file.string()));
    const std::string text = files::read_fd(fd.get(), file.string(), longest_password);
    const std::string password(text::trim(text));
    if (password.empty() || password.find('\n') != password.npos)
        throw wrong(file, "holds no password", "put the one line of the recovery sheet there");
    return password;
}

std::string require_password(const Paths& paths) {
    auto password = read_password(paths);
    if (!password)
        throw Error(Code::config,
                    "the repository's password is missing: there is no " + password_file(paths).string(),
                    "put the one line of the recovery sheet there, mode 0600");
    return *password;
}

void write_password(const Paths& paths, const std::string& password) {
    const auto folder = Folder::open(paths.etc);
    if (!folder)
        throw Error(Code::config, "there is no folder " + paths.etc.string(), "install blockhost-common");
    const auto file = password_file(paths);
    if (folder->kind(file.filename().string()) != Folder::Kind::absent)
        throw Error(Code::exists, "there is a password in " + file.string() + " already",
                    "move it out of the way first");
    files::make_at(folder->fd(), file.filename().string(), file.string(), password + "\n",
                   {.mode = 0600, .uid = geteuid(), .gid = getegid()});
}

} // namespace blockhost::backup
