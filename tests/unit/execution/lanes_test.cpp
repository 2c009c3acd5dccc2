// SPDX-License-Identifier: MIT
// Whose turn it is.
#include "execution/lanes.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

using namespace blockhost;
using namespace blockhost::execution;
using namespace std::chrono_literals;
using Ids = std::vector<Id>;
using Size = Ticket::Size;

namespace {

Lanes with(std::initializer_list<Ticket> tickets, Bounds bounds = {.others = 4, .backups = 1}) {
    Lanes lanes(bounds);
    for (const Ticket& ticket : tickets) lanes.arrive(ticket);
    return lanes;
}

Ticket one(const Id& id, const std::string& lane, const Id& after = "") {
    return {id, lane, Size::other, after};
}

Ticket backup(const Id& id, const std::string& lane) {
    return {id, lane, Size::backup, ""};
}

} // namespace

TEST_CASE("one guest's operations follow each other in order of arrival") {
    Lanes lanes = with({one("1", "web"), one("2", "web"), one("3", "web")});
    CHECK(lanes.due(0ms) == Ids{"1"});
    CHECK(lanes.due(0ms).empty());
    lanes.ended("2"); // it is not its turn
    CHECK(lanes.due(0ms).empty());
    lanes.ended("1");
    CHECK(lanes.due(0ms) == Ids{"2"});
    lanes.ended("2");
    CHECK(lanes.due(0ms) == Ids{"3"});
    lanes.ended("3");
    CHECK(lanes.is_empty());
    CHECK_FALSE(lanes.knows("3"));
}

TEST_CASE("different guests' operations run at the same time, up to the bound, first come first served") {
    Lanes lanes =
        with({one("1", "c"), one("2", "b"), one("3", "a"), one("4", "d")}, {.others = 2, .backups = 1});
    CHECK(lanes.due(0ms) == Ids{"1", "2"});
    CHECK(lanes.running() == 2);
    lanes.ended("2");
    CHECK(lanes.due(0ms) == Ids{"3"});
    lanes.ended("1");
    lanes.ended("3");
    CHECK(lanes.due(0ms) == Ids{"4"});
}

TEST_CASE("a guest that has no id yet holds up nobody") {
    Lanes lanes = with({one("1", ""), one("2", ""), one("3", "web")});
    CHECK(lanes.due(0ms) == Ids{"1", "2", "3"});
}

TEST_CASE("backups have a bound of their own, and neither holds up the others") {
    Lanes lanes = with({backup("1", "a"), backup("2", "b"), one("3", "c"), one("4", "d"), one("5", "b")},
                       {.others = 1, .backups = 1});
    CHECK(lanes.due(0ms) == Ids{"1", "3"});
    lanes.ended("3");
    CHECK(lanes.due(0ms) == Ids{"4"}); // 5 is behind 2
    lanes.ended("1");
    CHECK(lanes.due(0ms) == Ids{"2"});
}

TEST_CASE("what is held stays first in its lane and gives its place to others") {
    Lanes lanes = with({one("1", "a"), one("2", "a"), one("3", "b")}, {.others = 1, .backups = 1});
    CHECK(lanes.due(0ms) == Ids{"1"});
    lanes.hold("1", 100ms);
    CHECK(lanes.next_turn() == 100ms);
    CHECK(lanes.running() == 0);
    CHECK(lanes.due(50ms) == Ids{"3"});
    lanes.ended("3");
    CHECK(lanes.due(99ms).empty());
    CHECK(lanes.due(100ms) == Ids{"1"});
    CHECK_FALSE(lanes.next_turn());
}

TEST_CASE("what waits for a signature holds up nobody but those that follow it") {
    Lanes lanes = with({one("1", "a"), one("2", "a", "1"), one("3", "a"), one("4", "a", "2")});
    CHECK(lanes.due(0ms) == Ids{"1"});
    lanes.stand_aside("1");
    CHECK(lanes.is_aside("2"));
    CHECK(lanes.is_aside("4"));
    CHECK(lanes.due(0ms) == Ids{"3"});
    lanes.arrive(one("5", "a", "4"));
    CHECK(lanes.is_aside("5"));
    lanes.ended("3");
    CHECK(lanes.is_empty());
    lanes.come_back("1");
    lanes.arrive(one("6", "a"));
    CHECK(lanes.due(0ms) == Ids{"1"});
    lanes.ended("1");
    CHECK(lanes.due(0ms) == Ids{"6"});
    lanes.ended("6");
    for (const char* id : {"2", "4", "5"}) {
        CHECK(lanes.due(0ms) == Ids{id});
        lanes.ended(id);
    }
    CHECK(lanes.is_empty());
}

