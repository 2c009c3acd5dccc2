// SPDX-License-Identifier: MIT
#include "agent/service/recipient.hpp"

#include "base/text/text.hpp"

#include <algorithm>

namespace blockhost::agent {

namespace {

/// Whether it says something about a document, and would say it again.
bool is_final(const Error& error) {
    switch (error.code()) {
    case Code::invalid:
    case Code::config:
    case Code::denied:
    case Code::wrong_state:
    case Code::not_found:
        return true;
    default:
        return false;
    }
}

/// Whether these signatures of these bytes were handed in.
bool has_all(const std::string& handed_in, const authority::SignedOperation& document) {
    if (handed_in.empty()) return false;
    const auto before = authority::parse_signed_operation(handed_in);
    return before.envelope == document.envelope &&
           std::ranges::all_of(document.signatures, [&](const std::string& each) {
               return std::ranges::find(before.signatures, each) != before.signatures.end();
           });
}

} // namespace

std::optional<std::int64_t> Recipient::accepted() {
    return engine_.accepted().known().generation;
}

std::optional<std::int64_t> Recipient::followed() {
    return engine_.accepted().document() ? accepted() : std::nullopt;
}

hub::Host::Verdict Recipient::take_desired(const std::string& text, std::int64_t generation) {
    try {
        const Desired desired = parse_desired(text, "the hub's desired state", engine_.accepted().known());
        require_fits(desired, engine_.platform(), engine_.host());
        if (desired.generation != generation)
            throw Error(Code::invalid, "the document is of generation " + std::to_string(desired.generation) +
                                           ", and generation " + std::to_string(generation) +
                                           " was announced");
        engine_.accepted().accept(desired);
        return {};
    } catch (const store::StoreError&) {
        throw;
    } catch (const Error& error) {
        if (!is_final(error)) throw;
        return {"", error};
    }
}

hub::Host::Verdict Recipient::take_signed(const std::string& text) {
    std::string id;
    authority::SignedOperation document;
    try {
        document = authority::parse_signed_operation(text);
        const auto envelope = authority::parse_envelope(document.envelope);
        if (envelope.host != engine_.host().name)
            return {"", Error(Code::denied, "it is for the host " + text::printable(envelope.host))};
        id = envelope.operation;
    } catch (const Error& error) {
        if (error.code() != Code::invalid) throw;
        return {"", error};
    }
    try {
        hand_in(id, document);
        return {id, {}};
    } catch (const store::StoreError&) {
        throw;
    } catch (const Error& error) {
        // The files that say who may sign are this host's: what is the matter with them says nothing about
        // the document.
        if (!is_final(error) || error.code() == Code::config) throw;
        return {id, error};
    }
}

void Recipient::hand_in(const execution::Id& id, const authority::SignedOperation& document) {
    const auto operation = engine_.journal().find(id);
    if (operation && has_all(operation->signed_operation, document)) return;
    if (document.signatures.empty()) throw Error(Code::invalid, "nobody has signed it");
    engine_.approve(id, document);
}

} // namespace blockhost::agent
