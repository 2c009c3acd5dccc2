// SPDX-License-Identifier: MIT
/// backup: backs up a VM; where backups go, which there are, and whether they are whole.

#include "subcommands/backup_guests.hpp"
#include "subcommands/backup_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <array>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace bk = blockhost::backup;

namespace {

constexpr std::string_view needing_root = "what has to do with backups";

} // namespace

void require_real_backups(const cli::Call& call) {
    if (call.mock)
        throw Error(Code::config, "this has no simulated repository: that can only be backed up to",
                    "leave out --mock; a repository in a folder will do");
    require_root(needing_root);
}

namespace {

/// What the verb does by its first operand; every other one is the name of a VM to back up.
struct Part {
    std::string_view word;
    std::size_t most; ///< operands behind it
    int (*run)(cli::Call&);
};
constexpr std::array<Part, 10> parts{{
    {"setup", 0, backup_setup},
    {"list", 1, backup_list},
    {"show", 1, backup_show},
    {"extract", 1, backup_extract},
    {"check", 0, backup_check},
    {"forget", 0, backup_forget},
    {"prune", 0, backup_prune},
    {"maintain", 0, backup_maintain},
    {"status", 0, backup_status},
    {"key", 2, backup_key},
}};

int run(cli::Call& call) {
    const auto& operands = call.arguments.operands();
    if (is_on_node(call)) return backup_on_node(call);
    if (!call.mock) require_root(needing_root);
    for (const std::string_view option : {"storage", "protected"})
        if (call.arguments.has(option))
            throw Error(Code::usage,
                        fmt::format("--{} is for a host whose guests live on a Proxmox VE node", option),
                        "here backups go to the repository");
    for (const Part& part : parts) {
        if (operands.empty() || part.word != operands.front()) continue;
        if (operands.size() > part.most + 1)
            throw Error(Code::usage,
                        fmt::format("backup {} takes {} behind it", part.word,
                                    part.most == 0   ? "nothing"
                                    : part.most == 1 ? "one word"
                                                     : "two words"),
                        "leave out the rest");
        require_real_backups(call);
        return part.run(call);
    }
    return backup_vms(call);
}

constexpr std::string_view details =
    "backup NAME backs up a VM, whether it runs, is paused or is off; several are backed up one after "
    "another, "
    "and one that fails stops no other. Its disk is stored as chunks, each "
    "chunk "
    "that the repository has already only once; what has no data takes no room. With it goes what is needed "
    "to "
    "make the VM anew: its definition, its record, its seed. A VM that runs is held still for a moment, by "
    "its "
    "guest agent, and runs on while its disk is read as it was then; later backups read what was written "
    "since. "
    "One that is off cannot be started while its disk is read. Stop, start and others wait for a backup for "
    "up "
    "to 20 s, and destroy and kill end it. A backup that was interrupted leaves nothing that counts as "
    "one.\n\n"
    "setup makes the repository that this host's backups go to, or joins one that is empty or has backups of "
    "this host "
    "alone, and prints the recovery sheet: address and password, without which no backup can be read. The "
    "password "
    "stays in /etc/blockhost/backup.password, for root alone. A repeat finishes what was interrupted.\n\n"
    "list shows the backups, the oldest first; show tells what one of them holds, which is named by the "
    "first digits of its "
    "id or as NAME@latest.\n\n"
    "extract restores a backup's disks as qcow2 images into a new folder, with the backup's other files. "
    "Each chunk that the "
    "manifest names has to come once, with its size; otherwise nothing is left there.\n\n"
    "check looks whether the repository is whole; with --read-data-subset it also reads that much of its "
    "data, chosen "
    "at random.\n\n"
    "forget takes away the backups that no policy wants (backup.json; usually 7 daily, 4 weekly, 6 monthly "
    "and the "
    "last 2 stay); the last whole one of a VM stays, whatever the policy says. prune gives back the room of "
    "what no "
    "backup needs. maintain does what is due: both of these, and checks. status tells how the backups of the "
    "VMs stand, "
    "and what was done for the repository. With a clock that cannot be trusted nothing is forgotten.\n\n"
    "key list, add and remove are for the repository's keys: each is opened by a password of its own. key "
    "wrap "
    "writes address and password into a new file, encrypted under a recovery code that is printed this once: "
    "the file may lie anywhere, and without the code nobody can open it, ever. key unwrap opens it, on any "
    "host, and asks for the code on standard input or in --code-file. On a Proxmox VE node wrap takes the "
    "key that it encrypts its backups to --storage with.\n\n"
    "The store is restic(1), which runs as a user of its own (blockhost-backup) and at low priority.\n\n"
    "On a host whose platform is a node of Proxmox VE, the node keeps the backups: NAME is a guest's number "
    "or "
    "name, backups go to a storage of the node, list and show tell what its storages have, and forget takes "
    "away "
    "what no policy wants. The line \"the guest may run on\" comes as soon as the backup holds the guest no "
    "longer. What has to do with a repository is refused there.";

} // namespace