TEST_CASE("what is approved before what it follows waits for that") {
    Lanes lanes(Bounds{});
    lanes.arrive_aside(one("1", "a"));
    lanes.arrive_aside(one("2", "a", "1"));
    lanes.come_back("2");
    CHECK(lanes.due(0ms).empty());
    lanes.come_back("1");
    CHECK(lanes.due(0ms) == Ids{"1"});
    lanes.ended("1");
    CHECK(lanes.due(0ms) == Ids{"2"});
}

TEST_CASE("those that follow the same one come back in order of arrival") {
    Lanes lanes(Bounds{});
    lanes.arrive_aside(one("1", "a"));
    lanes.arrive(one("9", "a", "1"));
    lanes.arrive(one("5", "a", "1"));
    CHECK(lanes.withdraw("1"));
    CHECK(lanes.due(0ms) == Ids{"9"});
    lanes.ended("9");
    CHECK(lanes.due(0ms) == Ids{"5"});
}

TEST_CASE("what does not run is withdrawn, and what runs is not") {
    Lanes lanes = with({one("1", "a"), one("2", "a"), one("3", "a")});
    CHECK(lanes.due(0ms) == Ids{"1"});
    CHECK_FALSE(lanes.withdraw("1"));
    CHECK(lanes.withdraw("2"));
    CHECK(lanes.withdraw("2"));
    CHECK(lanes.withdraw("nobody"));
    lanes.hold("1", 100ms);
    CHECK(lanes.withdraw("1"));
    CHECK_FALSE(lanes.next_turn());
    CHECK(lanes.due(0ms) == Ids{"3"});
    CHECK_FALSE(lanes.withdraw("3"));
    lanes.ended("3");
    CHECK(lanes.is_empty());
}

TEST_CASE("an id arrives once") {
    Lanes lanes = with({one("1", "a"), one("1", "b")});
    lanes.arrive_aside(one("1", "c"));
    CHECK(lanes.due(0ms) == Ids{"1"});
    lanes.ended("1");
    CHECK(lanes.is_empty());
    CHECK_FALSE(lanes.is_aside("1"));
}

namespace {

/// What lanes promise, kept by other means: a list of all that arrived, in order.
struct Model {
    struct Item {
        Ticket ticket;
        enum class Now { queued, held, running, aside } now = Now::queued;
        Lanes::Time until{0};
    };
    std::vector<Item> items; ///< those that are aside stand anywhere
    Bounds bounds;

