// SPDX-License-Identifier: MIT
/// backup on a node of Proxmox VE: backs up guests to a storage of the node.

#include "subcommands/backup_guests.hpp"
#include "subcommands/backup_verbs.hpp"

#include "agent/backups/guest_retention.hpp"
#include "backup/settings.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "platform/backup_words.hpp"
#include "platform/open.hpp"
#include "subcommands/operation_text.hpp"
#include "subcommands/platform_verbs.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <fmt/format.h>
#include <unistd.h>

namespace blockhost::subcommands {

namespace {

namespace bj = boost::json;
using execution::Operation;
using execution::State;
using platform::Guest;

/// A part of the verb that there is no such thing for on a node.
struct Refused {
    std::string_view word, why, instead;
};
constexpr std::array<Refused, 5> refused_parts{{
    {"setup", "there is no repository to set up: the node's storages keep the backups",
     "name one as backup_storage in agent.json"},
    {"extract", "a node hands out no disk images of a backup", "restore it as a guest"},
    {"check", "a node checks no storage; a Backup Server verifies its backups by itself",
     "'blockhost-libvirt backup list' shows its verdicts"},
    {"prune", "there is no repository to prune: a storage has the room of what is forgotten at once",
     "'blockhost-libvirt backup forget' forgets"},
    {"status", "of a node's backups no status is kept", "'blockhost-libvirt backup list' tells of each"},
}};

/// A Backup Server's storage has a key, and no other.
int key_on_node(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const std::string what = operands.size() > 1 ? operands[1] : "";
    if (operands.size() != 3 || (what != "wrap" && what != "unwrap"))
        throw Error(Code::usage, "backup key on a Proxmox VE node takes wrap or unwrap, and a file",
                    "a Backup Server keeps no other keys for its clients");
    if (what == "unwrap") {
        refuse_options(call, {"storage"});
        unwrap_key(call, operands[2]);
    } else {
        const auto storage = call.arguments.text("storage");
        if (!storage)
            throw Error(Code::usage, "backup key wrap on a Proxmox VE node needs --storage",
                        "name the storage whose backups the key opens");
        wrap_storage_key(call, *storage, operands[2]);
    }
    call.printer.flush_answer();
    return 0;
}

/// A node checks its storages by itself, and a timer has to find nothing wrong where somebody else forgets.
int maintain_on_node(cli::Call& call) {
    if (!backup::read_policies(call.paths).append_only) return forget_backups_on_node(call);
    call.printer.say("nothing is forgotten from here: backup.json says append_only");
    return 0;
}

struct Part {
    std::string_view word;
    std::size_t most; ///< operands behind it
    int (*run)(cli::Call&);
};
constexpr std::array<Part, 5> parts{{
    {"list", 1, list_backups_on_node},
    {"show", 1, show_backup_on_node},
    {"forget", 0, forget_backups_on_node},
    {"key", 2, key_on_node},
    {"maintain", 0, maintain_on_node},
}};

std::string name_of(const Guest& guest) {
    return guest.name.empty() ? guest.id : guest.id + " (" + text::printable(guest.name) + ")";
}

bj::object document_of(const Guest& guest, const agent::TakenBackup& taken) {
    const auto or_null = [](std::string_view text) {
        return text.empty() ? bj::value(nullptr) : bj::value(text);
    };
    const auto& stored = taken.stored;
    return {{"guest", guest.id},
            {"name", or_null(guest.name)},
            {"id", or_null(stored ? stored->id : "")},
            {"operation", taken.operation.id},
            {"place", std::get<platform::Backup>(taken.operation.action).repository},
            {"size_bytes", stored ? bj::value(stored->size) : bj::value(nullptr)},
            {"taken_at",
             or_null(stored ? format_instant(Instant(std::chrono::seconds(stored->made))) : std::string())},
            {"mode", or_null(taken.course.mode)},
            {"consistency", or_null(to_string(taken.course.consistency))},
            {"held_s", or_null(taken.course.held_s)},
            {"protected", stored ? bj::value(stored->is_protected) : bj::value(nullptr)},
            {"warnings", bj::array(taken.operation.warnings.begin(), taken.operation.warnings.end())}};
}

bj::object document_of(const std::string& guest, const Error& error) {
    return {{"guest", guest},
            {"error", error.message()},
            {"code", row_of(error.code()).name},
            {"hint", error.hint()}};
}

/// Tells where one backup is, as its operation does.
class Watch {
  public:
    Watch(cli::Call& call, const Guest& guest) : call_(call), guest_(guest) {}

    void hear(const Operation& operation) {
        if (operation.state != State::begun) return;
        const std::string what =
            text::printable(operation.detail.empty() ? "backup begun" : operation.detail);
        const std::size_t rest = what.find("; ");
        if (const std::string stage = name_of(guest_) + ": " + what.substr(0, rest); stage != stage_) {
            stage_ = stage;
            call_.printer.stage(stage);
        }
        if (rest != what.npos) call_.printer.detail(what.substr(rest + 2));
        if (what.starts_with(platform::may_run_on)) tell_may_run_on();
    }
    /// Once, and also where it was over before it could be seen.
    void tell_may_run_on() {
        if (std::exchange(is_told_, true) || !call_.arguments.has("json")) return;
        call_.printer.answer(
            json::python_line(bj::object{{"guest", guest_.id}, {"phase", platform::may_run_on}}));
        call_.printer.flush_answer();
    }

