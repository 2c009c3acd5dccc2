// SPDX-License-Identifier: MIT
// blockhost-libvirt(7): an overview, made from the tables where there are some.
#include "subcommands/generated.hpp"

#include "base/error.hpp"
#include "cli/describe.hpp"
#include "config/db_yaml_keys.hpp"
#include "config/path_table.hpp"
#include "vm/state.hpp"

#include <array>

namespace blockhost::subcommands {

using cli::bold;
using cli::plain;
using cli::Section;

namespace {

constexpr std::array variables{
    Named{"BLOCKHOST_ROOT",
          "an absolute path that stands before every built-in path: an instance of its own"},
    Named{"BLOCKHOST_LIBVIRT_URI", "the libvirt to work with, instead of qemu:///system"},
    Named{"BLOCKHOST_DRIVER",
          "how to look at libvirt: rpc, by its protocol alone; libvirt, by its library alone; "
          "not set, by the protocol, and by the library where libvirt answers unexpectedly"},
    Named{"BLOCKHOST_DEV",
          "1: where no login template is installed, take the one in ./cloud-init/templates; never as root"},
    Named{"BLOCKHOST_AGENT_HUB_KIND", "goes before agent.json's hub: folder, https or etcd"},
    Named{"BLOCKHOST_AGENT_HUB_FOLDER", "its folder"},
    Named{"BLOCKHOST_AGENT_HUB_URL", "its URL"},
    Named{"BLOCKHOST_AGENT_HUB_TOKEN_FILE", "the file that holds the token for it"},
    Named{"BLOCKHOST_AGENT_HUB_PINS", "its certificate's pins, separated by commas"},
    Named{"BLOCKHOST_AGENT_HUB_CA_FILE", "the authorities that its certificate leads to"},
    Named{"BLOCKHOST_AGENT_HUB_POLL_S", "seconds between reports"},
    Named{"BLOCKHOST_AGENT_HUB_URLS", "etcd's members, separated by commas"},
    Named{"BLOCKHOST_AGENT_HUB_USER", "the host's user at etcd"},
    Named{"BLOCKHOST_AGENT_HUB_PASSWORD_FILE", "the file that holds the password for etcd"},
    Named{"BLOCKHOST_AGENT_HUB_PREFIX", "of all keys in etcd"},
    Named{"BLOCKHOST_AGENT_HUB_CERTIFICATE_FILE", "what the host shows to etcd"},
    Named{"BLOCKHOST_AGENT_HUB_KEY_FILE", "that certificate's key"},
    Named{"NOTIFY_SOCKET", "set by systemd; where the agent tells how it is"},
    Named{"WATCHDOG_USEC", "set by systemd; how soon it wants a sign of life"},
    Named{"WATCHDOG_PID", "set by systemd; of which process"},
    Named{"JOURNAL_STREAM",
          "set by systemd; when it names standard error, talk goes to the journal with fields"},
    Named{"NO_COLOR", "when set, no colours and no bold text"},
    Named{"TERM", "dumb, or not set: no line is redrawn and nothing is bold"},
    Named{"COLUMNS", "the terminal's width, instead of what the terminal says"},
};

constexpr std::array shipped_actions{
    Named{"virsh-start", "start a domain of ours"},
    Named{"virsh-destroy", "force a domain of ours off"},
    Named{"virsh-shutdown", "press the power button of a domain of ours"},
    Named{"virsh-define", "define a domain of ours"},
    Named{"virsh-undefine", "undefine a domain of ours"},
    Named{"virsh-guest-exec", "run a command in the guest of a domain of ours"},
    Named{"vm-step", "carry out one step of an operation"},
};
constexpr std::array called_actions{
    Named{"ip6-route-add", "set the host's route to a VM's IPv6 address"},
    Named{"ip6-route-del", "remove it"},
};

constexpr std::array hooks{
    Named{"/etc/libvirt/hooks/qemu.d/blockhost",
          "a link to /usr/sbin/blockhost-start-veto: libvirtd asks it before each start"},
    Named{"/usr/share/blockhost/provisioner-hooks/first-boot.sh",
          "BlockHost's installer runs it: installs and starts libvirt"},
    Named{"blockhost-network-hook", "of blockhost-common: gc runs it when a VM is destroyed"},
};
constexpr std::array units{
    Named{"blockhost-agent.service", "the host agent, which asks a hub: agent; not enabled by itself"},
    Named{"blockhost-boot.service", "starts the VMs that are paid for, after the host has started"},
    Named{"blockhost-gc.timer", "once a day: gc --execute"},
    Named{"blockhost-gc.service", "what it runs"},
    Named{"blockhost-guard.timer", "mends what keeps VMs apart: guard --all"},
    Named{"blockhost-guard.service", "what it runs"},
    Named{"blockhost-backup.timer", "backs up the VMs that are due: backup --all --due"},
    Named{"blockhost-backup.service", "what it runs"},
    Named{"blockhost-backup-maintain.timer", "forgets, prunes and checks what is due: backup maintain"},
    Named{"blockhost-backup-maintain.service", "what it runs"},
    Named{"blockhost-drill.timer", "tries the backup of one VM after another: drill --one-in-turn"},
    Named{"blockhost-drill.service", "what it runs"},
    Named{"blockhost-heal.timer", "starts guests again that crashed: heal"},
    Named{"blockhost-heal.service", "what it runs"},
    Named{"blockhost-recover.timer", "finishes what was interrupted: recover --all"},
    Named{"blockhost-recover.service", "what it runs"},
    Named{"blockhost-throttle.timer", "takes back limits whose time is over: throttle --due"},
    Named{"blockhost-throttle.service", "what it runs"},
};

std::string_view meaning(VmState state) {
    switch (state) {
    case VmState::absent:
        return "There is neither a record nor a domain.";
    case VmState::creating:
        return "A create is at work, or was interrupted and will be undone.";
    case VmState::active:
        return "It is paid for and runs.";
    case VmState::paused:
        return "It is paid for, and its processors stand still.";
    case VmState::stopped:
        return "It is paid for and off.";
    case VmState::suspended:
        return "It is unpaid and off, and may not be started.";
    case VmState::destroying:
        return "A destroy is at work, or was interrupted and will be finished.";
    case VmState::destroyed:
        return "It is gone; its record stays.";
    case VmState::orphaned:
        return "A domain of ours without a record that claims it.";
    case VmState::lost:
        return "A record whose domain somebody undefined.";
    case VmState::foreign:
        return "The name is taken by a domain that this BlockHost did not make. It is never touched.";
    case VmState::running_while_suspended:
        return "It is unpaid, and runs all the same; gc shuts it down.";
    case VmState::running_while_destroyed:
        return "Its record says destroyed, and it has a domain.";
    }
    return {};
}

Section states() {
    Section section{"STATES OF A VM"};
    section.paragraph(
        plain("What a VM is follows from its record in the VM database, its domain in libvirt and "
              "its open operation in the journal. What a verb does depends on that; the tables are "
              "in docs/states.md."));
    for (int i = 0; i <= static_cast<int>(VmState::running_while_destroyed); ++i) {
        const auto state = static_cast<VmState>(i);
        section.entry(bold(to_string(state)), plain(meaning(state)));
    }
    section.paragraph(
        plain("status and list show four words: active (it runs), suspended (it is off or paused), "
              "destroyed (libvirt has no such domain) and unknown (libvirt could not be asked)."));
    return section;
}

void add(Section& section, std::span<const Named> table) {
    for (const Named& each : table) section.entry(bold(each.name), plain(cli::sentence(each.meaning)));
}

Section configuration() {
    Section section{"CONFIGURATION"};
    section.paragraph(
        plain("Keys of db.yaml. Each may be left out; other keys are other programs'. A path is used "
              "as it is written."));
    for (const ConfigKey& key : db_yaml_keys())
        section.entry(bold(key.name) + plain(" (" + std::string(key.type) + ")"),
                      plain(cli::sentence(key.meaning) + " Default: " + std::string(key.default_text) + "."));
    return section;
}

Section exit_codes() {
    Section section{"EXIT STATUS"};
    section.paragraph(
        plain("Verbs with a command name of their own exit with 0 or 1, and 2 for a malformed command "
              "line, where their page says nothing else. All others exit by this table, and with 1 where "
              "one of several things that they did failed, as their page says; the table's names are the "
              "code in JSON documents and BLOCKHOST_ERROR in the journal."));
    section.entry(bold("0"), plain("Success."));
    for (const CodeRow& row : error_table())
        section.entry(bold(std::to_string(row.exit_status)) + plain(" ") + bold(row.name),
                      plain(cli::sentence(row.help) +
                            (row.retry ? " The same call may succeed later without any change." : "")));
    return section;
}

Section files() {
    Section section{"FILES"};
    for (const PathRow& row : path_table()) section.entry(bold(row.path), plain(cli::sentence(row.meaning)));
    return section;
}

Section prose(std::string title, std::string_view text) {
    Section section{std::move(title)};
    section.paragraphs(text);
    return section;
}

} // namespace

std::span<const Named> environment_variables() {
    return variables;
}
std::span<const Named> shipped_agent_actions() {
    return shipped_actions;
}
std::span<const Named> called_agent_actions() {
    return called_actions;
}
std::span<const Named> hook_programs() {
    return hooks;
}
std::span<const Named> systemd_units() {
    return units;
}

cli::Page overview_page() {
    cli::Page page{std::string(cli::program_name), 7};
    page.sections.push_back(
        prose("NAME", "blockhost-libvirt - how BlockHost's virtual machines are kept with libvirt"));
    page.sections.push_back(
        prose("DESCRIPTION",
              "A VM of BlockHost is a record in the VM database, a libvirt domain, a disk that stands on a "
              "version of the "
              "template, a seed for cloud-init, and addresses. Engines call the verbs by their command "
              "names; people "
              "call blockhost-libvirt.\n\n"
              "A VM is paid for until it expires. gc then suspends it, and destroys it when the grace is "
              "over; extend "
              "and resume bring it back meanwhile.\n\n"
              "Domains carry metadata with this instance's id. What does not is somebody else's and stays "
              "untouched.\n\n"
              "With --mock a verb works on a simulated world in the current folder: no root, no libvirt."));
    page.sections.push_back(states());
    page.sections.push_back(prose(
        "AFTER A CRASH",
        "An operation is a list of steps, and each is on disk before it starts and after it is done. A "
        "create "
        "that was interrupted, by whatever, is undone; a destroy, suspension or resume is finished; a start, "
        "stop or kill is closed and never carried out later. The next verb on that VM does this first, and "
        "blockhost-recover.timer for VMs that nobody touches:\n\n"
        "  blockhost-libvirt recover --all --dry-run\n"
        "  blockhost-libvirt recover --all\n\n"
        "An operation whose process is alive is left alone; destroy and kill ask it to give up."));
    page.sections.push_back(configuration());
    Section agent{"ROOT AGENT"};
    agent.paragraph(
        plain("Where the caller is not root, what needs root goes through BlockHost's root agent. This "
              "package brings these actions:"));
    add(agent, shipped_actions);
    agent.paragraph(plain("and calls these of BlockHost's own:"));
    add(agent, called_actions);
    page.sections.push_back(std::move(agent));
    Section run{"HOOKS AND UNITS"};
    add(run, hooks);
    add(run, units);
    page.sections.push_back(std::move(run));
    page.sections.push_back(prose(
        "LOG", "Answers go to standard output, talk to standard error. Run by systemd, talk goes to the "
               "journal with the "
               "fields BLOCKHOST_VERB, BLOCKHOST_VM, BLOCKHOST_STAGE, BLOCKHOST_ERROR and BLOCKHOST_HINT:\n\n"
               "  journalctl BLOCKHOST_VM=web-001\n"
               "  journalctl -p err BLOCKHOST_VERB=gc"));
    Section environment{"ENVIRONMENT"};
    add(environment, variables);
    page.sections.push_back(std::move(environment));
    page.sections.push_back(files());
    page.sections.push_back(exit_codes());
    Section also{"SEE ALSO"};
    also.paragraph(bold(cli::program_name) + plain("(8), ") + bold("blockhost-start-veto") + plain("(8)"));
    page.sections.push_back(std::move(also));
    return page;
}

} // namespace blockhost::subcommands