    Item* find(const Id& id) {
        const auto found = std::ranges::find(items, id, [](const Item& item) { return item.ticket.id; });
        return found == items.end() ? nullptr : &*found;
    }
    bool is_aside(const Id& id) {
        const Item* item = find(id);
        return item != nullptr && item->now == Item::Now::aside;
    }
    std::size_t running(Size size) const {
        return static_cast<std::size_t>(std::ranges::count_if(items, [&](const Item& item) {
            return item.now == Item::Now::running && item.ticket.size == size;
        }));
    }
    bool is_first(const Item& item) const {
        for (const Item& other : items) {
            if (&other == &item) return true;
            if (other.now != Item::Now::aside && other.ticket.lane == item.ticket.lane) return false;
        }
        return true;
    }
    void to_the_end(Item* item, Item::Now now) {
        Item moved = std::move(*item);
        moved.now = now;
        items.erase(items.begin() + (item - items.data()));
        items.push_back(std::move(moved));
    }
    void release(const Id& id) {
        for (bool again = true; again;) {
            again = false;
            for (Item& item : items)
                if (item.now == Item::Now::aside && item.ticket.after == id) {
                    to_the_end(&item, Item::Now::queued);
                    again = true;
                    break;
                }
        }
    }
    void gone(const Id& id) {
        std::erase_if(items, [&](const Item& item) { return item.ticket.id == id; });
        release(id);
    }
    void aside(const Id& id) {
        to_the_end(find(id), Item::Now::aside);
        for (std::size_t i = 0; i < items.size(); ++i)
            if (items[i].ticket.after == id && items[i].now != Item::Now::aside) {
                aside(Id(items[i].ticket.id));
                i = static_cast<std::size_t>(-1); // the order changed
            }
    }
};

using Now = Model::Item::Now;

/// What is wrong with what `due` gave: something that may not run, or somebody who may left out.
std::string wrong_with(Model& model, const Ids& due, Lanes::Time time) {
    for (const Id& id : due) {
        Model::Item* item = model.find(id);
        if (item == nullptr) return id + " is not known";
        if (!model.is_first(*item)) return id + " is not first";
        if (item->now != Now::queued && (item->now != Now::held || item->until > time))
            return id + " may not run";
        item->now = Now::running;
    }
    if (model.running(Size::other) > model.bounds.others) return "too many run";
    if (model.running(Size::backup) > model.bounds.backups) return "too many backups run";
    for (const Model::Item& item : model.items) {
        const bool may = item.now == Now::queued || (item.now == Now::held && item.until <= time);
        const auto bound = item.ticket.size == Size::backup ? model.bounds.backups : model.bounds.others;
        if (may && model.is_first(item) && model.running(item.ticket.size) != bound)
            return item.ticket.id + " was left out";
    }
    return "";
}

} // namespace

TEST_CASE("ten thousand random histories keep order and bounds, and leave nobody waiting who may run") {
    std::mt19937 random(GENERATE(1u, 2u, 3u, 4u));
    const auto below = [&](unsigned count) {
        return std::uniform_int_distribution<unsigned>(0, count - 1)(random);
    };
    for (int history = 0; history < 2500; ++history) {
        Model model{.items = {}, .bounds = {.others = 1 + below(3), .backups = 1 + below(2)}};
        Lanes lanes(model.bounds);
        int next = 0;
        Lanes::Time time{0};
        for (int step = 0; step < 40; ++step) {
            time += std::chrono::milliseconds(below(3));
            const Id any = std::to_string(below(static_cast<unsigned>(next) + 1));
            Model::Item* item = model.find(any);
            switch (below(7)) {
            case 0:
            case 1: {
                Ticket ticket{std::to_string(next++), std::string(1, static_cast<char>('a' + below(3))),
                              below(4) == 0 ? Size::backup : Size::other, ""};
                if (item != nullptr && below(2) == 0) {
                    ticket.after = any;
                    ticket.lane = item->ticket.lane;
                }
                const bool behind = item != nullptr && ticket.after == any && item->now == Now::aside;
                model.items.push_back({ticket, behind ? Now::aside : Now::queued, {}});
                lanes.arrive(ticket);
                break;
            }
            case 2:
                if (item != nullptr && item->now == Now::running) model.gone(any);
                lanes.ended(any);
                break;
            case 3:
                if (item != nullptr && item->now == Now::running) {
                    item->now = Now::held;
                    item->until = time + 2ms;
                }
                lanes.hold(any, time + 2ms);
                break;
            case 4:
                if (item != nullptr && item->now == Now::running) model.aside(any);
                lanes.stand_aside(any);
                break;
            case 5:
                if (item != nullptr && item->now == Now::aside && !model.is_aside(item->ticket.after))
                    model.to_the_end(item, Now::queued);
                lanes.come_back(any);
                break;
            case 6:
                if (item != nullptr && item->now != Now::running) model.gone(any);
                lanes.withdraw(any);
                break;
            }
            const std::string wrong = wrong_with(model, lanes.due(time), time);
            if (!wrong.empty()) FAIL("history " << history << ", step " << step << ": " << wrong);
        }
        for (const auto& [ticket, now, until] : model.items)
            if (!lanes.knows(ticket.id) || lanes.is_running(ticket.id) != (now == Now::running) ||
                lanes.is_aside(ticket.id) != (now == Now::aside))
                FAIL("history " << history << ": " << ticket.id << " is somewhere else");
    }
}
