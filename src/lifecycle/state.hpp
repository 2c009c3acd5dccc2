#pragma once
/// The state machine, as data: what a VM is, and what each verb may do with it. Every verb, recover, the
/// tests and the diagram in docs/architecture.md come from the two tables here.

#include "base/error.hpp"

#include <span>
#include <string>
#include <string_view>

namespace blockhost {

/// The registry's side of an observation.
enum class RecordSeen { none, active, suspended, destroyed };
/// The hypervisor's side. `foreign`: a domain of that name that is not provably ours.
enum class DomainSeen { none, running, paused, off, foreign };
/// The journal's side: which operation is open on that name, if it decides the state.
enum class EntrySeen { none, create, destroy, other };

/// What a VM is.
enum class VmState {
    absent,
    creating,
    active,
    paused,
    stopped,
    suspended,
    destroying,
    destroyed,
    orphaned, ///< a domain of ours without a record that claims it
    lost,     ///< a record without its domain
    foreign,  ///< the name is taken by what is not ours
    running_while_suspended,
    running_while_destroyed,
};

struct StateRow {
    RecordSeen record;
    DomainSeen domain;
    VmState state;
};
/// One row for every pair of record and domain.
std::span<const StateRow> state_table();
/// An open create or destroy decides; else the row of the pair.
VmState classify(RecordSeen record, DomainSeen domain, EntrySeen entry);

enum class Verb { create, destroy, start, stop, kill, suspend, resume };

/// What a verb does in a state.
struct Verdict {
    enum class Kind {
        run,     ///< carry out `plan`
        nothing, ///< the wished-for end is there already: success
        refuse,  ///< Error{code, message, hint}
    };
    VmState state;
    Verb verb;
    Kind kind;
    std::string_view plan; ///< of run: the name of a plan in steps.hpp
    Code code = Code::wrong_state;
    std::string_view message; ///< of refuse; {name}, {status} and {since} are filled in
    std::string_view hint;
};
/// One row for every state and verb.
std::span<const Verdict> verdict_table();
const Verdict& verdict_of(VmState state, Verb verb);

std::string_view to_string(VmState state);
std::string_view to_string(Verb verb);
std::string_view to_string(RecordSeen record);
std::string_view to_string(DomainSeen domain);

/// The state machine as a Mermaid diagram and its tables as Markdown, for docs/architecture.md.
std::string state_machine_markdown();

} // namespace blockhost
