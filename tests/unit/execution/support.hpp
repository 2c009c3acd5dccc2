// SPDX-License-Identifier: MIT
#pragma once
/// What tests of execution share: a journal in a folder of its own, a gate that is told what to say, and a
/// platform that is told what to do.

#include "execution/episodes.hpp"
#include "execution/executor.hpp"
#include "store/private_folder.hpp"
#include "tests/unit/platform/permit_for_tests.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <unistd.h>

namespace blockhost::execution::test {

inline constexpr const char* database_file = "agent.db";

/// Where syncing costs nothing: what is tested here is a killed process, not a loss of power.
inline std::filesystem::path quick_place() {
    const std::filesystem::path memory = "/dev/shm";
    return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

inline Folder database_folder(const std::filesystem::path& around) {
    return store::make_private_folder(std::move(*Folder::open(around)), "agent");
}

inline store::Database open_database(const std::filesystem::path& around) {
    static const std::string_view tables[] = {journal_tables, healing_tables};
    static const store::Schema schema{"the agent's database", tables};
    return store::Database::open(database_folder(around), database_file, schema,
                                 {.patience = std::chrono::milliseconds(50), .check = {}});
}

inline platform::Target web() {
    return {"web", "made:0"};
}

inline Request wish(platform::Action action, platform::Target target = web()) {
    return {.source = {Source::Kind::hub, "job-1"}, .target = std::move(target), .action = std::move(action)};
}

inline Verdict permit(const Operation& operation) {
    return platform::PermitForTests::make(operation.target, operation.action);
}

/// Nothing is waited for.
inline Patience impatient() {
    using namespace std::chrono_literals;
    return {.begin = 0ms, .again = 0ms, .trace = 0ms, .end = 1h};
}

inline Wishes no_wishes() {
    return {.pause = [](std::chrono::milliseconds) {}};
}

/// A platform whose answers a test sets. Unset ones are those of a platform on which all goes well.
class Scripted final : public platform::Platform {
  public:
    using Action = platform::Action;
    using Target = platform::Target;

    std::function<platform::Note()> on_note = [this] { return "note-" + std::to_string(++notes); };
    std::function<void()> on_begin = [] {};    ///< before it is accepted
    std::function<void()> on_accepted = [] {}; ///< afterwards
    std::function<platform::Trace()> on_trace = [] { return platform::Trace{}; };
    std::function<platform::ActionState()> on_look = [] {
        platform::ActionState state;
        state.phase = platform::ActionState::Phase::done;
        return state;
    };
    std::function<std::optional<platform::Guest>(const platform::GuestId&)> on_guest =
        [](const platform::GuestId&) { return std::nullopt; };
    std::optional<Action> last_begun;
    std::atomic<int> notes = 0, begins = 0, traces = 0, looks = 0, interrupts = 0;

    platform::Host host() override { return {}; }
    std::vector<platform::Lack> preflight() override { return {}; }
    platform::Guests guests() override { return {}; }
    std::optional<platform::Guest> guest(const platform::GuestId& id) override { return on_guest(id); }
    platform::Note note(const Target&, const Action&) override { return on_note(); }
    void begin_permitted(const platform::Permit& permit, const platform::Note& note,
                         const std::function<void(const platform::Handle&)>& accepted) override {
        last_begun = permit.action();
        ++begins;
        on_begin();
        accepted("handle of " + note);
        on_accepted();
    }
    platform::Trace trace(const Target&, const Action&, const platform::Note&) override {
        ++traces;
        return on_trace();
    }
    platform::ActionState look(const platform::Handle&) override {
        ++looks;
        return on_look();
    }
    void interrupt(const platform::Handle&) override { ++interrupts; }
};

/// An executor with all that it needs.
struct Bench {
    TemporaryFolder folder{quick_place()};
    Journal journal{open_database(folder.path)};
    Scripted platform;
    Door door = permit;
    int asked = 0; ///< the gate
    Wishes wishes = no_wishes();
    Executor executor;

    explicit Bench(Patience patience = impatient())
        : executor(
              journal,
              [this](const Operation& operation) {
                  ++asked;
                  return door(operation);
              },
              patience) {}

    Id submit(const Request& request = wish(platform::Start{})) {
        return journal.submit(request).operation.id;
    }
    Turn turn(const Id& id) { return executor.turn(platform, id, wishes); }
    Operation told(const Id& id) { return journal.find(id).value(); }
};

} // namespace blockhost::execution::test
