// SPDX-License-Identifier: MIT
#include "agent/service/report.hpp"

#include "agent/record.hpp"
#include "base/text/text.hpp"
#include "hub/memory.hpp"
#include "platform/action_json.hpp"

#include <boost/json/array.hpp>

namespace blockhost::agent {

namespace bj = boost::json;
using execution::Operation;

namespace {

constexpr std::size_t longest_told = 1000, most_warnings = 10;

std::string told(std::string_view text) {
    return text::printable(text, longest_told);
}

template<class Value>
bj::value or_null(const std::optional<Value>& value) {
    return value ? bj::value(*value) : bj::value(nullptr);
}

bj::object facts_of(const platform::Host& host) {
    return {{"platform", host.platform},
            {"version", told(host.version)},
            {"kernel", told(host.kernel)},
            {"uptime_s", or_null(host.uptime_s)},
            {"clock", or_null(host.clock)},
            {"memory_mib", or_null(host.memory_mib)},
            {"memory_free_mib", or_null(host.memory_free_mib)},
            {"cpus", or_null(host.cpus)},
            {"load", or_null(host.load)},
            {"certificate_expiry", or_null(host.certificate_expiry)}};
}

bj::object as_json(const platform::Guest& guest) {
    return {{"id", told(guest.id)},
            {"kind", to_string(guest.kind)},
            {"power", to_string(guest.power)},
            {"name", told(guest.name)},
            {"incarnation", told(guest.incarnation)},
            {"digest", told(guest.digest)},
            {"lock", told(guest.lock)},
            {"unreadable", told(guest.unreadable)}};
}

bj::array as_json(const std::vector<Remark>& remarks) {
    bj::array all;
    for (const Remark& each : remarks)
        all.push_back(bj::object{{"guest", told(each.guest)}, {"what", told(each.what)}});
    return all;
}

bj::value desired_of(Engine& engine, const std::optional<Standing>& standing) {
    const Known known = engine.accepted().known();
    if (!known.generation) return nullptr;
    const bool is_looked_at = standing && standing->generation == *known.generation;
    return bj::object{
        {"generation", *known.generation},
        {"digest", known.digest},
        {"converged", is_looked_at ? bj::value(standing->is_converged) : bj::value(nullptr)},
        {"left", is_looked_at ? as_json(standing->left) : bj::array()},
        {"unknown", is_looked_at ? as_json(standing->unknown) : bj::array()},
        {"looked", is_looked_at ? bj::value(format_instant(standing->looked)) : bj::value(nullptr)}};
}

std::string source_of(const Operation& operation) {
    const std::string kind(to_string(operation.source.kind));
    return operation.source.name.empty() ? kind : kind + ": " + told(operation.source.name);
}

bj::object identified(const Operation& operation) {
    return {{"operation", operation.id},
            {"guest", told(operation.target.guest)},
            {"incarnation", told(operation.target.incarnation)},
            {"action", platform::to_json(operation.action)},
            {"source", source_of(operation)},
            {"state", to_string(operation.state)}};
}

bj::array open_operations(Engine& engine) {
    bj::array all;
    for (const Operation& each : engine.journal().open()) {
        bj::object one = identified(each);
        one["detail"] = told(each.detail);
        one["arrived"] = format_instant(each.arrived);
        all.push_back(std::move(one));
    }
    return all;
}

bj::array pending_of(Engine& engine) {
    bj::array all;
    for (const authority::Pending& each : engine.waiting())
        all.push_back(bj::object{{"operation", each.operation},
                                 {"guest", told(each.envelope.target.guest)},
                                 {"requester", told(each.requester)},
                                 {"asked", format_instant(each.asked_at)},
                                 {"not_after", format_instant(each.envelope.not_after)},
                                 {"document", each.document()}});
    return all;
}

bj::object event_of(const Operation& operation) {
    bj::object event{{"kind", "operation-ended"}};
    for (auto& [key, value] : identified(operation)) event[key] = std::move(value);
    event["why"] = told(operation.error ? operation.error->what() : operation.detail);
    bj::array warnings;
    for (const std::string& each : operation.warnings)
        if (warnings.size() < most_warnings) warnings.emplace_back(told(each));
    event["warnings"] = std::move(warnings);
    return event;
}

} // namespace

bj::object snapshot(Engine& engine, const Identity& identity, const std::optional<Standing>& standing,
                    const std::vector<Trouble>& troubles, Instant now) {
    const platform::Host host = engine.platform().host();
    const platform::Guests guests = engine.platform().guests();
    bj::array seen, wrong;
    for (const platform::Guest& each : guests.seen) seen.push_back(as_json(each));
    for (const Trouble& each : troubles)
        wrong.push_back(
            bj::object{{"what", each.what}, {"why", told(each.why)}, {"since", format_instant(each.since)}});
    const authority::AuditHead head = engine.stale() ? authority::AuditHead() : engine.audit_head();
    return {{"version", 1},
            {"host", host.name},
            {"at", format_instant(now)},
            {"agent", bj::object{{"version", identity.version},
                                 {"configuration", identity.configuration},
                                 {"started", format_instant(identity.started)}}},
            {"facts", facts_of(host)},
            {"guests", std::move(seen)},
            {"doubt", told(guests.doubt)},
            {"desired", desired_of(engine, standing)},
            {"operations", open_operations(engine)},
            {"pending", pending_of(engine)},
            {"audit", head.line > 0 ? bj::value(to_text(head)) : bj::value(nullptr)},
            {"troubles", std::move(wrong)}};
}

bool add_ends(store::Database& database, execution::Journal& journal, Instant now) {
    hub::Memory memory(database);
    const auto begin = memory.journal_position();
    if (!begin) {
        memory.note_journal_position(journal.position());
        return false;
    }
    bool any = false;
    for (std::int64_t position = *begin;;) {
        const auto changed = journal.changed_since(position);
        if (changed.empty()) return any;
        store::Transaction all(database);
        hub::Outbox outbox(database);
        for (const Operation& each : changed)
            if (is_end(each.state)) outbox.add(hub::Rank::end, event_of(each), now), any = true;
        position = changed.back().changed;
        memory.note_journal_position(position);
        all.commit();
    }
}

void add_ended(store::Database& database, const Trouble& trouble, Instant now) {
    hub::Outbox(database).add(hub::Rank::detail,
                              {{"kind", "trouble-ended"},
                               {"what", trouble.what},
                               {"why", told(trouble.why)},
                               {"since", format_instant(trouble.since)}},
                              now);
}

} // namespace blockhost::agent