  private:
    cli::Call& call_;
    const Guest& guest_;
    std::string stage_;
    bool is_told_ = false;
};

/// Throws what ended it otherwise.
void back_up(cli::Call& call, agent::Engine& engine, const std::string& word, const std::string& place) {
    const Guest guest = agent::find_guest(engine.platform(), word);
    call.printer.about_vm(guest.id);
    Watch watch(call, guest);
    const auto taken = agent::take_backup(engine, {guest, place, call.arguments.has("protected")},
                                          talk_of(call, "backup").requester, is_asked_to_end,
                                          [&](const Operation& operation) { watch.hear(operation); });
    end_if_asked_to(call.printer, {taken.operation});
    for (const std::string& warning : taken.operation.warnings) call.printer.warn(text::printable(warning));
    if (taken.operation.state != State::done)
        throw taken.operation.error ? *taken.operation.error
                                    : Error(Code::no_answer,
                                            "operation " + taken.operation.id + " is " +
                                                std::string(to_string(taken.operation.state)) + ": " +
                                                text::printable(taken.operation.detail),
                                            "look with 'blockhost-libvirt backup list " + guest.id + "'");
    if (!taken.stored)
        call.printer.warn("which of the new volumes in " + place + " is this backup cannot be told");
    watch.tell_may_run_on();
    if (call.arguments.has("json"))
        call.printer.answer(json::python_line(document_of(guest, taken)));
    else
        call.printer.answer(fmt::format(
            "{} is backed up{}{}", name_of(guest),
            taken.stored ? " as " + text::printable(taken.stored->id) : "",
            taken.operation.detail.empty() ? "" : ": " + text::printable(taken.operation.detail)));
    call.printer.flush_answer();
}

/// The clock by which its backups have their times.
Instant time_of(platform::Platform& platform) {
    const auto shown = platform.host().clock;
    return shown ? Instant(std::chrono::seconds(*shown)) : now();
}

/// The guests that are named, or all that are seen.
std::vector<std::string> chosen(cli::Call& call, agent::Engine& engine) {
    const auto& operands = call.arguments.operands();
    const bool all = call.arguments.has("all");
    if (all != operands.empty())
        throw Error(Code::usage,
                    all ? "backup takes guests or --all, not both" : "backup needs a guest or --all",
                    "'blockhost-libvirt guests' shows the guests");
    const agent::GuestChoice choice{.policy = call.arguments.text("policy"),
                                    .only_due = call.arguments.has("due")};
    if (!all && (choice.policy || choice.only_due))
        throw Error(Code::usage, "--due and --policy choose among all guests", "give --all with them");
    if (!all) return operands;
    const platform::Guests guests = engine.platform().guests();
    if (!guests.doubt.empty()) call.printer.warn("more guests may exist: " + guests.doubt);
    const auto backups =
        choice.only_due ? agent::require_keeper(engine.platform()).backups() : platform::StoredBackups();
    // A storage that is not reached may have the last backup: one more is taken rather than none.
    for (const std::string& each : backups.doubts) call.printer.warn("more backups may exist: " + each);
    return agent::choose_guests(guests.seen, agent::known_backups(backups, guests, &engine.journal()),
                                backup::read_policies(call.paths), choice, time_of(engine.platform()));
}

int back_up_guests(cli::Call& call) {
    agent::Engine engine = open_engine(call);
    const auto guests = chosen(call, engine);
    const std::string place =
        agent::choose_place(agent::require_keeper(engine.platform()), call.arguments.text("storage"));
    if (guests.size() == 1) {
        back_up(call, engine, guests.front(), place);
        return 0;
    }
    int status = 0;
    for (const std::string& each : guests) {
        try {
            back_up(call, engine, each, place);
        } catch (const Error& error) {
            if (is_asked_to_end()) throw;
            status = 1;
            if (call.arguments.has("json"))
                call.printer.answer(json::python_line(document_of(each, error)));
            else
                call.printer.answer(
                    fmt::format("{} is not backed up: {}", text::printable(each), error.what()),
                    cli::Tone::bad);
            call.printer.flush_answer();
        }
    }
    return status;
}

} // namespace

void refuse_options(const cli::Call& call, std::initializer_list<std::string_view> options) {
    for (const std::string_view option : options)
        if (call.arguments.has(option))
            throw Error(Code::usage,
                        fmt::format("--{} is not for a host whose guests live on a Proxmox VE node", option),
                        "leave it out");
}

agent::StepTalk talk_of(const cli::Call& call, std::string_view verb) {
    return {[&call](std::string_view what) { call.printer.stage(what); }, [] { Interruption().check(); },
            fmt::format("uid {}, {}", getuid(), verb)};
}

bool is_on_node(const cli::Call& call) {
    return platform::is_proxmox(call.paths, call.mock ? Reality::simulated : Reality::real);
}

int backup_on_node(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const std::string first = operands.empty() ? "" : operands.front();
    for (const Refused& each : refused_parts)
        if (first == each.word)
            throw Error(Code::config,
                        fmt::format("backup {} is not for a Proxmox VE node: {}", first, each.why),
                        std::string(each.instead));
    refuse_options(call, {"repository", "password-file", "user", "read-data-subset"});
    if (first != "key") refuse_options(call, {"to", "code-file"});
    for (const Part& part : parts) {
        if (first != part.word) continue;
        if (operands.size() > part.most + 1)
            throw Error(Code::usage,
                        fmt::format("backup {} takes {} behind it", part.word,
                                    part.most == 0   ? "nothing"
                                    : part.most == 1 ? "one word"
                                                     : "two words"),
                        "leave out the rest");
        return part.run(call);
    }
    return back_up_guests(call);
}

} // namespace blockhost::subcommands
