// SPDX-License-Identifier: MIT
// Decides, in an order in which a bad request burns nothing.
#include "authority/gate.hpp"

#include "authority/sshsig.hpp"
#include "base/error.hpp"
#include "base/fault.hpp"
#include "platform/action_json.hpp"

#include <boost/json/array.hpp>
#include <fmt/format.h>

namespace blockhost::authority {

namespace bj = boost::json;
using platform::ActionKind;

/// A request of either kind.
struct Gate::Asked {
    const std::string& operation;
    Source source;
    const std::string& requester;
    platform::Target target;
    Change change;
    std::optional<Seen> seen;
    const std::string& signed_operation;
    Provenance provenance = Provenance::ordinary;
    Class is = Class::destructive;
};

struct Gate::Approved {
    std::vector<Signer> signers;
};

namespace {

/// Whether a check of signed operations counts: a test that leaves one out wants to be noticed.
bool counts(std::string_view check) {
    return !fault::left_out("check", check);
}

/// Whether the change loses something of the guest itself, so that it has to be there.
bool needs_guest(const Change& change) {
    const auto* action = std::get_if<platform::Action>(&change);
    if (!action) return false;
    const ActionKind kind = kind_of(*action);
    return kind != ActionKind::create && kind != ActionKind::restore && kind != ActionKind::delete_backup &&
           !is_on_storage(kind);
}

std::string incarnation_of(const platform::Target& target) {
    return target.incarnation.empty() ? "none" : target.incarnation;
}

/// Throws unless the guest that is meant is there now, and can be told from a later one.
void require_same_guest(const platform::Target& target, const Change& change, const std::optional<Seen>& seen,
                        const std::string& digest) {
    if (!needs_guest(change)) return;
    if (target.incarnation.empty())
        throw Error(
            Code::denied,
            fmt::format("nothing tells guest {} from a later one of that name, so that {} cannot be signed",
                        target.guest, name_of(change)),
            "do it by the platform's own means");
    if (!seen)
        throw Error(Code::wrong_state, fmt::format("there is no guest {} now", target.guest),
                    "look whether it is what you meant");
    if (seen->incarnation != target.incarnation)
        throw Error(Code::wrong_state,
                    fmt::format("guest {} is another one now ({}) than the one that was meant ({})",
                                target.guest, seen->incarnation, incarnation_of(target)),
                    "look at the guest, and ask anew if this one is meant");
    if (!digest.empty() && !seen->digest.empty() && digest != seen->digest)
        throw Error(Code::wrong_state,
                    fmt::format("the configuration of guest {} changed since {} was asked for", target.guest,
                                name_of(change)),
                    "look at the guest, and ask anew");
}

std::int64_t number_of(Instant instant) {
    return instant.time_since_epoch().count();
}

} // namespace

std::string_view to_string(Source source) {
    switch (source) {
    case Source::hub:
        return "hub";
    case Source::desired_state:
        return "desired state";
    case Source::timer:
        return "timer";
    case Source::local:
        return "local";
    case Source::root_shell:
        break;
    }
    return "root's shell";
}

Gate::Gate(GateParts parts) : parts_(std::move(parts)), nonces_(parts_.database), pending_(parts_.database) {
    if (const std::int64_t line = parts_.audit.head().line; line < nonces_.audit_line())
        nonces_.note_cut(line);
    const auto& known = parts_.settings.known_elsewhere;
    lacks_known_line_ = known && known->line > nonces_.given_up_line() && !parts_.audit.has(*known);
}

Verdict Gate::decide(const Request& request) {
    Outcome decided = outcome({request.operation, request.source, request.requester, request.target,
                               request.action, request.seen, request.signed_operation});
    if (auto* waits = std::get_if<Pending>(&decided)) return std::move(*waits);
    if (auto* refused = std::get_if<Error>(&decided)) return std::move(*refused);
    return platform::Permit(request.target, request.action);
}

RotationVerdict Gate::decide(const RotationRequest& request) {
    Outcome decided = outcome({request.operation,
                               request.source,
                               request.requester,
                               {},
                               request.keys,
                               {},
                               request.signed_operation});
    if (auto* waits = std::get_if<Pending>(&decided)) return std::move(*waits);
    if (auto* refused = std::get_if<Error>(&decided)) return std::move(*refused);
    return RotationPermit(request.keys);
}

Gate::Outcome Gate::outcome(Asked asked) {
    const std::lock_guard one(one_at_a_time_);
    try {
        const Instant at = parts_.clock();
        if (const auto* action = std::get_if<platform::Action>(&asked.change))
            asked.provenance = parts_.provenance(asked.operation, asked.target, *action);
        // What an older journal says of the past may be over.
        if (asked.provenance != Provenance::ordinary && staleness()) asked.provenance = Provenance::ordinary;
        asked.is = class_of(name_of(asked.change), asked.provenance);
        if (asked.is == Class::benign) {
            nonces_.note_clock(at);
            record(asked, "permitted", "it loses nothing", {});
            return Approved{};
        }
        if (asked.source == Source::root_shell && parts_.settings.require == RequireSignatures::destructive) {
            require_newest_state(); // an older journal wants again what was done
            nonces_.note_clock(at);
            record(asked, "permitted", "root's own shell is the operator", {});
            nonces_.note_audit_line(parts_.audit.head().line); // nobody cuts this off unnoticed
            return Approved{};
        }
        if (asked.signed_operation.empty()) {
            Pending waits = wait_for_signature(asked, at);
            record(asked, "pending", "it needs a signature", {});
            return waits;
        }
        Approved approved = check_signed(asked, at);
        record(asked, "permitted", "it is signed", approved.signers);
        return approved;
    } catch (const Error& error) {
        return refused(asked, error);
    }
}

Error Gate::refused(const Asked& asked, const Error& error) {
    try {
        record(asked, "refused", error.message(), {});
    } catch (const Error& unrecorded) {
        return unrecorded;
    }
    return error;
}

Gate::Approved Gate::check_signed(const Asked& asked, Instant at) {
    // Size and form.
    const SignedOperation document = parse_signed_operation(asked.signed_operation);
    const Envelope envelope = parse_envelope(document.envelope);
    for (const std::string& signature : document.signatures) parse_signature(signature);
    // Signature, role.
    Approved approved;
    if (counts("signature")) {
        const TrustFiles trust = document.signatures.empty() ? TrustFiles{} : parts_.trust();
        for (const std::string& signature : document.signatures)
            approved.signers.push_back(signer_of(document.envelope, signature, trust, at));
        if (counts("role")) require_may_sign(parts_.settings.roles, approved.signers, envelope.change);
    }
    if (counts("target")) check_target(asked, envelope);
    if (counts("parameters")) check_parameters(asked, envelope);
    if (counts("time")) check_time(envelope, at);
    // Nonce: from here on it is used up.
    use_up(asked, envelope, at);
    return approved;
}

void Gate::check_target(const Asked& asked, const Envelope& envelope) const {
    if (envelope.host != parts_.settings.host)
        throw Error(Code::denied,
                    fmt::format("the envelope is for host {}, and this is host {}", envelope.host,
                                parts_.settings.host),
                    "send it to the host that it names");
    if (envelope.target.guest != asked.target.guest)
        throw Error(Code::denied,
                    fmt::format("the envelope is for guest {}, and the operation is on guest {}",
                                envelope.target.guest, asked.target.guest),
                    "sign what `pending` prints for this operation");
    if (envelope.target.incarnation != asked.target.incarnation)
        throw Error(
            Code::denied,
            fmt::format("the envelope is for another incarnation of guest {} ({}) than the operation ({})",
                        asked.target.guest, incarnation_of(envelope.target), incarnation_of(asked.target)),
            "sign what `pending` prints for this operation");
    require_same_guest(asked.target, asked.change, asked.seen, envelope.guest_digest);
}

void Gate::check_parameters(const Asked& asked, const Envelope& envelope) const {
    if (envelope.operation != asked.operation)
        throw Error(Code::denied,
                    fmt::format("the envelope is for operation {}, and not for {}", envelope.operation,
                                asked.operation),
                    "sign what `pending` prints for this operation");
    if (canonical(envelope.change) != canonical(asked.change))
        throw Error(Code::denied,
                    fmt::format("the envelope is for \"{}\", and the operation is \"{}\"",
                                described(envelope.change), described(asked.change)),
                    "sign what `pending` prints for this operation");
}

void Gate::check_time(const Envelope& envelope, Instant at) const {
    nonces_.require_forward(at);
    nonces_.require_after_start(envelope.not_before);
    if (at < envelope.not_before)
        throw Error(Code::denied,
                    fmt::format("the envelope is not valid before {}, and it is {}",
                                format_instant(envelope.not_before), format_instant(at)),
                    "wait, or look at the clocks of both hosts");
    if (at > envelope.not_after)
        throw Error(Code::denied,
                    fmt::format("the envelope's time ended at {}, and it is {}",
                                format_instant(envelope.not_after), format_instant(at)),
                    "ask for the operation anew, and sign what `pending` prints then");
}

std::optional<Error> Gate::staleness() {
    const std::int64_t counted = parts_.audit.head().count;
    const auto stale = [](std::string message, std::string_view what) {
        return Error(Code::denied, std::move(message),
                     fmt::format("put the {} in its place; where there is none, 'blockhost-libvirt agent "
                                 "start-over'",
                                 what));
    };
    if (nonces_.announced() < counted)
        return stale(fmt::format("{} knows of {} lines of the audit record, and {} are counted there: it is "
                                 "an older copy",
                                 parts_.database.path(), nonces_.announced(), counted),
                     "newest copy");
    if (lacks_known_line_)
        return stale(
            fmt::format("the audit record lacks line {} as it is known elsewhere: it is an older copy",
                        parts_.settings.known_elsewhere->line),
            "newest copy of record and database");
    if (const auto cut = nonces_.cut_behind())
        return stale(fmt::format("the audit record was cut behind line {}", *cut), "whole record");
    return std::nullopt;
}

std::optional<Error> Gate::stale() {
    const std::lock_guard lock(one_at_a_time_);
    return staleness();
}

void Gate::require_newest_state() {
    if (const auto stale = staleness()) throw Error(*stale);
}

void Gate::use_up(const Asked& asked, const Envelope& envelope, Instant at) {
    store::Transaction all(parts_.database);
    if (counts("nonce")) {
        require_newest_state();
        nonces_.use(envelope.nonce, asked.operation, envelope.not_after, at);
        const auto inserted =
            parts_.database.run("INSERT INTO approval VALUES (?1, ?2, ?3, ?4, ?5, 1) ON CONFLICT DO NOTHING",
                                {asked.operation, asked.target.guest, asked.target.incarnation,
                                 digest_of(asked.change), number_of(envelope.not_after)});
        if (inserted == 0)
            throw Error(Code::denied,
                        fmt::format("operation {} was approved before: it is carried out once at most",
                                    asked.operation),
                        "ask for what is still wanted as a new operation");
    }
    nonces_.note_audit_line(parts_.audit.head().line);
    pending_.remove(asked.operation);
    all.commit();
}

Pending Gate::wait_for_signature(const Asked& asked, Instant at) {
    const std::string digest = asked.seen && needs_guest(asked.change) ? asked.seen->digest : "";
    require_same_guest(asked.target, asked.change, asked.seen, digest);
    store::Transaction all(parts_.database);
    const auto waits = pending_.find(asked.operation);
    if (waits && canonical(waits->envelope.change) != canonical(asked.change))
        throw Error(Code::exists,
                    fmt::format("operation {} waits as \"{}\", and is now asked for as \"{}\"",
                                asked.operation, described(waits->envelope.change), described(asked.change)),
                    "give each operation an id of its own");
    if (waits && waits->envelope.target == asked.target && waits->envelope.guest_digest == digest &&
        at <= waits->envelope.not_after && !nonces_.is_before_start(waits->envelope.not_before))
        return *waits;
    // A clock that is set back by a little must not make it void.
    constexpr std::chrono::minutes earlier{1};
    Pending fresh;
    fresh.operation = asked.operation;
    fresh.envelope = {.operation = asked.operation,
                      .host = parts_.settings.host,
                      .target = asked.target,
                      .change = asked.change,
                      .not_before = std::max(std::chrono::floor<std::chrono::seconds>(at - earlier),
                                             std::chrono::floor<std::chrono::seconds>(nonces_.started())),
                      .not_after = std::chrono::floor<std::chrono::seconds>(at + parts_.settings.window),
                      .nonce = random_hex(32),
                      .guest_digest = digest};
    fresh.bytes = to_text(fresh.envelope);
    parse_envelope(fresh.bytes); // what could never be approved does not wait
    fresh.source = to_string(asked.source);
    fresh.requester = asked.requester;
    fresh.asked_at = at;
    pending_.put(fresh);
    nonces_.note_clock(at);
    all.commit();
    return fresh;
}

Verdict Gate::renew(const Request& request) {
    const std::lock_guard one(one_at_a_time_);
    const Asked asked{request.operation, request.source, request.requester,       request.target,
                      request.action,    request.seen,   request.signed_operation};
    try {
        const auto refuse = [&](std::string_view why) {
            throw Error(Code::denied, fmt::format("operation {} {}", request.operation, why),
                        "ask for what is still wanted as a new operation");
        };
        const Instant at = parts_.clock();
        require_newest_state();
        nonces_.require_forward(at);
        store::Rows rows =
            parts_.database.rows("SELECT guest, incarnation, change, not_after, is_open FROM approval "
                                 "WHERE operation = ?1",
                                 {request.operation});
        if (!rows.next()) refuse("was never approved by a signature");
        if (rows.integer(4) != 1) refuse("has ended");
        if (platform::Target{rows.text(0), rows.text(1)} != request.target)
            refuse("was approved for another guest");
        if (rows.text(2) != digest_of(asked.change)) refuse("was approved with other parameters");
        if (number_of(at) > rows.integer(3)) refuse("was approved for a time that is over");
        require_same_guest(request.target, asked.change, request.seen, {});
        record(asked, "permitted", "it was approved before", {});
        return platform::Permit(request.target, request.action);
    } catch (const Error& error) {
        return refused(asked, error);
    }
}

AuditHead Gate::ended(const std::string& operation, std::string_view how, std::string_view detail) {
    const std::lock_guard one(one_at_a_time_);
    parts_.database.run("UPDATE approval SET is_open = 0 WHERE operation = ?1", {operation});
    pending_.remove(operation);
    AuditHead head = add_line({{"event", "end"}, {"operation", operation}, {"how", how}, {"detail", detail}});
    nonces_.note_audit_line(head.line);
    return head;
}

bool Gate::reject(const std::string& operation, std::string_view by) {
    const std::lock_guard one(one_at_a_time_);
    if (!pending_.remove(operation)) return false;
    add_line({{"event", "rejected"}, {"operation", operation}, {"by", by}});
    return true;
}

std::vector<Pending> Gate::waiting(const std::function<std::optional<Seen>(const platform::GuestId&)>& look) {
    const std::lock_guard one(one_at_a_time_);
    const Instant at = parts_.clock();
    // Why it waits no longer; empty: it does.
    const auto end_of = [&](const Pending& each) -> std::string {
        if (at > each.envelope.not_after) return "its time is over";
        if (nonces_.is_before_start(each.envelope.not_before))
            return "the used nonces were started over since it was asked for";
        if (!needs_guest(each.envelope.change)) return {};
        std::optional<Seen> seen;
        try {
            seen = look(each.envelope.target.guest);
        } catch (const Error&) {
            return {}; // who cannot be read is not gone
        }
        try {
            require_same_guest(each.envelope.target, each.envelope.change, seen, each.envelope.guest_digest);
        } catch (const Error& changed) {
            return changed.message();
        }
        return {};
    };
    nonces_.note_clock(at);
    std::vector<Pending> still;
    for (Pending& each : pending_.all()) {
        const std::string why = end_of(each);
        if (why.empty()) {
            still.push_back(std::move(each));
            continue;
        }
        pending_.remove(each.operation);
        add_line({{"event", "waits no longer"}, {"operation", each.operation}, {"why", why}});
    }
    return still;
}

void Gate::start_over(std::string_view by) {
    const std::lock_guard one(one_at_a_time_);
    const AuditHead head = parts_.audit.head();
    const auto& known = parts_.settings.known_elsewhere;
    nonces_.start_over(parts_.clock(), head.count, head.line, known ? known->line : 0);
    lacks_known_line_ = false;
    add_line({{"event", "started over"}, {"by", by}});
}

void Gate::record(const Asked& asked, std::string_view verdict, std::string_view why,
                  const std::vector<Signer>& signers) {
    bj::array by;
    for (const Signer& signer : signers)
        by.push_back(bj::object{{"principals", bj::array(signer.principals.begin(), signer.principals.end())},
                                {"key", signer.key},
                                {"key_type", signer.key_type}});
    add_line({{"event", "decision"},
              {"verdict", verdict},
              {"why", why},
              {"operation", asked.operation},
              {"source", to_string(asked.source)},
              {"requester", asked.requester},
              {"target", platform::to_json(asked.target)},
              {"change", name_of(asked.change)},
              {"change_sha256", digest_of(asked.change)},
              {"class", to_string(asked.is)},
              {"provenance", to_string(asked.provenance)},
              {"signers", std::move(by)}});
}

std::int64_t Gate::next_count() {
    // It never falls, and an older copy of the database never makes up for what it does not know.
    const std::int64_t counted = parts_.audit.head().count;
    try {
        if (nonces_.announced() >= counted) return std::max(nonces_.announce(), counted);
    } catch (const store::StoreError&) { // it is on record all the same
    }
    return counted;
}

AuditHead Gate::add_line(bj::object what) {
    what["count"] = next_count();
    return parts_.audit.add(what, parts_.clock());
}

} // namespace blockhost::authority
