// SPDX-License-Identifier: MIT
/// update-gecos: writes the owner into the GECOS field of the guest's login; ends within 25 s in every case.

#include "base/text/text.hpp"
#include "subcommands/verbs.hpp"
#include "vm/guest_line.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using namespace std::chrono_literals;

/// From the first look at a file to the last answer; callers give up after 30 s.
constexpr auto longest_run = 24s;
/// Another program in the guest holds the user database for moments only.
constexpr std::chrono::milliseconds lock_pause = 1s;
constexpr std::size_t longest_id = 80;

std::string nft_id(const cli::Call& call) {
    const std::string id = call.arguments.text("nft-id").value_or("");
    const bool plain = std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    });
    if (plain && !id.empty() && id.size() <= longest_id) return id;
    throw Error(Code::invalid, fmt::format("--nft-id: '{}' is no token id", text::printable(id)),
                fmt::format("letters and digits, {} at most", longest_id));
}

/// The login that create made: the one in the VM's record; "admin" where that names none.
Username login_of(const cli::Call& call, const VmName& name) {
    const auto record = registry_of(call).read().find(name);
    if (record && record->status == RecordStatus::destroyed)
        throw Error(Code::not_found, name.str() + " was destroyed", "'blockhost-libvirt list' shows the VMs");
    if (!record || record->username.empty()) return Username("admin");
    try {
        return Username(record->username);
    } catch (const Error& error) {
        throw error.within("the record of " + name.str());
    }
}

bool is_locked(const guest::Outcome& outcome) {
    return outcome.status() == 1 && outcome.err.find("lock") != std::string::npos;
}

void set_gecos(const AgentLine& line, const std::string& gecos, const Username& login) {
    const guest::Program usermod{"/usr/sbin/usermod", {"-c", gecos, "--", login.str()}};
    const auto waiting = line.waiting();
    while (true) {
        const auto outcome = guest::exec(line.call(), usermod, line.left(), waiting);
        if (outcome.status() == 0) return;
        if (!is_locked(outcome) || line.left() < 2 * lock_pause)
            throw Error(Code::guest,
                        fmt::format("usermod failed in the guest (exit status {}): {}", outcome.status(),
                                    text::printable(text::trim(outcome.err + outcome.out))));
        waiting.sleep(lock_pause);
    }
}

int run(cli::Call& call) {
    const Deadline end = Deadline::in(longest_run);
    const VmName name = vm_name(call);
    const Wallet wallet(call.arguments.operands()[1], read_engine_manifest(call.paths).address_pattern);
    const std::string gecos = fmt::format("wallet={},nft={}", wallet.str(), nft_id(call));
    const Username login = login_of(call, name);
    const auto hypervisor = open_for_agent(call);
    require_ours(call, *hypervisor, name);
    const AgentLine line(*hypervisor, name, end);
    line.greet();
    set_gecos(line, gecos, login);
    return 0;
}

constexpr std::string_view details =
    "Sets the GECOS field of the VM's login (the VM database names it, else 'admin') to "
    "'wallet=WALLET,nft=ID', which the guest's login module reads. The guest must run and its agent answer. "
    "Ends within 25 seconds; a guest that does not answer is given up within 3.";

} // namespace

cli::Row update_gecos_row() {
    return {
        .verb = "update-gecos",
        .contract_name = "blockhost-vm-update-gecos",
        .summary = "write owner and token id into the guest's login",
        .details = details,
        .operands = {vm_operand(cli::Operand::Fits::active),
                     {.name = "WALLET", .help = "the owner's wallet address"}},
        .options = {{.name = "nft-id",
                     .kind = cli::Option::Kind::text,
                     .value = "ID",
                     .help = "the token's id",
                     .presence = cli::Option::Presence::required}},
        .output = {.text = "nothing", .unheard = "there is no answer to lose; a repeat writes the same"},
        .examples = {{"web-001 0x00000000000000000000000000000000000000a1 --nft-id 7", "a new owner"}},
        .needs = cli::Needs::hypervisor,
        .effect = cli::Effect::changes,
        .exit = cli::Row::Exit::contract,
        .talk_prefix = "[vm-update-gecos] ",
        .run = run,
    };
}

} // namespace blockhost::subcommands
