// SPDX-License-Identifier: MIT
#pragma once
/// The gate in front of every change: it says what may be done, what waits for a signature, and what is
/// refused, and puts each decision on record. It alone makes permits.

#include "authority/audit.hpp"
#include "authority/classifier.hpp"
#include "authority/envelope.hpp"
#include "authority/nonces.hpp"
#include "authority/pending.hpp"
#include "authority/roles.hpp"
#include "platform/permit.hpp"

#include <mutex>

namespace blockhost::authority {

/// Where a change comes from.
enum class Source {
    hub,
    desired_state,
    timer,
    local,     ///< the local door: a guest's, or a user's who is not root
    root_shell ///< a verb that root called on this host
};
std::string_view to_string(Source source);

/// Whose destructive changes need a signature. Benign ones never do.
enum class RequireSignatures {
    destructive, ///< everybody's but root's own shell's, which is the operator
    all          ///< root's shell's, too
};

struct GateSettings {
    std::string host; ///< this host's name, as envelopes have it
    RequireSignatures require = RequireSignatures::destructive;
    Roles roles{built_in_roles(), {}};
    std::chrono::seconds window = std::chrono::hours(72); ///< of what waits for a signature
    /// Where the record stood when somebody outside of this host was told last (a hub's acknowledgement). A
    /// record without that line is an older copy, and so may the database be.
    std::optional<AuditHead> known_elsewhere = {};
};

/// What the platform shows of a guest.
struct Seen {
    platform::Incarnation incarnation;
    std::string digest; ///< of its configuration; empty where it is not known
};

/// What somebody wants.
struct Request {
    std::string operation; ///< its id, as envelopes have it
    Source source = Source::hub;
    std::string requester; ///< who, as far as it is known: "job 17", "uid 0"; for the record
    platform::Target target;
    platform::Action action;
    std::optional<Seen> seen;     ///< nothing: the platform says that there is no such guest
    std::string signed_operation; ///< the document as it came; empty: none came
};

/// The right to put other key files in the place of the present ones; made by the gate alone.
class RotationPermit {
  public:
    RotationPermit(RotationPermit&&) = default;
    RotationPermit& operator=(RotationPermit&&) = default;
    RotationPermit(const RotationPermit&) = delete;
    RotationPermit& operator=(const RotationPermit&) = delete;
    const RotateKeys& keys() const { return keys_; }

  private:
    friend class Gate;
    explicit RotationPermit(RotateKeys keys) : keys_(std::move(keys)) {}
    RotateKeys keys_;
};

struct RotationRequest {
    std::string operation;
    Source source = Source::hub;
    std::string requester;
    RotateKeys keys;
    std::string signed_operation;
};

/// A permit; or what waits, with the bytes to sign; or why not.
using Verdict = std::variant<platform::Permit, Pending, Error>;
using RotationVerdict = std::variant<RotationPermit, Pending, Error>;

/// What the gate stands on. All of it outlives the gate.
struct GateParts {
    GateSettings settings;
    store::Database& database; ///< with the tables of tables.hpp; for the gate's thread alone
    Audit& audit;
    /// The files that say who may sign, read anew for each signature. Throws Error{config}.
    std::function<TrustFiles()> trust;
    /// What this host's own journal knows of the thing that the action would lose (classifier.hpp).
    std::function<Provenance(const std::string& operation, const platform::Target&, const platform::Action&)>
        provenance;
    std::function<Instant()> clock = now;
};

/// One at a time decides: calls from several threads wait for each other.
class Gate {
  public:
    /// Looks whether the record was cut since it was last seen. Throws Error{io}, Error{busy}.
    explicit Gate(GateParts parts);

    /// Decides. A signed operation is checked in this order, so that a bad one burns nothing: size and form,
    /// signature, role, target (host, guest, incarnation, configuration), parameters (operation, action),
    /// time, nonce. The nonce is on disk when a permit is returned. A destructive change without a signed
    /// operation waits: the same bytes are told again to who asks again. Errors: Error{invalid} for form,
    /// Error{denied} for what was signed wrongly, Error{wrong_state} for a target that is another one now,
    /// Error{clock}; Error{io}, Error{busy} where the decision could not be put on record: nothing is
    /// permitted then.
    Verdict decide(const Request& request);
    RotationVerdict decide(const RotationRequest& request);

    /// Again the permit of an operation that was approved, and was not begun when its process died. Never for
    /// one that was closed, for other parameters, another incarnation, or when the envelope's time is over.
    Verdict renew(const Request& request);

    /// Puts the end of an operation on record, and closes its approval; it waits no longer. `how`: "done",
    /// "failed", "unknown".
    AuditHead ended(const std::string& operation, std::string_view how, std::string_view detail);
    /// An operator does not want it: it waits no longer. False when it does not wait.
    bool reject(const std::string& operation, std::string_view by);
    /// What waits now. What is overdue is ended, and so is what was asked for another incarnation or
    /// configuration than `look` shows; `look` throws for a guest that cannot be read, which then goes on
    /// waiting. Here and at each permit the clock is remembered: one that goes back later is noticed.
    std::vector<Pending> waiting(const std::function<std::optional<Seen>(const platform::GuestId&)>& look);

    /// See Nonces::start_over; on record.
    void start_over(std::string_view by);
    AuditHead audit_head() { return parts_.audit.head(); }
    /// Why what this host knows is no newest copy, for which everything destructive is refused; nothing: it
    /// may be. Throws Error{io}.
    std::optional<Error> stale();

  private:
    struct Asked;
    struct Approved;
    using Outcome = std::variant<Approved, Pending, Error>;
    Outcome outcome(Asked asked);
    Error refused(const Asked& asked, const Error& error);
    Approved check_signed(const Asked& asked, Instant at);
    void check_target(const Asked& asked, const Envelope& envelope) const;
    void check_parameters(const Asked& asked, const Envelope& envelope) const;
    void check_time(const Envelope& envelope, Instant at) const;
    /// Why the database, or the record, is no newest copy; nothing when both may be.
    std::optional<Error> staleness();
    void require_newest_state();
    void use_up(const Asked& asked, const Envelope& envelope, Instant at);
    Pending wait_for_signature(const Asked& asked, Instant at);
    void record(const Asked& asked, std::string_view verdict, std::string_view why,
                const std::vector<Signer>& signers);
    std::int64_t next_count(); ///< of the line that is added next
    AuditHead add_line(boost::json::object what);

    GateParts parts_;
    Nonces nonces_;
    Pendings pending_;
    bool lacks_known_line_ = false; ///< settings' known_elsewhere
    std::mutex one_at_a_time_;
};

} // namespace blockhost::authority
