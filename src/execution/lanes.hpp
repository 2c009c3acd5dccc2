// SPDX-License-Identifier: MIT
#pragma once
/// Which operation's turn it is: one guest's strictly in order of arrival, different guests' at the same time
/// up to a bound. Knows no clock, no thread and no platform: the caller says what time it is.

#include "execution/operation.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace blockhost::execution {

/// How many operations may be under way at the same time. Backups and restores move whole disks, and have a
/// bound of their own: neither holds up the others.
struct Bounds {
    unsigned others = 4, backups = 1; ///< at least 1
};

/// What the lanes know of an operation.
struct Ticket {
    Id id;
    /// Operations of one lane follow each other: a guest's id. Empty: a lane of its own, for a guest that has
    /// no id yet.
    std::string lane;
    enum class Size { other, backup } size = Size::other;
    Id after; ///< of the same lane; may be empty
};
Ticket ticket_of(const Operation& operation);

/// Each id arrives once, and is forgotten when it ended or was withdrawn. Calls for an id that is not known,
/// or whose turn it is not, do nothing: another process may have changed the operation meanwhile.
class Lanes {
  public:
    using Time = std::chrono::milliseconds; ///< of any one clock that only grows

    explicit Lanes(Bounds bounds) : bounds_(bounds) {}

    /// Joins the end of its lane; stands aside when what it follows stands aside.
    void arrive(Ticket ticket);
    /// Stands aside: it waits for something that is no turn, a signature.
    void arrive_aside(Ticket ticket);
    bool knows(const Id& id) const { return places_.contains(id); }

    /// The operations whose turn has come, in order of arrival; from now on they run.
    std::vector<Id> due(Time now);
    /// It ran, and is over. What stood aside because it followed it joins the end of the lane.
    void ended(const Id& id);
    /// It ran, and did not begin: it stays first in its lane, whose turn comes again at `until`.
    void hold(const Id& id, Time until);
    /// It ran, and stands aside now, with all that follow it: it holds up nobody.
    void stand_aside(const Id& id);
    /// It stood aside, and joins the end of its lane; unless what it follows stands aside, too: it joins when
    /// that has ended.
    void come_back(const Id& id);
    /// Goes away unless it runs; what follows it stays, and learns of it at its turn. False when it runs.
    bool withdraw(const Id& id);

    /// When the earliest held lane's turn comes; nothing when none is held.
    std::optional<Time> next_turn() const;
    std::size_t running() const { return others_ + backups_; }
    bool is_running(const Id& id) const;
    bool is_aside(const Id& id) const { return aside_.contains(id); }
    /// Whether nothing runs and nothing has a turn to come; some may stand aside.
    bool is_empty() const { return lanes_.empty(); }

  private:
    struct Queued {
        Ticket ticket;
        std::uint64_t joined = 0; ///< among all lanes
    };
    struct Lane {
        std::deque<Queued> queue; ///< never empty
        bool runs = false;        ///< the first of them
        std::optional<Time> held_until;
    };
    unsigned& used(Ticket::Size size) { return size == Ticket::Size::backup ? backups_ : others_; }
    unsigned bound(Ticket::Size size) const {
        return size == Ticket::Size::backup ? bounds_.backups : bounds_.others;
    }
    /// The lane whose first operation is this one, and runs.
    Lane* running_lane(const Id& id);
    void join(Ticket ticket);
    void put_aside(Ticket ticket);
    /// The first of the lane goes, and with it an empty lane. Ends its turn if it runs.
    Ticket take_first(Lane& lane);
    /// Moves those of the lane `name` that follow `id`, and those that follow them, aside.
    void follow_aside(const std::string& name, const Id& id);
    /// What stands aside because it follows `id` joins its lane.
    void release(const Id& id);

    Bounds bounds_;
    unsigned others_ = 0, backups_ = 0; ///< how many run
    std::uint64_t joined_ = 0;          ///< the last that joined anything
    std::map<std::string, Lane> lanes_;
    std::map<Id, std::string> places_; ///< each known one's lane
    std::map<Id, Queued> aside_;       ///< `joined`: when they stood aside
};

} // namespace blockhost::execution
