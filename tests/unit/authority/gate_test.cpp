// SPDX-License-Identifier: MIT
// The gate: what may be done, what waits, what is refused, and that a bad request burns nothing.
#include "authority/gate.hpp"

#include "base/fault.hpp"
#include "base/text/json.hpp"
#include "tests/unit/authority/database.hpp"
#include "tests/unit/authority/keys.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <thread>
#include <type_traits>

using namespace blockhost;
using namespace blockhost::authority;
using namespace std::chrono_literals;

// Permits come from the gate alone. (tests/structure/test_permit.py compiles an attempt.)
static_assert(!std::is_constructible_v<platform::Permit, platform::Target, platform::Action>);
static_assert(!std::is_default_constructible_v<platform::Permit> &&
              !std::is_copy_constructible_v<platform::Permit>);
static_assert(!std::is_constructible_v<RotationPermit, RotateKeys> &&
              !std::is_copy_constructible_v<RotationPermit>);

namespace {

const platform::Target web{"web", "uuid:1"};

/// A host's gate, with a clock that the test turns, and keys of two operators and a recovery.
struct World {
    AgentFolder agent;
    Keys keys;
    store::Database database = agent.database();
    Audit audit = agent.audit();
    Instant clock = *parse_instant("2030-01-01T12:00:00Z");
    Provenance provenance = Provenance::ordinary;
    TrustFiles trust;
    GateSettings settings;
    std::optional<Gate> gate;

    World() {
        trust.allowed_signers = "operator " + keys.make("alice") + "\noperator " + keys.make("bob") +
                                "\nrecovery " + keys.make("rescue") + "\n";
        keys.make("stranger");
        settings.host = "host-a";
        open();
    }
    void open() {
        gate.emplace(GateParts{settings, database, audit, [this] { return trust; },
                               [this](const auto&, const auto&, const auto&) { return provenance; },
                               [this] { return clock; }});
    }
    /// As after a death of the process.
    void open_again() {
        gate.reset();
        database = agent.database();
        audit = agent.audit();
        open();
    }

    Request destroy() const {
        return {.operation = "op-1",
                .source = Source::hub,
                .requester = "job 1",
                .target = web,
                .action = platform::Destroy{},
                .seen = Seen{"uuid:1", "digest-1"},
                .signed_operation = {}};
    }
    Pending waits(const Request& request) {
        Verdict verdict = gate->decide(request);
        if (auto* refused = std::get_if<Error>(&verdict)) FAIL(refused->what());
        REQUIRE(std::holds_alternative<Pending>(verdict));
        return std::get<Pending>(verdict);
    }
    std::string signed_by(const std::vector<std::string>& who, const std::string& bytes) const {
        SignedOperation document{bytes, {}};
        for (const std::string& each : who) document.signatures.push_back(keys.sign(each, bytes));
        return to_text(document);
    }
    /// The request with what waits for it, signed.
    Request approved(Request request, const std::vector<std::string>& who = {"alice"}) {
        request.signed_operation = signed_by(who, waits(request).bytes);
        return request;
    }
    std::int64_t used() { return database.integer("SELECT count(*) FROM nonce").value_or(0); }

    void permits(const Request& request) {
        Verdict verdict = gate->decide(request);
        if (auto* refused = std::get_if<Error>(&verdict)) FAIL(refused->what());
        REQUIRE(std::holds_alternative<platform::Permit>(verdict));
        CHECK(std::get<platform::Permit>(verdict).is_for(request.target, request.action));
    }
    /// The sentence; and nothing was burnt.
    std::string refuses(const Request& request, Code code = Code::denied) {
        const std::int64_t before = used();
        Verdict verdict = gate->decide(request);
        if (!std::holds_alternative<Error>(verdict)) return "nothing was refused";
        CHECK(std::get<Error>(verdict).code() == code);
        CHECK(used() == before);
        return std::get<Error>(verdict).message();
    }
    boost::json::value last_line() {
        const std::string text = *files::read(agent.file("audit.jsonl"));
        const auto begin = text.rfind('\n', text.size() - 2);
        return json::parse(text.substr(begin == text.npos ? 0 : begin + 1), "it");
    }
    std::string last(const char* member) { return std::string(last_line().at(member).as_string()); }
};

Envelope changed(const Pending& pending, const std::function<void(Envelope&)>& how) {
    Envelope envelope = pending.envelope;
    how(envelope);
    return envelope;
}

} // namespace

