// SPDX-License-Identifier: MIT
#pragma once
/// What carries out this host's operations, brought together: database, record, gate, journal and runner.

#include "agent/accepted.hpp"
#include "agent/database.hpp"
#include "agent/door.hpp"
#include "authority/settings.hpp"
#include "config/paths.hpp"
#include "execution/runner.hpp"

namespace blockhost::agent {

/// What `<etc>/agent.json` says about authority; what holds without it where there is no such file, or no
/// such member. Throws Error{config}, naming file and member.
authority::AuthoritySettings authority_of(const Paths& paths);

/// For one thread, but for journal(). Several processes may have one; one of them at a time works.
class Engine {
  public:
    /// Opens a platform. Its waits must not end by a signal.
    using Open = std::function<std::unique_ptr<platform::Platform>()>;

    /// What the caller has to do with time.
    struct Times {
        execution::RunnerSettings runner = {};
        std::function<Instant()> clock = now; ///< by which signatures are judged
        /// Told once what speaks against the clock, if something does; see note_time.
        std::function<void(const Error&)> doubtful_clock = {};
    };

    /// Makes the agent's folder, database and record where they are missing, and notes the time there. What a
    /// hub was told last of the record is taken from the database, unless the settings say so.
    /// `paths` outlives it. Throws what Platform::host throws, store::StoreError, Error{io}.
    Engine(const Paths& paths, authority::AuthoritySettings settings, Open open)
        : Engine(paths, std::move(settings), std::move(open), Times{}) {}
    Engine(const Paths& paths, authority::AuthoritySettings settings, Open open, Times times);

    const platform::Host& host() const { return host_; }
    execution::Journal& journal() { return journal_; }
    /// Where the record of decisions stands.
    authority::AuditHead audit_head() { return gate_.audit_head(); }
    /// See Gate::stale; as of when this was made.
    std::optional<Error> stale() { return gate_.stale(); }
    /// For looks.
    platform::Platform& platform() { return *platform_; }
    /// The operator goes on without the used nonces, the record or the time that this host once knew: every
    /// envelope that was made until now is void, and what waits for a signature has to be asked for anew.
    void start_over(std::string_view by);
    /// Which desired state this host follows.
    Accepted& accepted() { return accepted_; }

    /// What waits for a signature; what waits no longer is ended.
    std::vector<authority::Pending> waiting();
    /// The one with that id. Throws Error{not_found} when no such operation waits.
    authority::Pending waiting_one(const execution::Id& id);
    /// Hands a signed document to what waits for it: its signatures are added to those that came before.
    /// Throws Error{not_found} when no such operation waits; Error{denied} when other bytes were signed than
    /// those that it waits for, or one of the signatures does not count by itself: signer, role. Then it
    /// waits on as before. Throws Error{config} when the files that say who may sign cannot be read.
    void approve(const execution::Id& id, const authority::SignedOperation& document);
    /// An operator does not want what waits. Throws Error{not_found} when no such operation waits.
    void reject(const execution::Id& id, std::string_view by);

    /// Carries out what the journal has until nothing is left to do but what waits for a signature, or `stop`
    /// says so. Throws Error{busy} when another process carries operations out.
    void work(const std::function<bool()>& stop, execution::Runner::Told told = {});
    /// Works until that operation ended or waits for a signature; when another process carries operations
    /// out, waits for it to do so. `check` is called meanwhile, and throws to give up waiting: what was begun
    /// goes on, or is found again. How it stands.
    execution::Operation finish(const execution::Id& id, const std::function<void()>& check);

    /// What a verb of root's shell does to a guest by itself, in its own way: the gate is asked, `act` does
    /// it, and its end is put on record. Where signatures are required of everybody, `act` is not called: the
    /// action is an operation like any other, and waits; one that waits already is not asked for again. How
    /// that stands; nothing: `act` did it. A guest that is not there loses nothing, and `act` says so. Throws
    /// what the gate refuses, and what `act` throws. `check` as finish has it.
    std::optional<execution::Operation> by_shell(const platform::GuestId& id, const platform::Action& action,
                                                 const std::string& requester,
                                                 const std::function<void()>& act,
                                                 const std::function<void()>& check);

  private:
    execution::Operation queued_by_shell(const platform::Target& target, const platform::Action& action,
                                         const std::string& requester, const std::function<void()>& check);
    std::optional<platform::Guest> look(const platform::GuestId& id) { return platform_->guest(id); }
    /// What healing wants is looked at again right before it begins: somebody may have said otherwise.
    std::optional<Error> reconsider(const execution::Operation& operation);

    Open open_;
    Times times_;
    authority::AuthoritySettings settings_;
    std::unique_ptr<platform::Platform> platform_;
    platform::Host host_;
    Folder folder_;
    store::Database gates_own_;
    authority::Audit audit_;
    execution::Journal journal_;
    Accepted accepted_;
    authority::Gate gate_;
};

} // namespace blockhost::agent
