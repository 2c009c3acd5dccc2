// SPDX-License-Identifier: MIT
/// backup key wrap and unwrap: the repository's password under a recovery code.

#include "backup/escrow.hpp"
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

void wrap_key(const cli::Call& call, const backup::Restic& restic, const std::string& to) {
    const NewFile file(to);
    const bk::Settings settings = bk::require_settings(call.paths);
    const World world = open_world(call, Intent::change);
    const bk::RecoveryCode code = bk::RecoveryCode::random();
    file.make(bk::wrap({settings.repository, settings.repository_id, restic.access().password},
                       world.instance, code));
    try {
        print_code(call.printer, code, file, world.instance);
        call.printer.flush_answer();
    } catch (...) {
        file.take_back(); // nobody has its code
        throw;
    }
}

void unwrap_key(const cli::Call& call, const std::string& from) {
    const auto text = files::read_given(from, bk::largest_wrapped);
    if (!text) throw Error(Code::not_found, "there is no " + from, "'backup key wrap' made such a file");
    bk::instance_of(*text); // nobody types a code for what is none
    const auto to = call.arguments.text("to");
    const auto file = to ? std::optional<NewFile>(*to) : std::nullopt;
    const bk::Unwrapped found = bk::unwrap(*text, given_code(call));
    if (file) file->make(found.escrow.password + "\n");
    const auto line = [&](std::string_view key, const std::string& value) {
        call.printer.answer(fmt::format("{:<15}{}", key, value));
    };
    line("repository", found.escrow.repository);
    line("repository id", found.escrow.repository_id);
    if (!file) line("password", found.escrow.password);
    if (file) line("password in", file->path.string());
    line("host", found.instance.str());
}

} // namespace blockhost::subcommands