TEST_CASE("what loses nothing is permitted whoever asks, and on record") {
    World world;
    world.settings.require = RequireSignatures::all;
    world.open();
    for (const Source source :
         {Source::hub, Source::desired_state, Source::timer, Source::local, Source::root_shell}) {
        Request start = world.destroy();
        start.source = source;
        start.action = platform::Start{};
        world.permits(start);
        CHECK(world.last("verdict") == "permitted");
        CHECK(world.last("source") == to_string(source));
        CHECK(world.last("class") == "benign");
        CHECK(world.last("requester") == "job 1");
    }
}

TEST_CASE("what is destructive waits for its signature, and happens once with it") {
    World world;
    const Pending pending = world.waits(world.destroy());
    CHECK(world.last("verdict") == "pending");
    CHECK(pending.envelope.operation == "op-1");
    CHECK(pending.envelope.host == "host-a");
    CHECK(pending.envelope.target == web);
    CHECK(pending.envelope.guest_digest == "digest-1");
    CHECK(pending.envelope.not_after == world.clock + 72h);
    CHECK(parse_signed_operation(pending.document()).envelope == pending.bytes);
    CHECK(world.used() == 0);

    Request approved = world.destroy();
    approved.signed_operation = world.signed_by({"alice"}, pending.bytes);
    world.permits(approved);
    CHECK(world.used() == 1);
    CHECK(world.last("verdict") == "permitted");
    CHECK(world.last_line().at("signers").as_array().at(0).at("principals").as_array().at(0) == "operator");
    CHECK(world.gate->waiting([](const auto&) { return Seen{"uuid:1", "digest-1"}; }).empty());
    CHECK(world.refuses(approved).starts_with("the nonce of the envelope was used before"));
    world.open_again();
    CHECK(world.refuses(approved).starts_with("the nonce of the envelope was used before"));
}

TEST_CASE("who asks again is told the same bytes, until the target changed or the time is over") {
    World world;
    const std::string bytes = world.waits(world.destroy()).bytes;
    CHECK(world.waits(world.destroy()).bytes == bytes);
    world.open_again();
    CHECK(world.waits(world.destroy()).bytes == bytes);
    Request later = world.destroy();
    later.seen->digest = "digest-2";
    const std::string other = world.waits(later).bytes;
    CHECK(other != bytes);
    world.clock += 73h;
    CHECK(world.waits(later).bytes != other);
}

TEST_CASE("the same operation with other parameters does not wait in its place") {
    World world;
    world.waits(world.destroy());
    Request other = world.destroy();
    other.action = platform::DeleteSnapshot{"s"};
    CHECK(world.refuses(other, Code::exists).find("waits as \"destroy\"") != std::string::npos);
}

TEST_CASE("root's own shell is the operator unless all have to sign") {
    World world;
    Request request = world.destroy();
    request.source = Source::root_shell;
    world.permits(request);
    CHECK(world.last("why") == "root's own shell is the operator");
    CHECK(Nonces(world.database).audit_line() == 1);
    world.settings.require = RequireSignatures::all;
    world.open();
    world.waits(request);
}

TEST_CASE("the journal alone lowers what is destructive") {
    World world;
    for (const Provenance provenance : {Provenance::scratch, Provenance::made_in_this_transaction}) {
        world.provenance = provenance;
        world.permits(world.destroy());
        CHECK(world.last("provenance") == to_string(provenance));
    }
}

