// SPDX-License-Identifier: MIT
// Classes: no kind without its rows, and what is unknown is destructive.
#include "authority/classifier.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

using namespace blockhost;
using namespace blockhost::authority;

TEST_CASE("every change has one row for each provenance, and nothing else has one") {
    std::set<std::pair<std::string_view, Provenance>> rows;
    for (const ClassRow& row : class_table()) CHECK(rows.emplace(row.change, row.provenance).second);
    for (const std::string_view change : change_names())
        for (const Provenance provenance : provenances) {
            CAPTURE(change);
            CHECK(rows.contains({change, provenance}));
        }
    CHECK(rows.size() == change_names().size() * provenances.size());
    for (const platform::ActionKind kind : platform::action_kinds())
        CHECK(std::ranges::count(change_names(), to_string(kind)) == 1);
}

TEST_CASE("what can lose the only copy of data is destructive, and nothing else") {
    const std::set<std::string_view> loses{"destroy",       "rollback", "delete-snapshot",
                                           "delete-backup", "unmount",  "rotate-keys"};
    for (const std::string_view change : change_names()) {
        CAPTURE(change);
        CHECK((class_of(change, Provenance::ordinary) == Class::destructive) == loses.contains(change));
    }
}

TEST_CASE("scratch, and what this transaction made, may go without a signature; keys never do") {
    for (const Provenance lowered : {Provenance::scratch, Provenance::made_in_this_transaction}) {
        for (const std::string_view change :
             {"destroy", "rollback", "delete-snapshot", "delete-backup", "unmount"})
            CHECK(class_of(change, lowered) == Class::benign);
        CHECK(class_of("rotate-keys", lowered) == Class::destructive);
    }
}

TEST_CASE("what the table does not know is destructive") {
    for (const Provenance provenance : provenances) {
        CHECK(class_of("explode", provenance) == Class::destructive);
        CHECK(class_of("", provenance) == Class::destructive);
    }
}

TEST_CASE("every change is benign or says what it loses") {
    for (const std::string_view change : change_names()) {
        CAPTURE(change);
        const bool loses = class_of(change, Provenance::ordinary) == Class::destructive;
        CHECK(loss_of(change).empty() == !loses);
        CHECK(loss_of(change) != "nobody knows what it loses");
    }
    CHECK(loss_of("explode") == "nobody knows what it loses");
}
