// SPDX-License-Identifier: MIT
#pragma once
/// The state machine as data: what a VM is, and what each verb may do with it. Every verb, recover, the tests
/// and docs/states.md come from the two tables here.

#include "base/error.hpp"

#include <span>
#include <string>
#include <string_view>

namespace blockhost {

/// The registry's side of an observation.
enum class RecordSeen { none, active, suspended, destroyed };
/// The hypervisor's side. `paused`: the domain holds its memory and runs nothing; it is paused, asleep or
/// crashed. `foreign`: a domain of that name that is not provably this instance's.
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
    orphaned, ///< a domain of this instance that no record claims
    lost,     ///< a record without its domain
    foreign,  ///< something that is not this instance's has the name
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

enum class Verb {
    create,
    destroy,
    start,
    stop,
    kill,
    suspend,
    resume,
    configure,
    backup,
    snapshot_take,
    snapshot_undo,
    snapshot_keep,
    restore_in_place
};

/// What a verb does in a state.
struct Verdict {
    enum class Kind {
        run,     ///< carry out `plan`
        nothing, ///< what was wished for is so already: success
        refuse,  ///< Error{code, message, hint}
    };
    VmState state;
    Verb verb;
    Kind kind;
    std::string_view plan; ///< for run: the name of a plan in steps.hpp
    Code code = Code::wrong_state;
    std::string_view message; ///< for refuse; {name}, {status}, {since} and {stranger} are filled in
    std::string_view hint;
};
/// One row for every state and verb.
std::span<const Verdict> verdict_table();
const Verdict& verdict_of(VmState state, Verb verb);

std::string_view to_string(VmState state);
std::string_view to_string(Verb verb);
std::string_view to_string(RecordSeen record);
std::string_view to_string(DomainSeen domain);

/// The state machine as a Mermaid diagram and its tables as Markdown, for docs/states.md.
std::string state_machine_markdown();

} // namespace blockhost
