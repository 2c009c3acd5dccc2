// SPDX-License-Identifier: MIT
#include "agent/carry_out.hpp"

#include "base/patience.hpp"

#include <algorithm>
#include <map>

namespace blockhost::agent {

using execution::Id;
using execution::Operation;
using execution::State;

namespace {

/// Tells each change of some operations once, however it was heard of.
class Teller {
  public:
    Teller(execution::Journal& journal, const std::vector<Id>& ids, const execution::Runner::Told& told)
        : journal_(journal), told_(told) {
        for (const Id& id : ids) seen_[id] = journal_.find(id).value().changed;
    }
    void hear(const Operation& operation) {
        const auto seen = seen_.find(operation.id);
        if (seen == seen_.end() || operation.changed <= seen->second) return;
        seen->second = operation.changed;
        if (told_) told_(operation);
    }
    std::vector<Operation> look(const std::vector<Id>& ids) {
        std::vector<Operation> all;
        for (const Id& id : ids) {
            all.push_back(journal_.find(id).value());
            hear(all.back());
        }
        return all;
    }

  private:
    execution::Journal& journal_;
    const execution::Runner::Told& told_;
    std::map<Id, std::int64_t> seen_;
};

bool is_settled(const Operation& operation) {
    return is_end(operation.state) || operation.state == State::waiting;
}

} // namespace

std::vector<Operation> carry_out(Engine& engine, const std::vector<Id>& ids,
                                 const std::function<bool()>& stop, const execution::Runner::Told& told) {
    constexpr std::chrono::milliseconds between(200);
    Teller teller(engine.journal(), ids, told);
    while (true) {
        try {
            engine.work(stop, [&](const Operation& operation) { teller.hear(operation); });
            break;
        } catch (const Error& error) {
            if (error.code() != Code::busy) throw;
        }
        if (stop() || std::ranges::all_of(teller.look(ids), is_settled)) break;
        pause_for(between);
    }
    if (stop())
        for (const Operation& operation : teller.look(ids))
            if (operation.state == State::queued)
                engine.journal().cancel(operation.id, "who asked for it was stopped before it was begun");
    return teller.look(ids);
}

} // namespace blockhost::agent
