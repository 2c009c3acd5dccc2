// SPDX-License-Identifier: MIT
/// Journal entries and the history of what was rolled back, which the blockhost user can write too. The first
/// part is an entry of "web", the second the history.

#include "tests/fuzz/fuzz.hpp"
#include "vm/journal.hpp"

#include <algorithm>

using namespace blockhost;

namespace {

constexpr const char* probe = "{\"start\":\"probe-step\",\"at\":\"2030-01-01T00:00:00+00:00\"}\n";

bool is_same(const EntryView& a, const EntryView& b) {
    return a.operation == b.operation && a.verb == b.verb && a.pid == b.pid && a.since == b.since &&
           a.parameters == b.parameters && a.notes == b.notes && a.started == b.started && a.done == b.done &&
           a.last_start == b.last_start;
}

void take_over(const Journal& journal, const VmName& name, const std::optional<EntryView>& view,
               bool can_grow) {
    JournalEntry entry =
        journal.take(name, Journal::Manner::wait, Deadline::in(std::chrono::seconds(5)), Interruption());
    fuzz::check(entry.left().has_value() == view.has_value(),
                "who takes an entry sees what a look at it shows");
    fuzz::check(!view || is_same(*entry.left(), *view), "who takes an entry sees what a look at it shows");
    (void)entry.asked_to_give_up();
    if (view && can_grow) {
        entry.step_started("fuzz-step");
        const auto grown = journal.peek(name);
        fuzz::check(grown && grown->in_flight() == "fuzz-step", "a step that is noted can be read");
        entry.step_done("fuzz-step");
        fuzz::check(journal.peek(name)->in_flight().empty(), "a step that is done is not in flight");
    }
    if (view) entry.end();
    if (view && can_grow) fuzz::check(!journal.peek(name), "an entry that has ended says nothing");
}

void history(const Journal& journal) {
    (void)journal.was_rolled_back(*OperationId::try_parse("0123456789abcdef"));
    (void)journal.given_back_at(*Ipv4::try_parse("192.168.122.200"));
}

void journal_files(std::string_view input) {
    static const fuzz::MemoryFolder folder;
    static const Journal journal(folder.path());
    static const VmName web("web");
    const auto parts = fuzz::parts_of(input);
    const std::string& text = parts[0];

    folder.set("web.journal", text.substr(0, text.rfind('\n') + 1) + probe);
    const auto probed = journal.peek(web);
    const bool can_grow = probed && !probed->started.empty() && probed->started.back() == "probe-step";

    folder.set("web.journal", text);
    const auto view = journal.peek(web);
    if (view) {
        fuzz::check(view->name == web, "an entry is of the VM that its file is named after");
        (void)view->ip(), (void)view->ipv6(), (void)view->in_flight(), (void)view->seen();
        (void)journal.claims_of_others(VmName("other"));
    }
    fuzz::answered([&] { take_over(journal, web, view, can_grow); });
    fuzz::check(journal.names().empty() == !journal.peek(web),
                "an entry without meaning is gone when it was let go");
    if (parts.size() > 1) folder.set("history", parts[1]), history(journal);
}

} // namespace

FUZZ_TARGET(journal_files)
