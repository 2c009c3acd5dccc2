// SPDX-License-Identifier: MIT
/// approve: an operator's signature is handed in, and what waited for it is carried out.

#include "authority/ssh_keygen.hpp"
#include "base/files/given_file.hpp"
#include "base/interrupt.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/platform_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <fmt/format.h>

namespace blockhost::subcommands {

namespace {

using authority::SignedOperation;
using execution::Operation;
using execution::State;

SignedOperation sign_here(cli::Call& call, const authority::Pending& pending, const std::string& key) {
    call.printer.say(fmt::format("signing: {} of guest {}", described(pending.envelope.change),
                                 text::printable(pending.envelope.target.guest)));
    return {pending.bytes,
            {authority::sign(
                pending.bytes, key, [&](std::string_view line) { call.printer.say(text::printable(line)); },
                [] { Interruption().check(); })}};
}

SignedOperation given(const std::string& path) {
    const auto text = files::read_given(path, authority::largest_signed_operation + 1);
    if (!text)
        throw Error(Code::not_found, "there is no file " + text::printable(path),
                    "give the document that 'sign' printed");
    SignedOperation document = authority::parse_signed_operation(*text);
    if (document.signatures.empty())
        throw Error(Code::invalid, "nobody has signed " + text::printable(path),
                    "sign it with 'blockhost-libvirt sign " + text::printable(path) + " --key KEY'");
    return document;
}

int run(cli::Call& call) {
    const std::string& id = call.arguments.operands().front();
    const auto key = call.arguments.text("key"), file = call.arguments.text("signed");
    if (key.has_value() == file.has_value())
        throw Error(Code::usage,
                    "give either --key, to sign here, or --signed, with what was signed elsewhere");
    agent::Engine engine = open_engine(call);
    const auto pending = engine.waiting_one(id);
    engine.approve(id, key ? sign_here(call, pending, *key) : given(*file));
    call.printer.stage(described(pending.envelope.change));
    const Operation ended = engine.finish(id, [] { Interruption().check(); });
    if (ended.state == State::waiting)
        throw Error(Code::denied, id + " waits still: " + ended.detail, "nothing was done to the guest");
    if (ended.error) throw ended.error->within(id);
    for (const std::string& warning : ended.warnings) call.printer.warn(text::printable(warning));
    call.printer.answer(fmt::format("{}: {}", id, to_string(ended.state)));
    call.printer.flush_answer();
    return ended.state == State::done ? 0 : 1;
}

constexpr std::string_view details =
    "Signs on this machine with --key, or takes with --signed what 'sign' printed elsewhere, and carries the "
    "operation out. The gate looks whether the signer may approve it, and whether guest, parameters and time "
    "are those that were signed. A signature that does not count leaves the operation waiting. Where two "
    "different signers are wanted, each approves in turn. While another process carries operations out, that "
    "one does it, and this one waits for the end.";

} // namespace

cli::Row approve_row() {
    return {.verb = "approve",
            .summary = "hand in an operator's signature, and carry out what waited for it",
            .details = details,
            .operands = {{.name = "ID", .help = "the operation, as 'pending' lists it"}},
            .options = {{.name = "key",
                         .kind = cli::Option::Kind::text,
                         .value = "KEY",
                         .help = "the file of the key to sign with here, private or public"},
                        {.name = "signed",
                         .kind = cli::Option::Kind::text,
                         .value = "FILE",
                         .help = "the signed document; /dev/stdin for what is piped in"}},
            .output = {.text = "one line: the operation and its end",
                       .unheard = "the operation was approved, and 'operations' tells its end"},
            .examples = {{"4f2a91c07be8d356 --key id_ed25519", "sign here"},
                         {"4f2a91c07be8d356 --signed signed.json", "signed on an operator's machine"}},
            .needs = cli::Needs::config,
            .effect = cli::Effect::destroys,
            .run = run};
}

} // namespace blockhost::subcommands
