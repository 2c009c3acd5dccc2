// SPDX-License-Identifier: MIT
/// backup key wrap and unwrap: the repository's password, or a node's encryption key, under a recovery code.

#include "backup/keys/escrow.hpp"
#include "base/files/files.hpp"
#include "base/files/given_file.hpp"
#include "base/text/text.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::subcommands {

namespace bk = blockhost::backup;

namespace {

/// A file that is to be made, and that is not there yet.
struct NewFile {
    std::filesystem::path path;
    Folder folder;

    explicit NewFile(const std::string& given)
        : path(std::filesystem::absolute(given).lexically_normal()), folder(open_folder()) {
        if (folder.kind(path.filename().string()) != Folder::Kind::absent)
            throw Error(Code::exists, "there is something at " + path.string() + " already",
                        "name a file that is to be made");
    }
    /// For root alone.
    void make(std::string_view content) const {
        files::make_at(folder.fd(), path.filename().string(), path.string(), content,
                       {.mode = 0600, .uid = 0, .gid = 0});
    }
    void take_back() const { folder.remove(path.filename().string()); }

  private:
    Folder open_folder() const {
        auto around = Folder::open(path.parent_path());
        if (!around || !path.has_filename())
            throw Error(Code::not_found, "there is no folder " + path.parent_path().string(),
                        "make it first");
        return std::move(*around);
    }
};

void print_code(cli::Printer& printer, const bk::RecoveryCode& code, const NewFile& file,
                const InstanceId& instance) {
    printer.answer("RECOVERY CODE");
    printer.answer("code           " + code.text());
    printer.answer("opens          " + file.path.string());
    printer.answer("host           " + instance.str());
    printer.answer(
        "Write the code down, and keep it apart from that file and from this host: who has both can "
        "read every backup. It is shown this once and kept nowhere. If it is lost, nobody can open the "
        "file, and no other code ever will.");
}

/// From --code-file, or standard input: never an argument, which every user could read.
bk::RecoveryCode given_code(const cli::Call& call) {
    constexpr std::size_t longest = 4096;
    constexpr std::chrono::minutes to_type(10);
    const auto file = call.arguments.text("code-file");
    if (!file && isatty(STDIN_FILENO)) call.printer.say("type the recovery code, then Enter and Ctrl-D");
    return bk::RecoveryCode::parse(
        files::read_given(file.value_or("/dev/stdin"), longest, to_type).value_or(""));
}

} // namespace

namespace {

void wrap(const cli::Call& call, const bk::Escrow& escrow, const NewFile& file) {
    const InstanceId instance = instance_id(call.paths);
    const bk::RecoveryCode code = bk::RecoveryCode::random();
    file.make(bk::wrap(escrow, instance, code));
    try {
        print_code(call.printer, code, file, instance);
        call.printer.flush_answer();
    } catch (...) {
        file.take_back(); // nobody has its code
        throw;
    }
}

/// As the node keeps it, which only its own root may read. Throws Error{invalid} for what is no storage's
/// name.
std::filesystem::path key_of_storage(const Paths& paths, const std::string& storage) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    constexpr std::size_t longest = 100;
    const bool is_name = storage.size() <= longest && storage.find_first_of(letters) == 0 &&
                         storage.find_first_not_of(std::string(letters) + "0123456789-_.") == storage.npos;
    if (!is_name)
        throw Error(Code::invalid, text::printable(storage) + " is no name of a storage",
                    "'blockhost-libvirt host' lists the node's storages");
    return paths.etc.parent_path() / "pve/priv/storage" / (storage + ".enc");
}

} // namespace

void wrap_key(const cli::Call& call, const backup::Restic& restic, const std::string& to) {
    const NewFile file(to);
    const bk::Settings settings = bk::require_settings(call.paths);
    wrap(call, bk::RepositoryPassword{settings.repository, settings.repository_id, restic.access().password},
         file);
}

void wrap_storage_key(const cli::Call& call, const std::string& storage, const std::string& to) {
    const std::filesystem::path path = key_of_storage(call.paths, storage);
    const NewFile file(to);
    const auto key = files::read(path, 64u << 10);
    if (!key)
        throw Error(
            Code::not_found,
            fmt::format("the storage {} has no encryption key here: there is no {}", storage, path.string()),
            "run this on the node itself, as root; backups to a storage without a key are not encrypted");
    bk::require_storage_key(*key, path.string());
    wrap(call, bk::StorageKey{storage, *key}, file);
}

void unwrap_key(const cli::Call& call, const std::string& from) {
    const auto text = files::read_given(from, bk::largest_wrapped);
    if (!text) throw Error(Code::not_found, "there is no " + from, "'backup key wrap' made such a file");
    bk::instance_of(*text); // nobody types a code for what is none
    const auto to = call.arguments.text("to");
    const auto file = to ? std::optional<NewFile>(*to) : std::nullopt;
    const bk::Unwrapped found = bk::unwrap(*text, given_code(call));
    const auto* of_storage = std::get_if<bk::StorageKey>(&found.escrow);
    const auto* of_repository = std::get_if<bk::RepositoryPassword>(&found.escrow);
    const std::string secret = of_storage != nullptr ? of_storage->key : of_repository->password + "\n";
    const std::string_view kind = of_storage != nullptr ? "key" : "password";
    if (file) file->make(secret);
    const auto line = [&](std::string_view key, const std::string& value) {
        call.printer.answer(fmt::format("{:<15}{}", key, value));
    };
    if (of_storage != nullptr) line("storage", of_storage->storage);
    if (of_repository != nullptr) line("repository", of_repository->repository);
    if (of_repository != nullptr) line("repository id", of_repository->repository_id);
    if (!file) line(kind, std::string(text::trim(secret)));
    if (file) line(fmt::format("{} in", kind), file->path.string());
    line("host", found.instance.str());
}

} // namespace blockhost::subcommands