TEST_CASE("each bad envelope is refused with its own sentence, and burns nothing") {
    World world;
    const Request asked = world.destroy();
    const Pending pending = world.waits(asked);
    std::set<std::string> sentences;
    std::size_t tried = 0;
    const auto refused = [&](const Request& request, Code code = Code::denied) {
        const std::string sentence = world.refuses(request, code);
        CAPTURE(sentence);
        CHECK(sentence != "nothing was refused");
        CHECK(sentences.insert(sentence).second);
        ++tried;
    };
    const auto with = [&](const std::string& document) {
        Request request = asked;
        request.signed_operation = document;
        return request;
    };
    const auto signed_with = [&](const std::function<void(Envelope&)>& how) {
        return with(world.signed_by({"alice"}, to_text(changed(pending, how))));
    };
    const std::string good = world.signed_by({"alice"}, pending.bytes);

    refused(with(good.substr(0, good.size() / 2)), Code::invalid);                // truncated
    refused(with(std::string(largest_signed_operation + 1, ' ')), Code::invalid); // oversized
    refused(with(to_text(SignedOperation{pending.bytes, {"nonsense"}})), Code::invalid);
    refused(with(to_text(SignedOperation{pending.bytes, {}}))); // nobody signed
    SignedOperation encoded = parse_signed_operation(good);     // the same JSON, other bytes
    encoded.envelope += " ";
    refused(with(to_text(encoded)));
    refused(with(to_text(SignedOperation{pending.bytes, {world.keys.sign("alice", pending.bytes, "file")}})));
    refused(with(world.signed_by({"stranger"}, pending.bytes)));
    refused(with(world.signed_by({"rescue"}, pending.bytes))); // another role
    world.trust.revoked = world.keys.line("alice") + "\n";
    refused(with(good));
    world.trust.revoked.clear();
    refused(signed_with([](Envelope& each) { each.host = "host-b"; }));
    refused(signed_with([](Envelope& each) { each.target.guest = "mail"; }));
    refused(signed_with([](Envelope& each) { each.target.incarnation = "uuid:2"; }));
    refused(signed_with([](Envelope& each) { each.operation = "op-2"; }));
    refused(signed_with([](Envelope& each) { each.change = platform::Action(platform::RollBack{"s"}); }));
    refused(with(world.signed_by({"alice", "alice"}, pending.bytes))); // one key twice
    world.settings.roles.two_signers = {"destroy"};
    world.open();
    refused(with(good)); // one of two
    world.settings.roles.two_signers.clear();
    world.open();
    Request another = with(good); // a later namesake
    another.seen = Seen{"uuid:2", "digest-1"};
    refused(another, Code::wrong_state);
    another.seen = Seen{"uuid:1", "digest-2"};
    refused(another, Code::wrong_state);
    another.seen.reset();
    refused(another, Code::wrong_state);
    const Instant then = world.clock;
    world.clock = then - 1h;
    refused(with(good), Code::clock); // the clock an hour back
    world.clock = then - 90s;
    refused(with(good)); // not yet valid
    world.clock = then + 73h;
    refused(with(good)); // its time is over
    world.clock = then;
    CHECK(sentences.size() == tried);
    CHECK(world.used() == 0);
    world.permits(with(good)); // after all of these
    refused(with(good));       // a second time
}

TEST_CASE("an envelope whose time was over does not count again when the clock is set back") {
    World world;
    const Request signed_one = world.approved(world.destroy());
    world.clock += 100h;
    SECTION("after something benign was permitted meanwhile") {
        Request start = world.destroy();
        start.operation = "op-2";
        start.action = platform::Start{};
        world.permits(start);
    }
    SECTION("after root's shell did something meanwhile") {
        Request rollback = world.destroy();
        rollback.operation = "op-2";
        rollback.source = Source::root_shell;
        rollback.action = platform::RollBack{"s"};
        world.permits(rollback);
    }
    SECTION("after somebody looked at what waits") {
        CHECK(world.gate->waiting([](const auto&) { return Seen{"uuid:1", "digest-1"}; }).empty());
    }
    world.clock -= 50h;
    CHECK(world.refuses(signed_one, Code::clock).starts_with("the clock says "));
}

TEST_CASE("a parameter that is one byte off is another change") {
    World world;
    Request request = world.destroy();
    request.action = platform::DeleteBackup{"main:backup/web/1"};
    const Pending pending = world.waits(request);
    request.signed_operation = world.signed_by({"alice"}, pending.bytes);
    Request other = request;
    other.action = platform::DeleteBackup{"main:backup/web/2"};
    CHECK(world.refuses(other) ==
          "the envelope is for \"delete-backup main:backup/web/1\", and the operation is "
          "\"delete-backup main:backup/web/2\"");
    world.permits(request);
}

