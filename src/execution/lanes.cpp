// SPDX-License-Identifier: MIT
#include "execution/lanes.hpp"

#include <algorithm>

namespace blockhost::execution {

namespace {

/// A lane of its own has a name that no guest's id has.
void name_lane(Ticket& ticket) {
    if (ticket.lane.empty()) ticket.lane = "\n" + ticket.id;
}

} // namespace

Ticket ticket_of(const Operation& operation) {
    const platform::ActionKind kind = kind_of(operation.action);
    const bool moves_disks = kind == platform::ActionKind::backup || kind == platform::ActionKind::restore;
    return {operation.id, operation.target.guest, moves_disks ? Ticket::Size::backup : Ticket::Size::other,
            operation.after};
}

void Lanes::arrive(Ticket ticket) {
    if (knows(ticket.id)) return;
    if (!ticket.after.empty() && aside_.contains(ticket.after)) return arrive_aside(std::move(ticket));
    join(std::move(ticket));
}

void Lanes::arrive_aside(Ticket ticket) {
    if (!knows(ticket.id)) put_aside(std::move(ticket));
}

void Lanes::put_aside(Ticket ticket) {
    name_lane(ticket);
    places_[ticket.id] = ticket.lane;
    const Id id = ticket.id;
    aside_[id] = {std::move(ticket), ++joined_};
}

void Lanes::join(Ticket ticket) {
    name_lane(ticket);
    places_[ticket.id] = ticket.lane;
    Lane& lane = lanes_[ticket.lane];
    lane.queue.push_back({std::move(ticket), ++joined_});
}

std::vector<Id> Lanes::due(Time now) {
    std::vector<Lane*> ready;
    for (auto& [name, lane] : lanes_)
        if (!lane.runs && (!lane.held_until || *lane.held_until <= now)) ready.push_back(&lane);
    std::ranges::sort(ready, {}, [](const Lane* lane) { return lane->queue.front().joined; });
    std::vector<Id> turn;
    for (Lane* lane : ready) {
        const Ticket& first = lane->queue.front().ticket;
        if (used(first.size) >= bound(first.size)) continue;
        ++used(first.size);
        lane->runs = true;
        lane->held_until.reset();
        turn.push_back(first.id);
    }
    return turn;
}

bool Lanes::is_running(const Id& id) const {
    const auto place = places_.find(id);
    if (place == places_.end()) return false;
    const auto lane = lanes_.find(place->second);
    return lane != lanes_.end() && lane->second.runs && lane->second.queue.front().ticket.id == id;
}

Lanes::Lane* Lanes::running_lane(const Id& id) {
    return is_running(id) ? &lanes_.at(places_.at(id)) : nullptr;
}

Ticket Lanes::take_first(Lane& lane) {
    Ticket first = std::move(lane.queue.front().ticket);
    lane.queue.pop_front();
    if (lane.runs) --used(first.size);
    lane.runs = false;
    lane.held_until.reset();
    if (lane.queue.empty()) lanes_.erase(first.lane);
    return first;
}

void Lanes::ended(const Id& id) {
    Lane* lane = running_lane(id);
    if (lane == nullptr) return;
    take_first(*lane);
    places_.erase(id);
    release(id);
}

void Lanes::hold(const Id& id, Time until) {
    Lane* lane = running_lane(id);
    if (lane == nullptr) return;
    --used(lane->queue.front().ticket.size);
    lane->runs = false;
    lane->held_until = until;
}

void Lanes::stand_aside(const Id& id) {
    Lane* lane = running_lane(id);
    if (lane == nullptr) return;
    Ticket ticket = take_first(*lane);
    const std::string name = ticket.lane;
    put_aside(std::move(ticket));
    follow_aside(name, id);
}

void Lanes::follow_aside(const std::string& name, const Id& id) {
    const auto found = lanes_.find(name);
    if (found == lanes_.end()) return;
    std::deque<Queued> stay;
    std::vector<Id> followed{id};
    for (Queued& each : found->second.queue) { // whoever follows comes later
        if (std::ranges::find(followed, each.ticket.after) == followed.end()) {
            stay.push_back(std::move(each));
            continue;
        }
        followed.push_back(each.ticket.id);
        put_aside(std::move(each.ticket));
    }
    found->second.queue = std::move(stay);
    if (found->second.queue.empty()) lanes_.erase(found);
}

void Lanes::come_back(const Id& id) {
    const auto found = aside_.find(id);
    if (found == aside_.end() || aside_.contains(found->second.ticket.after)) return;
    Ticket ticket = std::move(found->second.ticket);
    aside_.erase(found);
    join(std::move(ticket));
}

void Lanes::release(const Id& id) {
    std::vector<std::pair<std::uint64_t, Id>> followers;
    for (const auto& [follower, each] : aside_)
        if (each.ticket.after == id) followers.emplace_back(each.joined, follower);
    std::ranges::sort(followers);
    for (const auto& [joined, follower] : followers) come_back(follower);
}

bool Lanes::withdraw(const Id& id) {
    const auto place = places_.find(id);
    if (place == places_.end()) return true;
    if (running_lane(id) != nullptr) return false;
    if (const auto found = lanes_.find(place->second); aside_.erase(id) == 0 && found != lanes_.end()) {
        auto& queue = found->second.queue;
        if (queue.front().ticket.id == id) {
            take_first(found->second);
        } else {
            std::erase_if(queue, [&](const Queued& each) { return each.ticket.id == id; });
        }
    }
    places_.erase(id);
    release(id);
    return true;
}

std::optional<Lanes::Time> Lanes::next_turn() const {
    std::optional<Time> soonest;
    for (const auto& [name, lane] : lanes_)
        if (lane.held_until && (!soonest || *lane.held_until < *soonest)) soonest = lane.held_until;
    return soonest;
}

} // namespace blockhost::execution
