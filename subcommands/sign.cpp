// SPDX-License-Identifier: MIT
/// sign: an operator's signature under an operation that waits for it.

#include "authority/ssh_keygen.hpp"
#include "base/interrupt.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/signed_verbs.hpp"
#include "subcommands/verbs.hpp"

namespace blockhost::subcommands {

namespace {

int run(cli::Call& call) {
    GivenDocument given = given_document(call);
    if (given.operation.signatures.size() >= authority::most_signatures)
        throw Error(Code::invalid, "the document has " + std::to_string(given.operation.signatures.size()) +
                                       " signatures already, and more are never taken");
    call.printer.say("signing: " + what_is_signed(given.envelope));
    given.operation.signatures.push_back(authority::sign(
        given.operation.envelope, *call.arguments.text("key"),
        [&](std::string_view line) { call.printer.say(text::printable(line)); },
        [] { Interruption().check(); }));
    call.printer.answer(to_text(given.operation));
    call.printer.flush_answer();
    return 0;
}

constexpr std::string_view details =
    "Reads the document of an operation that waits for a signature, tells on stderr what it is about, and "
    "prints "
    "the document with a signature by OpenSSH's ssh-keygen. Of two signers, the second one signs what the "
    "first "
    "one printed. It needs neither libvirt nor configuration: it is for an operator's own machine.\n\n"
    "The key may be of every type that ssh-keygen knows, on a security key too (FIDO2: touch it when it "
    "blinks). "
    "KEY is a private key's file; or a public key's (or a certificate's), and the agent of SSH_AUTH_SOCK "
    "signs. "
    "A passphrase or PIN is asked for by the program that SSH_ASKPASS names, never on this terminal.";

} // namespace

cli::Row sign_row() {
    return {.verb = "sign",
            .summary = "sign an operation that waits for an operator's signature",
            .details = details,
            .operands = {document_operand()},
            .options = {{.name = "key",
                         .kind = cli::Option::Kind::text,
                         .value = "KEY",
                         .help = "the file of the key to sign with, private or public",
                         .presence = cli::Option::Presence::required}},
            .output = {.text = "the document with one signature more, as one line of JSON",
                       .json_keys = {"version", "envelope", "signatures"},
                       .json_call = ""},
            .examples = {{"pending.json --key id_ed25519", "with a key's file"},
                         {"pending.json --key id_ed25519_sk.pub", "with the key in the agent"},
                         {"--key id_ed25519", "the document comes on stdin"}},
            .run = run};
}

} // namespace blockhost::subcommands