TEST_CASE("two different signers approve what wants two") {
    World world;
    world.settings.roles.two_signers = {"destroy"};
    world.open();
    world.permits(world.approved(world.destroy(), {"alice", "bob"}));
    CHECK(world.last_line().at("signers").as_array().size() == 2);
}

TEST_CASE("checks come in their order: what is wrong twice is told of by the first") {
    World world;
    const Pending pending = world.waits(world.destroy());
    Request request = world.destroy();
    // Everything is wrong: nobody's signature, another host, other parameters, another time.
    const std::string bytes = to_text(changed(pending, [&](Envelope& each) {
        each.host = "host-b";
        each.operation = "op-2";
        each.not_after = world.clock - 1s;
    }));
    const auto sentence = [&](const std::vector<std::string>& who, const std::string& of) {
        request.signed_operation = world.signed_by(who, of);
        return world.refuses(request);
    };
    CHECK(sentence({"stranger"}, bytes).find("none of an allowed signer") != std::string::npos);
    CHECK(sentence({"rescue"}, bytes).find("may not sign destroy") != std::string::npos);
    CHECK(sentence({"alice"}, bytes).find("is for host host-b") != std::string::npos);
    const auto here = [&](Envelope& each) {
        each.operation = "op-2";
        each.not_after = world.clock - 1s;
    };
    CHECK(sentence({"alice"}, to_text(changed(pending, here))).find("for operation op-2") !=
          std::string::npos);
    const auto late = [&](Envelope& each) { each.not_after = world.clock - 1s; };
    CHECK(sentence({"alice"}, to_text(changed(pending, late))).find("time ended") != std::string::npos);
}

TEST_CASE("an operation is approved once, whatever nonce the second envelope has") {
    World world;
    world.permits(world.approved(world.destroy()));
    Request again = world.destroy();
    again.signed_operation = world.signed_by({"alice"}, world.waits(again).bytes);
    CHECK(world.refuses(again) == "operation op-1 was approved before: it is carried out once at most");
}

TEST_CASE("a nonce that was used is used also after a crash, and for every other operation") {
    World world;
    const Request first = world.approved(world.destroy());
    const Pending pending = world.waits(world.destroy());
    const std::string of_another = world.signed_by(
        {"alice"}, to_text(changed(pending, [](Envelope& each) { each.operation = "op-2"; })));
    world.permits(first);
    for (int again = 0; again < 2; ++again) {
        CHECK(world.refuses(first).find("nonce") != std::string::npos);
        Request other = world.destroy();
        other.operation = "op-2";
        other.signed_operation = of_another;
        CHECK(world.refuses(other).find("nonce") != std::string::npos);
        world.open_again();
    }
    CHECK(world.used() == 1);
}

TEST_CASE("an older database that was put back takes no signature") {
    World world;
    const Request first = world.approved(world.destroy());
    std::filesystem::copy(world.agent.file("agent.db"), world.agent.around.path / "old");
    std::filesystem::copy(world.agent.file("agent.db-wal"), world.agent.around.path / "old-wal");
    world.permits(first);
    world.gate.reset();
    { const store::Database closed = std::move(world.database); }
    for (const char* name : {"agent.db", "agent.db-wal"}) std::filesystem::remove(world.agent.file(name));
    SECTION("an earlier copy") {
        std::filesystem::copy(world.agent.around.path / "old", world.agent.file("agent.db"));
        std::filesystem::copy(world.agent.around.path / "old-wal", world.agent.file("agent.db-wal"));
    }
    SECTION("none at all") {}
    world.database = world.agent.database();
    world.open();
    CHECK(world.used() == 0);
    CHECK(world.refuses(first).find("is an older copy") != std::string::npos);
    // That refusal is on record, and changes nothing.
    CHECK(world.refuses(first).find("is an older copy") != std::string::npos);
    // What loses nothing goes on.
    Request start = world.destroy();
    start.action = platform::Start{};
    world.permits(start);
    // An admin goes on; what was signed before stays void.
    world.gate->start_over("root");
    CHECK(world.last("event") == "started over");
    CHECK(world.refuses(first) == "the envelope was made before the used nonces were started over");
    Request fresh = world.destroy();
    fresh.operation = "op-9";
    world.permits(world.approved(fresh));
}

