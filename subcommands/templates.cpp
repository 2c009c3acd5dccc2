// SPDX-License-Identifier: MIT
/// templates: lists the template's versions and what stands on each; removes those on which nothing stands.

#include "config/templates.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "image/build.hpp"
#include "image/prune.hpp"
#include "image/template_users.hpp"
#include "image/trial.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using namespace std::chrono_literals;
using image::Fate;
using image::Store;

constexpr auto patience_for_builds = 20s;
constexpr auto patience_for_creates = 60s;

/// What there is. `users` is nothing when it could not be told what stands on what.
struct View {
    std::vector<Fate> versions;
    std::optional<std::filesystem::path> old_base;
    std::optional<image::Users> users;

    std::vector<std::string> users_of_old_base() const {
        return users && old_base ? image::users_of(*old_base, *users) : std::vector<std::string>{};
    }
};

View view(const Store& store, std::optional<image::Users> users) {
    return {image::judge(store, users.value_or(image::Users{})), store.old_base(), std::move(users)};
}

boost::json::value names_json(const View& all, const std::vector<std::string>& names) {
    if (!all.users) return nullptr;
    return boost::json::array(names.begin(), names.end());
}

void print_json(cli::Printer& printer, const Store& store, const View& all) {
    boost::json::array versions;
    for (const Fate& each : all.versions)
        versions.push_back(boost::json::object{{"version", each.manifest.id},
                                               {"current", each.current},
                                               {"image", store.image(each.manifest.id).string()},
                                               {"made_at", format_instant(each.manifest.made_at)},
                                               {"made_by", each.manifest.made_by},
                                               {"origin", each.manifest.origin},
                                               {"bytes", each.manifest.bytes},
                                               {"virtual_bytes", each.manifest.virtual_bytes},
                                               {"booted", each.manifest.booted},
                                               {"used_by", names_json(all, each.users)}});
    boost::json::value old_base;
    if (all.old_base)
        old_base = boost::json::object{{"image", all.old_base->string()},
                                       {"used_by", names_json(all, all.users_of_old_base())}};
    printer.answer(json::python_line(
        boost::json::object{{"versions", std::move(versions)}, {"old_base", std::move(old_base)}}));
}

std::string joined(const View& all, const std::vector<std::string>& names) {
    if (!all.users) return "?";
    return names.empty() ? "-" : text::join(names, ", ");
}

void print_table(cli::Printer& printer, const View& all) {
    constexpr std::string_view row = "{:<13} {:<8} {:<11} {:>9}  {}";
    printer.answer(fmt::format(row, "VERSION", "CURRENT", "MADE", "SIZE", "USED BY"));
    for (const Fate& each : all.versions)
        printer.answer(fmt::format(row, each.manifest.id, each.current ? "yes" : "",
                                   format_instant(each.manifest.made_at).substr(0, 10),
                                   text::human_bytes(each.manifest.bytes), joined(all, each.users)));
    if (all.old_base)
        printer.answer(fmt::format(row, "0.2.0's base", "", "", "", joined(all, all.users_of_old_base())));
}

std::optional<image::Users> users_if_told(const cli::Call& call) {
    try {
        World world = open_world(call, Intent::look);
        return image::template_users(world);
    } catch (const Error& error) {
        call.printer.warn("what stands on the versions is not known: " + std::string(error.what()));
        return std::nullopt;
    }
}

void tell_of_strays(const cli::Call& call, const Store& store) {
    for (const auto& stray : store.strays())
        call.printer.warn(stray.string() + " is not what a manifest tells, and is left alone");
}

int list(cli::Call& call) {
    const auto store = Store::open(call.paths);
    if (!store)
        throw Error(Code::not_found, "there is no folder " + call.paths.templates.string(),
                    "blockhost-build-template makes it");
    tell_of_strays(call, *store);
    const View all = view(*store, users_if_told(call));
    if (call.arguments.has("json"))
        print_json(call.printer, *store, all);
    else
        print_table(call.printer, all);
    call.printer.flush_answer();
    return 0;
}

