// SPDX-License-Identifier: MIT
// Databases: what is durable, what is refused and with which words.
#include "store/database.hpp"

#include "base/fault.hpp"
#include "store/private_folder.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <array>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace blockhost;
using namespace blockhost::store;

namespace {

constexpr std::array<std::string_view, 2> migrations{
    "CREATE TABLE thing(id INTEGER PRIMARY KEY, name TEXT NOT NULL, bytes BLOB) STRICT",
    "CREATE TABLE part(thing INTEGER NOT NULL REFERENCES thing(id)) STRICT; CREATE INDEX part_thing ON "
    "part(thing)"};
constexpr Schema schema{"the test's database", migrations};

struct Place {
    TemporaryFolder around;
    Folder folder() const { return make_private_folder(std::move(*Folder::open(around.path)), "agent"); }
    std::filesystem::path file(const std::string& name = "agent.db") const {
        return around.path / "agent" / name;
    }
    Database open(Waiting waiting = {std::chrono::milliseconds(100)}, const Schema& of = schema) const {
        return Database::open(folder(), "agent.db", of, std::move(waiting));
    }
};

std::int64_t count(Database& database) {
    return database.integer("SELECT count(*) FROM thing").value();
}

void insert(Database& database, const char* name) {
    database.run("INSERT INTO thing(name) VALUES (?1)", {name});
}

/// What a call is refused with.
std::pair<Trouble, std::string> trouble(const std::function<void()>& call) {
    try {
        call();
    } catch (const StoreError& error) {
        CHECK_FALSE(error.hint().empty());
        return {error.trouble(), error.message()};
    }
    FAIL("nothing was refused");
    return {};
}

/// Does `body` in a process of its own, which then ends at once.
void in_child(const std::function<void()>& body) {
    const pid_t child = fork();
    if (child == 0) {
        body();
        _exit(0);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
}

} // namespace

TEST_CASE("values come back as they were written") {
    Place place;
    Database database = place.open();
    const std::string bytes("a\0\xff", 3);
    CHECK(database.run("INSERT INTO thing VALUES (?1, ?2, ?3)", {7, std::string("é\0x", 4), Blob{bytes}}) ==
          1);
    CHECK(database.last_id() == 7);
    database.run("INSERT INTO thing VALUES (?1, ?2, ?3)", {std::int64_t(8), "", std::optional<int>()});
    Rows rows = database.rows("SELECT id, name, bytes FROM thing ORDER BY id");
    REQUIRE(rows.next());
    CHECK(rows.integer(0) == 7);
    CHECK(rows.text(1) == std::string("é\0x", 4));
    CHECK(rows.blob(2) == bytes);
    REQUIRE(rows.next());
    CHECK(rows.text(1).empty());
    CHECK(rows.is_null(2));
    CHECK_FALSE(rows.maybe_integer(2));
    CHECK_FALSE(rows.maybe_text(2));
    CHECK_FALSE(rows.next());
}

TEST_CASE("a column of another type than is asked for is no value") {
    Place place;
    Database database = place.open();
    insert(database, "one");
    Rows rows = database.rows("SELECT name FROM thing");
    REQUIRE(rows.next());
    CHECK(trouble([&] { rows.integer(0); }).first == Trouble::corrupt);
}

TEST_CASE("the database is this user's alone, durable, and checks references") {
    Place place;
    Database database = place.open();
    insert(database, "one");
    for (const char* name : {"agent.db", "agent.db-wal", "agent.db-shm"}) {
        struct stat made {};
        REQUIRE(stat(place.file(name).c_str(), &made) == 0);
        CHECK((made.st_mode & 07777) == 0600);
    }
    CHECK(database.integer("PRAGMA synchronous") == 2);
    CHECK_THROWS_AS(database.run("INSERT INTO part VALUES (99)"), Error);
}

TEST_CASE("what was committed is there after a death, and what was not is not") {
    Place place;
    in_child([&] {
        Database database = place.open();
        insert(database, "committed");
        auto* open = new Transaction(database); // never ended
        insert(database, "not committed");
        (void)open;
        _exit(0);
    });
    Database database = place.open();
    CHECK(count(database) == 1);
}

TEST_CASE("a transaction that was not committed is rolled back") {
    Place place;
    Database database = place.open();
    {
        Transaction transaction(database);
        insert(database, "one");
        CHECK(database.in_transaction());
        CHECK_THROWS_AS(Transaction(database), Error);
    }
    CHECK(count(database) == 0);
    Transaction transaction(database);
    insert(database, "two");
    transaction.commit();
    CHECK(count(database) == 1);
    CHECK_FALSE(database.in_transaction());
}

TEST_CASE("a commit that fails leaves nothing behind") {
    Place place;
    Database database = place.open();
    fault::arm("fail@1");
    CHECK_THROWS_AS(insert(database, "one"), Error);
    fault::arm("fail@1000");
    CHECK(count(database) == 0);
    {
        Transaction transaction(database);
        insert(database, "two");
        fault::arm("fail@1");
        CHECK_THROWS_AS(transaction.commit(), Error);
        fault::arm("fail@1000");
    }
    CHECK(count(database) == 0);
}

TEST_CASE("a reading transaction sees one state") {
    Place place;
    Database database = place.open(), other = place.open();
    Transaction look(database, Transaction::Kind::read);
    CHECK(count(database) == 0);
    insert(other, "one");
    CHECK(count(database) == 0);
    CHECK(count(other) == 1);
}

TEST_CASE("tables are brought to the newest version, whichever the file has") {
    Place place;
    {
        const Schema first{schema.name, std::span(migrations).first(1)};
        Database database = place.open({}, first);
        insert(database, "kept");
        CHECK(database.integer("PRAGMA user_version") == 1);
    }
    Database database = place.open();
    CHECK(database.integer("PRAGMA user_version") == 2);
    CHECK(count(database) == 1);
    CHECK_NOTHROW(database.run("INSERT INTO part VALUES (1)"));
}

TEST_CASE("a migration that fails changes nothing") {
    Place place;
    { Database database = place.open(); }
    const std::array<std::string_view, 3> broken{migrations[0], migrations[1],
                                                 "CREATE TABLE more(x) STRICT; CREATE TABLE nonsense("};
    CHECK_THROWS_AS(place.open({}, Schema{schema.name, broken}), Error);
    Database database = place.open();
    CHECK(database.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'more'") == 0);
}

TEST_CASE("a database of a later version is refused, and stays as it is") {
    Place place;
    {
        Database database = place.open();
        insert(database, "one");
    }
    const Schema older{schema.name, std::span(migrations).first(1)};
    const auto [what, message] = trouble([&] { place.open({}, older); });
    CHECK(what == Trouble::newer);
    CHECK(message == "the test's database " + place.file().string() +
                         " has version 2, and this program knows versions up to 1");
    Database database = place.open();
    CHECK(count(database) == 1);
}

TEST_CASE("a database of another program is refused") {
    Place place;
    const Schema empty{"nothing", {}};
    {
        Database database = place.open({}, empty);
        database.run("CREATE TABLE theirs(x)");
        database.run("PRAGMA application_id = 5");
    }
    CHECK(trouble([&] { place.open(); }).first == Trouble::foreign);
}

TEST_CASE("nothing is opened where there is no file") {
    Place place;
    CHECK_FALSE(Database::existing(place.folder(), "agent.db", schema));
    CHECK_FALSE(std::filesystem::exists(place.file()));
    { Database database = place.open(); }
    CHECK(Database::existing(place.folder(), "agent.db", schema));
}

TEST_CASE("a damaged file is refused when it is opened, and stays as it is") {
    Place place;
    {
        Database database = place.open();
        for (int i = 0; i < 200; ++i) insert(database, "something of some length to fill pages with");
    }
    const auto size = std::filesystem::file_size(place.file());
    SECTION("in its middle") {
        std::fstream file(place.file(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(4096));
        file << std::string(size - 4096, '\x5a');
    }
    SECTION("in its head") {
        std::fstream file(place.file(), std::ios::in | std::ios::out | std::ios::binary);
        file << "this is no database";
    }
    const auto [what, message] = trouble([&] { place.open(); });
    CHECK(what == Trouble::corrupt);
    CHECK(message == "the test's database " + place.file().string() +
                         " is damaged, or is no database; nothing was changed");
    CHECK(std::filesystem::file_size(place.file()) == size);
}

TEST_CASE("an empty file is a database without tables") {
    Place place;
    place.folder();
    std::ofstream(place.file()).close();
    REQUIRE(chmod(place.file().c_str(), 0600) == 0);
    Database database = place.open();
    CHECK(count(database) == 0);
}

TEST_CASE("a full disk is told as that, and nothing was done") {
    Place place;
    Database database = place.open();
    insert(database, "one");
    database.integer("PRAGMA max_page_count = 6");
    const std::string large(100'000, 'x');
    const auto [what, message] = trouble([&] { insert(database, large.c_str()); });
    CHECK(what == Trouble::full);
    CHECK(message ==
          "there is no room to write the test's database " + place.file().string() + "; nothing was changed");
    CHECK(count(database) == 1);
}

TEST_CASE("a database that may not be written is told as that") {
    Place place;
    Database database = place.open();
    database.run("PRAGMA query_only = ON");
    CHECK(trouble([&] { insert(database, "one"); }).first == Trouble::read_only);
}

TEST_CASE("who holds a locked database is named when the patience is over") {
    Place place;
    Database database = place.open();
    std::array<int, 2> ready{}, done{};
    REQUIRE((pipe(ready.data()) == 0 && pipe(done.data()) == 0));
    const pid_t child = fork();
    if (child == 0) {
        close(done[1]);
        Database theirs = place.open();
        Transaction held(theirs);
        char byte = 0;
        if (write(ready[1], "x", 1) == 1 && read(done[0], &byte, 1) >= 0) _exit(0);
        _exit(1);
    }
    char byte = 0;
    REQUIRE(read(ready[0], &byte, 1) == 1);
    const auto [what, message] = trouble([&] { insert(database, "one"); });
    CHECK(what == Trouble::locked);
    const std::string beginning =
        "the test's database " + place.file().string() + " has been held for 0.1 s by ";
    CHECK(message.starts_with(beginning));
    // Where the kernel shows locks at all (a sandbox may not).
    if (std::ifstream("/proc/locks").peek() != std::ifstream::traits_type::eof())
        CHECK(message.starts_with(beginning + "process " + std::to_string(child) + " ("));
    close(done[1]);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK_NOTHROW(insert(database, "one"));
}

TEST_CASE("a lock that is given back in time is waited for") {
    Place place;
    Database first = place.open();
    Database second = place.open({std::chrono::seconds(60)});
    auto held = std::make_unique<Transaction>(first);
    std::thread waits([&] { insert(second, "one"); });
    held.reset();
    waits.join();
    CHECK(count(first) == 1);
}

TEST_CASE("a wait for a lock can be ended") {
    Place place;
    Database first = place.open();
    Database second =
        place.open({std::chrono::seconds(60), [] { throw Error(Code::interrupted, "enough"); }});
    Transaction held(first);
    try {
        insert(second, "one");
        FAIL("it did not wait");
    } catch (const Error& error) {
        CHECK(error.code() == Code::interrupted);
        CHECK(error.message() == "enough");
    }
}

TEST_CASE("many may make the same database at once") {
    Place place;
    place.folder();
    std::vector<std::thread> all;
    std::atomic<int> good = 0;
    for (int i = 0; i < 8; ++i)
        all.emplace_back([&] {
            Database mine = Database::open(place.folder(), "agent.db", schema, {std::chrono::seconds(60)});
            insert(mine, "one");
            ++good;
        });
    for (std::thread& each : all) each.join();
    CHECK(good == 8);
    Database database = place.open();
    CHECK(count(database) == 8);
}

TEST_CASE("a file that is a link, has two names or is open to others is refused") {
    Place place;
    { Database database = place.open(); }
    SECTION("a link") {
        std::filesystem::rename(place.file(), place.file("other"));
        std::filesystem::create_symlink("other", place.file());
    }
    SECTION("two names") {
        std::filesystem::create_hard_link(place.file(), place.file("other"));
    }
    SECTION("open to others") {
        REQUIRE(chmod(place.file().c_str(), 0640) == 0);
    }
    try {
        place.open();
        FAIL("it was opened");
    } catch (const Error& error) {
        CHECK(error.code() == Code::denied);
        CHECK_FALSE(error.hint().empty());
    }
}

TEST_CASE("a folder that gets another name while its database is opened stays the one that was meant") {
    Place place;
    Folder folder = place.folder();
    std::filesystem::rename(place.around.path / "agent", place.around.path / "moved");
    make_private_folder(std::move(*Folder::open(place.around.path)), "agent");
    Database database = Database::open(std::move(folder), "agent.db", schema);
    insert(database, "one");
    CHECK(std::filesystem::exists(place.around.path / "moved/agent.db-wal"));
    CHECK(std::filesystem::is_empty(place.around.path / "agent"));
}

TEST_CASE("a statement that is not one, or has other parameters, is a mistake of ours") {
    Place place;
    Database database = place.open();
    for (const char* sql : {"", "SELECT 1; SELECT 2", "SELECT ?1", "nonsense"}) try {
            database.rows(sql);
            FAIL(sql);
        } catch (const Error& error) {
            CHECK(error.code() == Code::internal);
        }
    CHECK_THROWS_AS(database.run("SELECT 1"), Error);
}