TEST_CASE("an older database that was put back renews nothing that has ended") {
    World world;
    const Request first = world.approved(world.destroy());
    world.permits(first);
    CHECK(std::holds_alternative<platform::Permit>(world.gate->renew(first)));
    std::filesystem::copy(world.agent.file("agent.db"), world.agent.around.path / "old");
    std::filesystem::copy(world.agent.file("agent.db-wal"), world.agent.around.path / "old-wal");
    world.gate->ended("op-1", "done", "");
    world.gate.reset();
    { const store::Database closed = std::move(world.database); }
    for (const char* name : {"agent.db", "agent.db-wal"}) std::filesystem::remove(world.agent.file(name));
    std::filesystem::copy(world.agent.around.path / "old", world.agent.file("agent.db"));
    std::filesystem::copy(world.agent.around.path / "old-wal", world.agent.file("agent.db-wal"));
    world.database = world.agent.database();
    world.open();
    const auto renewed = world.gate->renew(first);
    REQUIRE(std::holds_alternative<Error>(renewed));
    CHECK(std::get<Error>(renewed).message().find("is an older copy") != std::string::npos);
}

TEST_CASE("a record and a database that were both put back are known by what a hub was told") {
    World world;
    const Request first = world.approved(world.destroy());
    world.permits(first);
    const std::vector<std::string> kept{"agent.db", "agent.db-wal", "audit.jsonl"};
    const auto copy_to = [&](const std::filesystem::path& to, const std::filesystem::path& from) {
        std::filesystem::copy(from, to, std::filesystem::copy_options::overwrite_existing);
    };
    for (const std::string& name : kept) copy_to(world.agent.around.path / name, world.agent.file(name));
    world.settings.known_elsewhere = world.gate->ended("op-1", "done", "");
    world.open();
    Request second = world.destroy();
    second.operation = "op-2";
    world.permits(world.approved(second)); // the newest state goes on

    world.gate.reset();
    { const store::Database closed = std::move(world.database); }
    for (const std::string& name : kept) copy_to(world.agent.file(name), world.agent.around.path / name);
    world.open_again();
    const auto renewed = world.gate->renew(first);
    REQUIRE(std::holds_alternative<Error>(renewed));
    CHECK(std::get<Error>(renewed).message() ==
          fmt::format("the audit record lacks line {} as it is known elsewhere: it is an older copy",
                      world.settings.known_elsewhere->line));
    // It grows beyond that line, which is another one then.
    for (int i = 0; i < 3; ++i) world.gate->ended("op-9", "failed", "");
    world.open();
    second.operation = "op-3";
    CHECK(world.refuses(world.approved(second)).starts_with("the audit record lacks line"));
    // An admin goes on with what there is.
    world.gate->start_over("root");
    second.operation = "op-4";
    world.permits(world.approved(second));
    world.open();
    second.operation = "op-5";
    world.permits(world.approved(second));
}

TEST_CASE("by an older database nobody's shell is the operator, and nothing is scratch") {
    World world;
    world.waits(world.destroy());
    std::filesystem::remove(world.agent.file("agent.db"));
    std::filesystem::remove(world.agent.file("agent.db-wal"));
    world.open_again();
    Request request = world.destroy();
    request.operation = "op-2";
    request.source = Source::root_shell;
    CHECK(world.refuses(request).find("is an older copy") != std::string::npos);
    request.source = Source::hub;
    world.provenance = Provenance::scratch;
    world.waits(request);
    world.gate->start_over("root");
    request.operation = "op-3";
    world.permits(request);
}

TEST_CASE("a record that was cut takes no signature") {
    World world;
    world.permits(world.approved(world.destroy()));
    std::filesystem::resize_file(world.agent.file("audit.jsonl"), 0);
    world.open_again();
    Request fresh = world.destroy();
    fresh.operation = "op-2";
    const Request approved = world.approved(fresh);
    CHECK(world.refuses(approved).starts_with("the audit record was cut behind line 0"));
    // It has grown beyond that line meanwhile.
    world.open_again();
    CHECK(world.refuses(approved).starts_with("the audit record was cut behind line 0"));
    world.gate->start_over("root");
    fresh.operation = "op-3";
    world.permits(world.approved(fresh));
}