/// How a removal went.
struct Removal {
    bool good = true;
    std::size_t removed = 0;
};

/// Prints a line for each version removed.
Removal remove_unused(cli::Call& call, const Store& store, const View& all) {
    const bool dry = call.arguments.has("dry-run");
    Removal removal;
    for (const Fate& each : all.versions) {
        if (!each.goes()) continue;
        try {
            if (!dry) store.remove(each.manifest.id);
            call.printer.answer(fmt::format("{} {} ({})", dry ? "Would remove" : "Removed", each.manifest.id,
                                            text::human_bytes(each.manifest.bytes)));
            ++removal.removed;
        } catch (const Error& error) {
            removal.good = false;
            call.printer.warn(fmt::format("{} stays: {}", each.manifest.id, error.what()));
        }
    }
    return removal;
}

/// Gives the link its name back once nothing stands on the file that has the name.
void retire_old_base(cli::Call& call, const Store& store, const View& all, Removal& removal) {
    if (!all.old_base || !all.users_of_old_base().empty() || !store.current()) return;
    const bool dry = call.arguments.has("dry-run");
    if (!dry) store.replace_old_base();
    call.printer.answer(fmt::format("{} the base of the 0.2.0 provisioner, {}",
                                    dry ? "Would remove" : "Removed", all.old_base->string()));
    ++removal.removed;
}

/// While versions go, nobody builds, and no create is between finding its template and having its disk.
int prune(cli::Call& call) {
    if (call.arguments.has("json"))
        throw Error(Code::usage, "--json and --prune do not go together",
                    "'templates --json' shows what is left");
    if (!call.mock) require_root("removing template versions");
    const Interruption interruption;
    const auto bench = image::Bench::open(call.paths, call.printer, interruption, patience_for_builds);
    World world = open_world(call, Intent::change);
    if (!call.arguments.has("dry-run"))
        image::end_lost_trials(world.hypervisor(), bench.folder(), call.printer);
    const FileLock held = hold_templates(call.paths, FileLock::Mode::exclusive,
                                         Deadline::in(patience_for_creates), interruption);
    const Store store = Store::open_or_make(call.paths);
    store.clear_leftovers();
    template_image(call.paths); // without a current version nobody knows what may go
    tell_of_strays(call, store);
    const View all = view(store, image::template_users(world));
    Removal removal = remove_unused(call, store, all);
    retire_old_base(call, store, all, removal);
    if (removal.good && removal.removed == 0) call.printer.say("nothing to remove");
    call.printer.flush_answer();
    return removal.good ? 0 : 1;
}

int run(cli::Call& call) {
    if (call.arguments.has("prune")) return prune(call);
    if (call.arguments.has("dry-run"))
        throw Error(Code::usage, "--dry-run goes with --prune", "without it nothing is removed anyway");
    return list(call);
}

constexpr std::string_view details =
    "Each VM's disk stands on the version of the template that was current when the VM was made. --prune "
    "removes "
    "the versions that are not current and on which nothing stands: no disk in the pool, no domain of this "
    "host, "
    "no VM of the database and no create under way. When any of these cannot be looked at whole, nothing is "
    "removed.";

} // namespace

cli::Row templates_row() {
    return {
        .verb = "templates",
        .summary = "list the template's versions and what stands on them",
        .details = details,
        .options = {{.name = "prune", .help = "remove versions on which nothing stands"},
                    {.name = "dry-run", .help = "with --prune: only show what would be removed"},
                    {.name = "json", .help = "print a JSON object"}},
        .output = {.text = "a table of the versions and of what stands on each",
                   .json_keys = {"versions", "old_base"},
                   .json_call = "--json",
                   .unheard = "what was removed is gone; a repeat finds what is left"},
        .examples = {{"", "list them"}, {"--prune --dry-run", "what would be removed"}},
        .needs = cli::Needs::registry,
        .effect = cli::Effect::destroys,
        .exit_1 = "with --prune: a version could not be removed; a warning says why",
        .run = run,
    };
}

} // namespace blockhost::subcommands
