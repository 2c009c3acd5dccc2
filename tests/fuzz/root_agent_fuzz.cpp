// SPDX-License-Identifier: MIT
/// Both ends of the talk with the root agent, by the input's first character: r a reply's text, f bytes as
/// they come from its socket, t limits that a caller wants set.

#include "base/root_agent.hpp"

#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "base/time.hpp"
#include "hypervisor/tuning_json.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/parrot.hpp"

using namespace blockhost;

namespace {

/// What a person is shown of an answer is bounded and printable.
void check_message(const Error& error) {
    fuzz::check(error.message().size() < 2100 && error.hint().size() < 2100, "a message has bounds");
    fuzz::check(text::printable(error.message(), 4096) == error.message(), "a message is printable");
}

void reply(std::string_view text) {
    try {
        const auto object = checked_reply(std::string(text), "vm-step");
        fuzz::check(object.at("ok").as_bool(), "a reply that is taken says ok");
    } catch (const Error& error) {
        check_message(error);
    }
}

void frame(std::string_view bytes) {
    static auto& agent =
        *new fuzz::Parrot(fuzz::Parrot::Manner::hears_a_request_first); // its thread ends with the process
    agent.set(bytes);
    constexpr auto patience = std::chrono::seconds(20);
    const auto end = Deadline::in(patience);
    try {
        (void)call_root_agent(agent.path(), "vm-step", {{"name", "web"}}, patience);
    } catch (const Error& error) {
        check_message(error);
    }
    fuzz::check(!end.passed(), "whoever hung up is not waited for");
}

void limits(std::string_view text) {
    fuzz::answered([&] {
        const auto value = json::parse(text, "stdin");
        if (!value.is_object()) return;
        const Tuning tuning = tuning_from(value.get_object());
        fuzz::check(tuning_from(to_json(tuning)) == tuning, "limits travel unchanged");
    });
    (void)subsystem_named(text);
}

void root_agent(std::string_view input) {
    switch (fuzz::take_selector(input)) {
    case 'r':
        return reply(input);
    case 'f':
        return frame(input);
    case 't':
        return limits(input);
    default:
        return;
    }
}

} // namespace

FUZZ_TARGET(root_agent)