TEST_CASE("what dies between the approval and its record is permitted again, and only that") {
    World world;
    const Request request = world.approved(world.destroy());
    world.permits(request);
    world.open_again();
    Verdict again = world.gate->renew(world.destroy());
    REQUIRE(std::holds_alternative<platform::Permit>(again));
    std::set<std::string> sentences;
    const auto refused = [&](const Request& each, const Instant at) {
        const Instant then = std::exchange(world.clock, at);
        Verdict verdict = world.gate->renew(each);
        world.clock = then;
        REQUIRE(std::holds_alternative<Error>(verdict));
        sentences.insert(std::get<Error>(verdict).message());
    };
    Request other = world.destroy();
    other.operation = "op-2";
    refused(other, world.clock);
    other = world.destroy();
    other.action = platform::RollBack{"s"};
    refused(other, world.clock);
    other = world.destroy();
    other.target.incarnation = "uuid:2";
    refused(other, world.clock);
    other = world.destroy();
    other.seen->incarnation = "uuid:2";
    refused(other, world.clock);
    refused(world.destroy(), world.clock + 73h);
    refused(world.destroy(), world.clock - 1h);
    world.gate->ended("op-1", "done", "");
    CHECK(world.last("event") == "end");
    refused(world.destroy(), world.clock);
    CHECK(sentences.size() == 7);
}

TEST_CASE("a decision that cannot be put on record permits nothing") {
    World world;
    Request start = world.destroy();
    start.action = platform::Start{};
    fault::arm("fail@1");
    const Verdict verdict = world.gate->decide(start);
    fault::arm("fail@1000");
    CHECK(std::holds_alternative<Error>(verdict));
    CHECK(world.last("verdict") == "refused");
    world.permits(start);
}

TEST_CASE("a database that another process holds approves nothing, and burns nothing") {
    World world;
    const Request request = world.approved(world.destroy());
    {
        store::Database other = world.agent.database();
        const store::Transaction held(other);
        CHECK(world.refuses(request, Code::busy).find("has been held for 0.1 s by") != std::string::npos);
        CHECK(world.last("verdict") == "refused");
    }
    world.permits(request);
}

