// SPDX-License-Identifier: MIT
// One host's side of the protocol as a program: requests and answers are lines of JSON. What a real host does
// with what it gets is here a list, and may be told to refuse or to fail.
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "base/text/strict_json.hpp"
#include "hub/courier.hpp"
#include "hub/open.hpp"
#include "store/private_folder.hpp"

#include <cstdio>
#include <iostream>

using namespace blockhost;
using namespace blockhost::hub;
namespace bj = boost::json;

namespace {

/// Counts what is asked for.
class Counting : public Transport {
  public:
    explicit Counting(std::unique_ptr<Transport> real) : real_(std::move(real)) {}
    std::string name() const override { return real_->name(); }
    Answer exchange(const Outgoing& report) override { return real_->exchange(report); }
    std::string desired() override { return ++desired_asked, real_->desired(); }
    std::vector<std::string> signed_operations() override {
        return ++signed_asked, real_->signed_operations();
    }
    bool has_news() override { return real_->has_news(); }

    int desired_asked = 0, signed_asked = 0;

  private:
    std::unique_ptr<Transport> real_;
};

/// A host that follows what comes.
class ListingHost : public Host {
  public:
    explicit ListingHost(std::string name) : name_(std::move(name)) {}
    std::optional<std::int64_t> followed() override { return generation; }
    std::optional<std::int64_t> accepted() override { return generation; }
    Verdict take_desired(const std::string& text, std::int64_t announced) override {
        fail();
        const bj::value document = json::parse(text, "it");
        const auto says = json::integer_in(document, "generation");
        if (json::string_or(document, "host", "") != name_) return refusal("it is another host's");
        if (json::is_true(document, "refuse")) return refusal("it makes no sense");
        if (says != announced) return refusal("it has another generation than was announced");
        generation = announced;
        return {};
    }
    Verdict take_signed(const std::string& text) override {
        fail();
        const bj::value document = json::parse(text, "it");
        const std::string envelope = json::string_or(document, "envelope", "");
        if (envelope == "bad") return {envelope, Error(Code::denied, "nobody signed it")};
        taken.emplace_back(envelope);
        return {envelope, {}};
    }

    std::optional<std::int64_t> generation;
    bj::array taken;
    std::string failure;

  private:
    static Verdict refusal(const char* why) { return {"", Error(Code::invalid, why)}; }
    void fail() const {
        if (!failure.empty()) throw Error(Code::config, failure);
    }
    std::string name_;
};

store::Database open_database(const std::string& folder) {
    static const std::string_view all[] = {tables};
    static const store::Schema schema{"the database", all};
    return store::Database::open(
        store::make_private_folder(std::move(*Folder::open(std::filesystem::path(folder))), "agent"),
        "agent.db", schema);
}

struct Whole {
    explicit Whole(const bj::value& asked)
        : database(open_database(json::string_or(asked, "state", ""))),
          transport(open_transport(
              read_settings(json::member(asked, "hub"), "hub", "test", [](auto) { return nullptr; }),
              json::string_or(asked, "host", ""), [] { Interruption().check(); })),
          courier(database, transport,
                  {.most = json::integer_in(asked, "most").value_or(10'000),
                   .batch = json::integer_in(asked, "batch").value_or(500)}),
          host(json::string_or(asked, "host", "")), name(json::string_or(asked, "host", "")) {
        host.generation = json::integer_in(asked, "generation");
    }
    store::Database database;
    Counting transport;
    Courier courier;
    ListingHost host;
    std::string name;
};

bj::object exchange(Whole& whole, const bj::value& asked) {
    whole.host.failure = json::string_or(asked, "failure", "");
    const bj::object snapshot{
        {"version", 1}, {"host", whole.name}, {"audit", json::string_or(asked, "audit", "")}};
    const Exchanged told = whole.courier.exchange(snapshot, whole.host, now());
    return {{"generation", whole.host.generation ? bj::value(*whole.host.generation) : bj::value(nullptr)},
            {"taken", whole.host.taken},
            {"desired_asked", whole.transport.desired_asked},
            {"signed_asked", whole.transport.signed_asked},
            {"more", told.more},
            {"new", told.is_new},
            {"older", told.older},
            {"later", told.later ? told.later->message() : ""},
            {"unclear", told.answer.unclear},
            {"blocked", whole.courier.memory().is_blocked()},
            {"known_audit", whole.courier.memory().known_audit()},
            {"waiting", whole.courier.outbox().next().events.size()},
            {"poll", told.answer.poll ? bj::value(told.answer.poll->count()) : bj::value(nullptr)}};
}

bj::object answer(std::optional<Whole>& whole, const bj::value& asked) {
    const std::string call = json::string_or(asked, "call", "");
    if (call == "open") {
        whole.reset();
        whole.emplace(asked);
        return {};
    }
    if (!whole) throw Error(Code::usage, "nothing is open");
    if (call == "event") {
        const bool is_end = json::is_true(asked, "end");
        whole->courier.outbox().add(is_end ? Rank::end : Rank::detail, json::object_in(asked, "event"),
                                    now());
        return {};
    }
    if (call == "exchange") return exchange(*whole, asked);
    if (call == "news") return {{"news", whole->transport.has_news()}};
    throw Error(Code::usage, "there is no call " + call);
}

} // namespace

int main() {
    install_signal_notes();
    std::optional<Whole> whole;
    for (std::string line; std::getline(std::cin, line);) {
        bj::object told;
        try {
            told = answer(whole, json::parse(line, "request"));
        } catch (const AskedToWait& error) {
            told = {{"error", error.message()},
                    {"code", row_of(error.code()).name},
                    {"wait", error.wait().count()}};
        } catch (const Error& error) {
            told = {{"error", error.message()}, {"code", row_of(error.code()).name}};
        }
        std::puts(json::python_line(told).c_str());
        std::fflush(stdout);
    }
}
