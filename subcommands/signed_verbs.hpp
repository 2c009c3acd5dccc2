// SPDX-License-Identifier: MIT
#pragma once
/// What sign and verify share.

#include "authority/envelope.hpp"
#include "cli/command.hpp"

namespace blockhost::subcommands {

/// The operand that names the document of a signed operation: a file, or stdin without one.
cli::Operand document_operand();
/// That document, with its envelope parsed. Throws Error{invalid} when there is none.
struct GivenDocument {
    authority::SignedOperation operation;
    authority::Envelope envelope;
};
GivenDocument given_document(const cli::Call& call);

/// "destroy of guest web-001 (uuid:…) on host host-a, from … until …".
std::string what_is_signed(const authority::Envelope& envelope);

} // namespace blockhost::subcommands