TEST_CASE("a full disk approves nothing, and burns nothing") {
    World world;
    Request request = world.destroy();
    request.action = platform::DeleteBackup{std::string(20'000, 'b')};
    const std::int64_t pages = world.database.integer("PRAGMA page_count").value();
    world.database.integer("PRAGMA max_page_count = " + std::to_string(pages));
    CHECK(world.refuses(request, Code::io).starts_with("there is no room to write"));
    CHECK(world.gate->waiting([](const auto&) { return std::optional<Seen>(); }).empty());
    world.database.integer("PRAGMA max_page_count = 10000");
    world.permits(world.approved(request));
}

TEST_CASE(
    "a death at every point of an approval never lets its nonce pass twice, and never loses it unused") {
    for (int point = 1;; ++point) {
        World world;
        const Request request = world.approved(world.destroy());
        fault::arm("fail@" + std::to_string(point));
        const Verdict verdict = world.gate->decide(request);
        fault::arm("fail@100000");
        if (std::holds_alternative<platform::Permit>(verdict)) {
            CHECK(point > 3);
            return;
        }
        world.open_again();
        if (world.used() == 0)
            world.permits(request);
        else {
            CHECK(world.refuses(request).starts_with("the nonce of the envelope was used before"));
            CHECK(std::holds_alternative<platform::Permit>(world.gate->renew(world.destroy())));
        }
    }
}

TEST_CASE("what waits ends when its guest is another one or its time is over, and not when nobody can look") {
    World world;
    world.waits(world.destroy());
    const auto waiting = [&](const std::function<std::optional<Seen>(const platform::GuestId&)>& look) {
        return world.gate->waiting(look).size();
    };
    CHECK(waiting([](const auto&) { return Seen{"uuid:1", "digest-1"}; }) == 1);
    CHECK(waiting([](const auto&) -> std::optional<Seen> { throw Error(Code::no_answer, "silence"); }) == 1);
    SECTION("another incarnation") {
        CHECK(waiting([](const auto&) { return Seen{"uuid:2", "digest-1"}; }) == 0);
    }
    SECTION("another configuration") {
        CHECK(waiting([](const auto&) { return Seen{"uuid:1", "digest-2"}; }) == 0);
    }
    SECTION("no guest") {
        CHECK(waiting([](const auto&) { return std::optional<Seen>(); }) == 0);
    }
    SECTION("its time") {
        world.clock += 73h;
        CHECK(waiting([](const auto&) { return Seen{"uuid:1", "digest-1"}; }) == 0);
    }
    CHECK(world.last("event") == "waits no longer");
}

TEST_CASE("an operator rejects what waits") {
    World world;
    CHECK_FALSE(world.gate->reject("op-1", "alice"));
    world.waits(world.destroy());
    CHECK(world.gate->reject("op-1", "alice"));
    CHECK(world.last("event") == "rejected");
    CHECK_FALSE(world.gate->reject("op-1", "alice"));
}

TEST_CASE("what could never be approved does not wait") {
    World world;
    Request request = world.destroy();
    request.seen = Seen{"uuid:2", ""};
    CHECK(world.refuses(request, Code::wrong_state).find("is another one now") != std::string::npos);
    request.seen.reset();
    CHECK(world.refuses(request, Code::wrong_state) == "there is no guest web now");
    request = world.destroy();
    request.target.incarnation.clear();
    request.seen->incarnation.clear();
    CHECK(world.refuses(request).starts_with("nothing tells guest web from a later one"));
    request = world.destroy();
    request.operation = "not an id";
    CHECK(world.refuses(request, Code::invalid).find("\"operation\"") != std::string::npos);
}

TEST_CASE("more than so many do not wait") {
    World world;
    Request request = world.destroy();
    for (int n = 0; n < most_pending; ++n) {
        request.operation = "op-" + std::to_string(n);
        world.waits(request);
    }
    request.operation = "one-more";
    CHECK(world.refuses(request, Code::no_room) == "256 operations wait for a signature already");
}

TEST_CASE("keys are rotated by an operator or by recovery, and by nobody without a signature") {
    World world;
    const RotateKeys keys{std::string(64, 'a'), ""};
    RotationRequest request{"rotate-1", Source::root_shell, "uid 0", keys, {}};
    world.settings.require = RequireSignatures::all;
    world.open();
    RotationVerdict first = world.gate->decide(request);
    REQUIRE(std::holds_alternative<Pending>(first));
    const std::string bytes = std::get<Pending>(first).bytes;
    for (const char* who : {"rescue", "alice"}) {
        request.operation = std::string("rotate-") + who;
        RotationVerdict waits =
            world.gate->decide(RotationRequest{request.operation, request.source, "", keys, {}});
        request.signed_operation = world.signed_by({who}, std::get<Pending>(waits).bytes);
        RotationVerdict verdict = world.gate->decide(request);
        REQUIRE(std::holds_alternative<RotationPermit>(verdict));
        CHECK(std::get<RotationPermit>(verdict).keys().allowed_signers_sha256 == keys.allowed_signers_sha256);
    }
    request.operation = "rotate-1";
    request.signed_operation = world.signed_by({"alice"}, bytes);
    request.keys.allowed_signers_sha256 = std::string(64, 'b');
    CHECK(std::holds_alternative<Error>(world.gate->decide(request)));
}

TEST_CASE("what is on record is counted, and its chain holds") {
    World world;
    world.permits(world.approved(world.destroy()));
    CHECK(world.gate->audit_head().count == 2);
    CHECK(world.audit.head().line == 2);
}

TEST_CASE(
    "what waited before the used nonces were started over waits no longer, and is asked for anew at once") {
    World world;
    world.waits(world.destroy());
    world.gate->start_over("root");
    const auto look = [](const platform::GuestId&) { return std::optional(Seen{"uuid:1", "digest-1"}); };
    SECTION("asked for again under its id") {
        world.permits(world.approved(world.destroy()));
    }
    SECTION("looked at") {
        CHECK(world.gate->waiting(look).empty());
        CHECK(world.last("why") == "the used nonces were started over since it was asked for");
        world.permits(world.approved(world.destroy()));
    }
}
