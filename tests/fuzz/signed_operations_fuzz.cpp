// SPDX-License-Identifier: MIT
/// What comes to be approved: envelopes, signed operations, armored signatures, actions and settings; and
/// lines of an audit record.

#include "authority/audit.hpp"
#include "authority/envelope.hpp"
#include "authority/settings.hpp"
#include "authority/sshsig.hpp"
#include "base/text/strict_json.hpp"
#include "platform/action_json.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <fcntl.h>

using namespace blockhost;
using namespace blockhost::authority;

namespace {

void envelopes(std::string_view text) {
    fuzz::answered([&] {
        const Envelope read = parse_envelope(text);
        fuzz::check(text.size() <= largest_envelope, "an envelope is not large");
        fuzz::check(read.not_before < read.not_after && read.not_after - read.not_before <= longest_window,
                    "an envelope has a window");
        fuzz::check(read.nonce.size() >= 32 && !read.operation.empty() && !read.host.empty(),
                    "an envelope has a nonce, an operation and a host");
        const Envelope again = parse_envelope(to_text(read));
        fuzz::check(to_text(again) == to_text(read) && again.target == read.target &&
                        canonical(again.change) == canonical(read.change),
                    "an envelope stays what it is");
        fuzz::check(described(read.change).find('\n') == std::string::npos, "a change is one line");
    });
}

void operations(std::string_view text) {
    fuzz::answered([&] {
        const SignedOperation read = parse_signed_operation(text);
        fuzz::check(read.signatures.size() <= most_signatures, "signatures are few");
        const SignedOperation again = parse_signed_operation(to_text(read));
        fuzz::check(again.envelope == read.envelope && again.signatures == read.signatures,
                    "the bytes that are signed stay what they are");
    });
}

void signatures(std::string_view text) {
    fuzz::answered([&] {
        const SignatureForm form = parse_signature(text);
        const auto is_line = [](const std::string& each) {
            return std::ranges::none_of(each, [](char c) { return static_cast<unsigned char>(c) < ' '; });
        };
        fuzz::check(is_line(form.key_type) && is_line(form.name_space),
                    "what is told of a signature is a line");
    });
}

void actions(std::string_view text) {
    fuzz::answered([&] {
        const Change read = change_from_json(json::parse_strictly(text, "it"), "it");
        const Change again = change_from_json(to_json(read), "it");
        fuzz::check(canonical(again) == canonical(read) && name_of(again) == name_of(read),
                    "an action stays what it is");
    });
}

void settings(std::string_view text) {
    fuzz::answered([&] {
        const AuthoritySettings read = authority_settings(json::parse_strictly(text, "it"), "it");
        const auto& roles = read.gate.roles.all;
        fuzz::check(roles.size() >= 2 && roles[1].changes == std::vector<std::string>{"rotate-keys"},
                    "recovery may only rotate keys");
    });
}

void records(std::string_view text) {
    fuzz::MemoryFile file;
    file.set(text);
    const Fd fd(open(file.path().c_str(), O_RDONLY | O_CLOEXEC));
    fuzz::answered([&] {
        const AuditCheck found = check_audit(fd.get(), "it");
        fuzz::check((found.broken_line == 0) == found.why.empty(), "what is broken is said");
        fuzz::check(found.broken_line == 0 || found.broken_line == found.head.line + 1,
                    "the first one is named");
    });
}

void target(std::string_view input) {
    switch (fuzz::take_selector(input)) {
    case 'e':
        return envelopes(input);
    case 's':
        return signatures(input);
    case 'a':
        return actions(input);
    case 'c':
        return settings(input);
    case 'r':
        return records(input);
    default:
        return operations(input);
    }
}

} // namespace

FUZZ_TARGET(target)
