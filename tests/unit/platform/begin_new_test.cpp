// SPDX-License-Identifier: MIT
// A new guest under an id that the platform hands out.
#include "platform/platform.hpp"
#include "tests/unit/platform/permit_for_tests.hpp"

#include <catch2/catch.hpp>

using namespace blockhost;
using namespace blockhost::platform;

namespace {

/// Hands out 100, 101, …; somebody else takes the first `taken` of them before they are used.
class Raced final : public Platform {
  public:
    explicit Raced(int taken) : taken_(taken) {}
    Host host() override { return {}; }
    std::vector<Lack> preflight() override { return {}; }
    Guests guests() override { return {}; }
    std::optional<Guest> guest(const GuestId&) override { return std::nullopt; }
    Note note(const Target&, const Action&) override { return std::to_string(next_++); }
    void begin_permitted(const Permit&, const Note& note,
                         const std::function<void(const Handle&)>& accepted) override {
        if (taken_-- > 0) throw Error(Code::exists, note + " is taken");
        accepted("made " + note);
    }
    Trace trace(const Target&, const Action&, const Note&) override { return {}; }
    ActionState look(const Handle&) override { return {}; }
    void interrupt(const Handle&) override {}

  private:
    int taken_, next_ = 100;
};

struct Begun {
    std::vector<Note> notes;
    Handle handle;
};

Begun begun(int taken) {
    Raced platform(taken);
    Begun told;
    Permit permit = PermitForTests::make({}, Restore{"backup"});
    begin_new(
        platform, permit, [&](const Note& note) { told.notes.push_back(note); },
        [&](const Handle& handle) { told.handle = handle; });
    return told;
}

} // namespace

TEST_CASE("an id that somebody else took is left to him, and the next one is noted before it is used") {
    CHECK(begun(0).handle == "made 100");
    const Begun third = begun(2);
    CHECK(third.handle == "made 102");
    CHECK(third.notes == std::vector<Note>{"100", "101", "102"});
}

TEST_CASE("a platform on which every id is taken is not asked for ever") {
    CHECK_THROWS_AS(begun(10), Error);
}
