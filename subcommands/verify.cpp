// SPDX-License-Identifier: MIT
/// verify: who signed an operation, for what, and until when.

#include "authority/ssh_keygen.hpp"
#include "base/files/given_file.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "cli/printer.hpp"
#include "subcommands/signed_verbs.hpp"
#include "subcommands/verbs.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::subcommands {

cli::Operand document_operand() {
    return {.name = "FILE",
            .help = "the document, as `pending` or `sign` printed it; without it, stdin",
            .count = cli::Operand::Count::optional};
}

GivenDocument given_document(const cli::Call& call) {
    const auto& operands = call.arguments.operands();
    const std::string path = operands.empty() ? "/dev/stdin" : operands.front();
    const auto text = files::read_given(path, authority::largest_signed_operation + 1);
    if (!text)
        throw Error(Code::invalid, "there is no file " + text::printable(path),
                    "give the document that `pending` printed");
    GivenDocument given{authority::parse_signed_operation(*text), {}};
    given.envelope = authority::parse_envelope(given.operation.envelope);
    return given;
}

std::string what_is_signed(const authority::Envelope& envelope) {
    const std::string guest =
        envelope.target.guest.empty()
            ? ""
            : fmt::format(" of guest {} ({})", text::printable(envelope.target.guest),
                          envelope.target.incarnation.empty() ? "any of that name"
                                                              : text::printable(envelope.target.incarnation));
    return fmt::format("{}{} on host {}, from {} until {}", described(envelope.change), guest, envelope.host,
                       format_instant(envelope.not_before), format_instant(envelope.not_after));
}

namespace {

/// Who signed, and why the document is not valid now; empty: it is.
struct Finding {
    std::vector<authority::Signer> signers;
    std::string why;
};

Finding examine(const GivenDocument& given, const authority::TrustFiles& trust, Instant at) {
    Finding finding;
    try {
        if (given.operation.signatures.empty()) throw Error(Code::denied, "nobody has signed it");
        for (const std::string& each : given.operation.signatures)
            finding.signers.push_back(signer_of(given.operation.envelope, each, trust, at));
        if (at < given.envelope.not_before) throw Error(Code::denied, "it is not valid yet");
        if (at > given.envelope.not_after) throw Error(Code::denied, "its time is over");
    } catch (const Error& error) {
        if (error.code() == Code::program) throw;
        finding.why = error.message();
    }
    return finding;
}

void print_json(cli::Printer& printer, const authority::Envelope& envelope, const Finding& finding) {
    boost::json::array signers;
    for (const authority::Signer& each : finding.signers)
        signers.push_back(boost::json::object{
            {"principals", boost::json::array(each.principals.begin(), each.principals.end())},
            {"key", each.key},
            {"key_type", each.key_type}});
    printer.answer(json::python_line(boost::json::object{{"valid", finding.why.empty()},
                                                         {"why", finding.why},
                                                         {"operation", envelope.operation},
                                                         {"host", envelope.host},
                                                         {"guest", envelope.target.guest},
                                                         {"incarnation", envelope.target.incarnation},
                                                         {"action", to_json(envelope.change)},
                                                         {"not_before", format_instant(envelope.not_before)},
                                                         {"not_after", format_instant(envelope.not_after)},
                                                         {"signers", std::move(signers)}}));
}

void print_lines(cli::Printer& printer, const authority::Envelope& envelope, const Finding& finding) {
    printer.answer("operation: " + envelope.operation);
    printer.answer("for: " + what_is_signed(envelope));
    for (const authority::Signer& each : finding.signers)
        printer.answer(fmt::format("signed by: {} ({} key {})",
                                   text::printable(text::join(each.principals, ", ")), each.key_type,
                                   each.key));
    printer.answer(finding.why.empty() ? "valid" : "not valid: " + finding.why);
}

int run(cli::Call& call) {
    const GivenDocument given = given_document(call);
    const auto trust = authority::read_trust_files(*call.arguments.text("signers"),
                                                   call.arguments.text("revoked").value_or(""));
    const Finding finding = examine(given, trust, now());
    (call.arguments.has("json") ? print_json : print_lines)(call.printer, given.envelope, finding);
    call.printer.flush_answer();
    return finding.why.empty() ? 0 : 1;
}

constexpr std::string_view details =
    "Checks form, signatures and time as a host does, by OpenSSH's ssh-keygen. What only the host knows "
    "(roles, "
    "the guest's incarnation, used nonces) it does not. It needs neither libvirt nor configuration.\n\n"
    "The file of allowed signers, with its options, and the list of revoked keys are those of ssh-keygen(1).";

} // namespace

cli::Row verify_row() {
    return {
        .verb = "verify",
        .summary = "tell who signed an operation, for what, and until when",
        .details = details,
        .operands = {document_operand()},
        .options = {{.name = "signers",
                     .kind = cli::Option::Kind::text,
                     .value = "FILE",
                     .help = "the allowed signers",
                     .presence = cli::Option::Presence::required},
                    {.name = "revoked",
                     .kind = cli::Option::Kind::text,
                     .value = "FILE",
                     .help = "the revoked keys"},
                    {.name = "json", .help = "print one JSON document"}},
        .output = {.text =
                       "a line for each: the operation, what it is for, each signer, and whether it is valid",
                   .json_keys = {"valid", "why", "operation", "host", "guest", "incarnation", "action",
                                 "not_before", "not_after", "signers"},
                   .json_call = "--json"},
        .examples = {{"signed.json --signers allowed_signers", "look"},
                     {"signed.json --signers allowed_signers --revoked revoked_keys --json",
                      "for a program"}},
        .exit_1 = "the document is not validly signed at this time",
        .run = run};
}

} // namespace blockhost::subcommands