cli::Row backup_row() {
    return {
        .verb = "backup",
        .summary = "back up a VM; set up, list and check backups",
        .details = details,
        .operands =
            {{.name = "WHAT",
              .help =
                  "the name of a VM to back up; or one of setup, list, show, extract, check, forget, prune, "
                  "maintain, status, key",
              .count = cli::Operand::Count::optional,
              .meaning = cli::Operand::Meaning::existing_vm},
             {.name = "WHICH",
              .help =
                  "more VMs to back up; for list: a VM; for show and extract: a backup; for key: list, add, "
                  "or remove and a key; wrap or unwrap and a file",
              .count = cli::Operand::Count::several,
              .meaning = cli::Operand::Meaning::existing_vm}},
        .options =
            {{.name = "all", .help = "back up every VM"},
             {.name = "due", .help = "with --all: only those that are due by their policy"},
             {.name = "policy",
              .kind = cli::Option::Kind::text,
              .value = "POLICY",
              .help = "with --all: only those with that policy",
              .offers = {"daily", "weekly", "monthly"}},
             {.name = "repository",
              .kind = cli::Option::Kind::text,
              .value = "ADDRESS",
              .help = "for setup: a folder's absolute path, sftp:…, rest:… or rclone:…, as restic has it"},
             {.name = "password-file",
              .kind = cli::Option::Kind::file,
              .value = "FILE",
              .help = "for setup: the password of a repository that is there; for key add: the new one"},
             {.name = "user",
              .kind = cli::Option::Kind::text,
              .value = "USER",
              .default_text = bk::usual_user,
              .help = "for setup: the user that restic runs as"},
             {.name = "storage",
              .kind = cli::Option::Kind::text,
              .value = "STORAGE",
              .help = "on a Proxmox VE node: where the backup goes, in place of the configured storage; for "
                      "key wrap: whose key"},
             {.name = "protected", .help = "on a Proxmox VE node: nobody deletes the backup by accident"},
             {.name = "read-data-subset",
              .kind = cli::Option::Kind::integer,
              .value = "PERCENT",
              .min = 1,
              .max = 100,
              .help = "for check: how much of the data to read"},
             {.name = "dry-run", .help = "for forget: say what would go, and why the rest stays"},
             {.name = "force-clock",
              .help = "for forget and maintain: go on with a clock that is not to be trusted"},
             {.name = "to",
              .kind = cli::Option::Kind::text,
              .value = "FOLDER",
              .help = "for extract: the folder that is made; for key unwrap: the file that is made for the "
                      "password, which is printed otherwise"},
             {.name = "code-file",
              .kind = cli::Option::Kind::file,
              .value = "FILE",
              .help = "for key unwrap: the recovery code, which is read from standard input otherwise"},
             {.name = "json",
              .help =
                  "for list, forget, key list: print a JSON list; for status: a JSON object; for VMs: a JSON "
                  "object each, in a line"}},
        .output = {.text =
                       "of each VM one line on its backup, of list a table, of show, extract and check what "
                       "is asked for, of "
                       "setup the recovery sheet",
                   .json_keys = {"id", "name", "uuid", "taken_at", "operation", "instance", "age_s",
                                 "size_bytes", "place", "verdict"},
                   .json_call = "list --json",
                   .unheard =
                       "the repository is set up, and its password is in /etc/blockhost/backup.password"},
        .examples = {{"setup --repository /srv/backup", "once on each host; keep what it prints elsewhere"},
                     {"--all", "every VM, one after another"},
                     {"list web-001", "the backups of one VM"},
                     {"show web-001@latest", "what its last backup holds"},
                     {"extract web-001@latest --to /srv/web-001", "its disk, as an image in a new folder"},
                     {"check --read-data-subset 5",
                      "whether the repository is whole, and a part of the data"},
                     {"forget --dry-run", "what would go by the policies, and why the rest stays"},
                     {"status --json", "for a monitor: ages, durations, sizes, what failed"},
                     {"key list", "the passwords by which the repository can be opened"},
                     {"key wrap /root/web-host.wrapped",
                      "address and password for a hub, under a code to write down"},
                     {"key unwrap web-host.wrapped --to password", "on a new host: asks for that code"}},
        .needs = cli::Needs::config,
        .effect = cli::Effect::changes,
        .exit_1 =
            "of several VMs one could not be backed up, or of what maintain does something failed; its line "
            "says why",
        .run = run,
    };
}

} // namespace blockhost::subcommands
