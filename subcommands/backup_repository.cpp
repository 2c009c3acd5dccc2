// SPDX-License-Identifier: MIT
/// backup setup and key: the repository itself.

#include "backup/keys/keys.hpp"
#include "backup/repositories/simulated.hpp"
#include "base/files/given_file.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace bk = blockhost::backup;

void check_signals() {
    Interruption().check();
}

bk::Restic open_own_repository(const cli::Call& call) {
    const bk::Settings settings = bk::require_settings(call.paths);
    bk::Restic restic = bk::open_repository(call.paths, check_signals);
    restic.version();
    bk::require_same_repository(restic, settings);
    return restic;
}

OpenRepository open_repository_of(const cli::Call& call) {
    if (call.mock) return {bk::simulated_settings(call.paths), bk::open_simulated_repository(call.paths)};
    return {bk::require_settings(call.paths), std::make_unique<bk::Restic>(open_own_repository(call))};
}

std::optional<std::string> given_password(const cli::Call& call) {
    const auto file = call.arguments.text("password-file");
    if (!file) return std::nullopt;
    const auto text = files::read_given(*file, 4096);
    const std::string password(text::trim(text.value_or("")));
    if (password.empty() || password.find('\n') != password.npos)
        throw Error(Code::invalid, *file + " holds no password", "it is the one line of the recovery sheet");
    return password;
}

namespace {

constexpr std::string_view kept_apart = "Keep this sheet where the host cannot be: whoever has it can read "
                                        "every backup, and without it nobody can.";

void print_sheet(cli::Printer& printer, const bk::SetupEnd& end, const std::string& instance) {
    printer.answer("RECOVERY SHEET");
    printer.answer("repository     " + end.settings.repository);
    printer.answer("repository id  " + end.settings.repository_id);
    printer.answer("password       " + end.password);
    printer.answer("host           " + instance);
    printer.answer(std::string(kept_apart));
}

} // namespace

int backup_setup(cli::Call& call) {
    const auto repository = call.arguments.text("repository");
    if (!repository)
        throw Error(Code::usage, "backup setup needs --repository", "name a folder on another disk or host");
    const World world = open_world(call, Intent::change);
    bk::SetupRequest request{.repository = *repository, .password = given_password(call)};
    if (const auto user = call.arguments.text("user")) request.user = *user;
    call.printer.stage("setting up the repository");
    const bk::SetupEnd end = bk::set_up(call.paths, world.instance, request, check_signals);
    if (end.what == bk::SetupEnd::What::was_there)
        call.printer.answer("backups go to " + end.settings.repository + " already");
    else
        print_sheet(call.printer, end, world.instance.str());
    if (!end.slow_key.empty())
        call.printer.warn("each start of restic takes longer than it has to: " + end.slow_key);
    call.printer.flush_answer();
    return 0;
}

namespace {

void print_keys(const cli::Call& call, const std::vector<bk::Key>& keys) {
    constexpr std::string_view row = "{:<8}  {:<19}  {:<20}  {}";
    boost::json::array list;
    if (!call.arguments.has("json")) call.printer.answer(fmt::format(row, "KEY", "MADE", "BY", "OPENED BY"));
    for (const bk::Key& each : keys) {
        list.push_back(boost::json::object{{"id", each.id},
                                           {"created", each.created},
                                           {"user", each.user},
                                           {"host", each.host},
                                           {"own", each.is_current}});
        if (!call.arguments.has("json"))
            call.printer.answer(fmt::format(row, each.id, text::printable(each.created),
                                            text::printable(each.user + "@" + each.host),
                                            each.is_current ? "this host's password" : "another password"));
    }
    if (call.arguments.has("json")) call.printer.answer(json::python_line(list));
}

void add_key(const cli::Call& call, const bk::Restic& restic) {
    const auto password = given_password(call);
    if (!password)
        throw Error(Code::usage, "backup key add needs --password-file", "its one line opens the new key");
    const bk::Key key = bk::add_key(call.paths, restic, *password);
    call.printer.answer(
        fmt::format("key {} opens the repository, too: with it everything can be read, and this "
                    "host's password taken away",
                    key.id));
}

} // namespace

int backup_key(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const std::string what = operands.size() > 1 ? operands[1] : "";
    const bool is_plain = what == "list" || what == "add";
    const bool is_of_one = what == "remove" || what == "wrap" || what == "unwrap";
    if ((!is_plain && !is_of_one) || operands.size() != (is_plain ? 2u : 3u))
        throw Error(Code::usage,
                    "backup key takes list, add, or remove and a key's id, or wrap or unwrap and a file",
                    "'blockhost-libvirt backup key list' shows the ids");
    if (what == "unwrap") {
        unwrap_key(call, operands[2]);
        call.printer.flush_answer();
        return 0;
    }
    const bk::Restic restic = open_own_repository(call);
    if (what == "wrap") wrap_key(call, restic, operands[2]);
    if (what == "list") print_keys(call, restic.keys());
    if (what == "add") add_key(call, restic);
    if (what == "remove") {
        bk::remove_key(restic, operands[2]);
        call.printer.answer(fmt::format("key {} opens the repository no more", operands[2]));
    }
    call.printer.flush_answer();
    return 0;
}

} // namespace blockhost::subcommands
