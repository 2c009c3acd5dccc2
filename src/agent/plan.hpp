// SPDX-License-Identifier: MIT
#pragma once
/// The difference between what is wanted and what is there, as actions.

#include "agent/observe.hpp"

namespace blockhost::agent {

/// One field of a guest that is to be another.
struct Change {
    std::string field;    ///< as in the document: "memory_mib"
    std::string from, to; ///< as people read them; `from` is empty where nothing was
    bool operator==(const Change&) const = default;
};

/// What is to be done to one guest, or to storage of the host.
struct PlannedAction {
    enum class Verdict {
        benign,          ///< loses nothing
        needs_signature, ///< waits for an operator
        impossible,      ///< cannot be done, whoever signs
    };
    /// The guest, and the incarnation that was looked at; empty for a create.
    platform::Target target;
    platform::Kind kind = platform::Kind::vm;
    /// Nothing where no action leads to what is wanted; then it is impossible.
    std::optional<platform::Action> action;
    std::vector<Change> changes;
    std::string reason; ///< why it is to be done: one clause
    Verdict verdict = Verdict::benign;
    std::string why; ///< of a verdict that is not benign: one clause, and what to do
    /// Of the configuration that the guest had when this was planned; empty for a create. An action of the
    /// same guest that stands before this one may change it.
    std::string digest;
    std::string lock; ///< why the platform refuses changes for the time being; empty: it does not
};
std::string_view to_string(PlannedAction::Verdict verdict);
/// "set-config"; empty without an action.
std::string_view name_of(const PlannedAction& planned);

/// Something about one guest that is told and that nothing is planned for.
struct Remark {
    platform::GuestId guest;
    std::string what;
    bool operator==(const Remark&) const = default;
};

struct Plan {
    std::string host;
    std::int64_t generation = 0;
    std::string desired_digest;
    /// Storage last. In the document's order of guests; those of one guest in the order in which they are
    /// carried out. What follows a create (its start, its growth) is planned once the guest is there. A guest
    /// that runs is stopped by its destroy, once that may be.
    std::vector<PlannedAction> actions;
    /// Guests of which it is not known whether they are as they are wanted.
    std::vector<Remark> unknown;
    /// What is worth knowing, and no difference: a change that waits for the next start, a wish that no
    /// platform tells about.
    std::vector<Remark> notes;
    std::string doubt; ///< of Observed

    /// Whether every guest that the document names is known to be as it is wanted.
    bool is_converged() const { return actions.empty() && unknown.empty(); }
    std::size_t count(PlannedAction::Verdict verdict) const;
};

/// Asks a platform what it refuses beforehand: Platform::refusal.
using Refusal = std::function<std::optional<Error>(const platform::Action&, platform::Kind)>;

/// Compares. A guest that the document does not name is left alone; nothing is planned for one that could not
/// be read, and no guest is created while the list may lack some. Storage that is named is to be mounted.
/// Configurations are compared as they will be at the next start (Guest::config), not as they run now. Asks
/// nobody but `refusal`, once for each action.
Plan make_plan(const Desired& desired, const Observed& observed, const Refusal& refusal);

} // namespace blockhost::agent
