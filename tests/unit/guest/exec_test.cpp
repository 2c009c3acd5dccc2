// SPDX-License-Identifier: MIT
// Programs run by agents that a script plays, on a clock that only sleeping and answering moves.
#include "guest/exec.hpp"

#include "base/error.hpp"
#include "base/text/base64.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <map>

using namespace blockhost;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
namespace bj = boost::json;

namespace {

constexpr const char* running = R"({"return": {"exited": false}})";
constexpr const char* silent = "libvirt cannot ask the guest agent of x: Guest agent is not responding: "
                               "Guest agent not available for now";

/// What the agent does at one command: replies, or throws.
struct Act {
    std::string reply;
    std::optional<Error> error = {};
    milliseconds takes = 1ms;
    bool is_paused = false;
};

Act says(std::string reply) {
    return {std::move(reply)};
}
Act fails(std::string message, milliseconds takes = 1ms) {
    return {"", Error(Code::guest, std::move(message)), takes};
}
Act paused() {
    Act act;
    act.is_paused = true;
    return act;
}
Act exits(bj::object status) {
    status["exited"] = true;
    return {bj::serialize(bj::object{{"return", std::move(status)}})};
}

/// An agent whose acts for each command are used up one by one; the last stays.
struct Scripted {
    std::map<std::string, std::deque<Act>> acts{{"guest-exec", {says(R"({"return": {"pid": 77}})")}}};
    std::vector<bj::value> sent;
    std::vector<milliseconds> slept;
    std::chrono::steady_clock::time_point time{};

    std::string answer(const std::string& message) {
        sent.push_back(bj::parse(message));
        auto& left = acts[std::string(sent.back().at("execute").as_string())];
        REQUIRE_FALSE(left.empty());
        const Act act = left.front();
        if (left.size() > 1) left.pop_front();
        time += act.takes;
        if (act.is_paused) throw guest::Paused(Code::wrong_state, "x is paused");
        if (act.error) throw *act.error;
        return act.reply;
    }
    guest::AgentCall call() {
        return [this](const std::string& message) { return answer(message); };
    }
    guest::Waiting waiting() {
        return {[this] { return time; },
                [this](milliseconds span) {
                    slept.push_back(span);
                    time += span;
                }};
    }
    guest::Outcome exec(milliseconds span = 120s) {
        return guest::exec(call(), {"/bin/x", {"a", "b"}}, span, waiting());
    }
    guest::Outcome shell(const std::string& command, milliseconds span = 120s) {
        return guest::shell(call(), command, span, waiting());
    }
    /// The arguments of the `n`th command of that name.
    bj::object arguments(const std::string& name, std::size_t n = 0) const {
        for (const auto& each : sent)
            if (each.at("execute").as_string() == name && n-- == 0) return each.at("arguments").as_object();
        FAIL("not sent: " << name);
        return {};
    }
    std::size_t count(const std::string& name) const {
        std::size_t n = 0;
        for (const auto& each : sent) n += each.at("execute").as_string() == name;
        return n;
    }
    /// The outcome of one look, or what it says when there is none.
    std::string words(milliseconds span = 120s) {
        try {
            exec(span);
        } catch (const Error& error) {
            CHECK(error.code() == Code::guest);
            return error.message();
        }
        return "no error";
    }
};

std::string every_byte() {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    return bytes;
}

} // namespace

TEST_CASE("a program is started as told, and its end brings code and bytes") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {says(running), exits({{"exitcode", 7},
                                                             {"out-data", base64::encode(every_byte())},
                                                             {"err-data", base64::encode("oh\n")}})};
    auto outcome = agent.exec();
    CHECK(outcome.status() == 7);
    CHECK(outcome.out == every_byte());
    CHECK(outcome.err == "oh\n");
    CHECK(agent.arguments("guest-exec") ==
          bj::object{{"path", "/bin/x"}, {"capture-output", true}, {"arg", {"a", "b"}}});
    CHECK(agent.arguments("guest-exec-status").at("pid") == 77);
}

TEST_CASE("a program that a signal killed has 128 and the signal as its status") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {exits({{"signal", 15}})};
    auto outcome = agent.exec();
    CHECK(outcome.signal == 15);
    CHECK(outcome.status() == 143);
    CHECK(outcome.out.empty());
}

TEST_CASE("looks begin after 10 ms and come 300 ms apart at most") {
    Scripted agent;
    auto& looks = agent.acts["guest-exec-status"];
    looks.assign(30, says(running));
    looks.push_back(exits({{"exitcode", 0}}));
    agent.exec();
    REQUIRE(agent.slept.size() == 31);
    CHECK(agent.slept.front() == 10ms);
    for (std::size_t i = 1; i < agent.slept.size(); ++i) CHECK(agent.slept[i] >= agent.slept[i - 1]);
    CHECK(agent.slept.back() == 300ms);
}

TEST_CASE("a program that does not end is left alone at the deadline") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {says(running)};
    CHECK_THAT(agent.words(5s), Catch::Contains("did not end in time"));
    CHECK(agent.time.time_since_epoch() >= 5s);
    CHECK(agent.time.time_since_epoch() < 6s);
}

TEST_CASE("a look that meets a busy agent is repeated") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {
        says(running),
        fails(silent, 2s),
        says(running),
        fails(silent, 2s),
        fails("The command guest-exec-status has been disabled for this instance"),
        exits({{"exitcode", 3}})};
    CHECK(agent.exec().status() == 3);
}

TEST_CASE("a guest that is paused for a while is waited for until the deadline") {
    Scripted agent;
    auto& looks = agent.acts["guest-exec-status"];
    looks.assign(40, paused());
    looks.push_back(exits({{"exitcode", 3}}));
    CHECK(agent.exec().status() == 3);
    CHECK(agent.time.time_since_epoch() > 10s);
    looks = {paused()};
    CHECK_THAT(agent.words(5s), Catch::Contains("did not end in time"));
    agent.acts["guest-exec"] = {paused()};
    CHECK_THROWS_AS(agent.exec(5s), guest::Paused);
}

TEST_CASE("an agent that stays silent has stopped answering, and is not waited for until the deadline") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {says(running), fails(silent, 2s)};
    CHECK_THAT(agent.words(), Catch::StartsWith("the guest agent stopped answering while the command ran"));
    CHECK(agent.time.time_since_epoch() < 12s);
    CHECK(agent.count("guest-exec-status") > 2);
}

TEST_CASE("an agent whose answer got lost in its silence cannot tell the end") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {fails(silent, 5s), fails("Invalid parameter 'pid'")};
    CHECK_THAT(agent.words(), Catch::Contains("stopped answering") && Catch::Contains("how it ended"));
    CHECK(agent.count("guest-exec-status") == 2);
}

TEST_CASE("an agent that does not know the program any more is believed at once") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {
        fails("unable to execute QEMU agent command 'guest-exec-status': PID 77 "
              "does not exist")};
    CHECK_THAT(agent.words(), Catch::Contains("does not exist"));
    CHECK(agent.count("guest-exec-status") == 1);
}

TEST_CASE("an agent that will not or cannot start the program says why") {
    Scripted agent;
    agent.acts["guest-exec"] = {GENERATE(fails("the command is disabled here"),
                                         says(R"({"error": {"desc": "the command is disabled here"}})"))};
    CHECK_THAT(agent.words(), Catch::Contains("disabled here"));
    CHECK(agent.slept.empty());
}

TEST_CASE("other errors go through as they are") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {{"", Error(Code::wrong_state, "x is not running")}};
    try {
        agent.exec();
        FAIL("no error");
    } catch (const Error& error) {
        CHECK(error.code() == Code::wrong_state);
    }
}

TEST_CASE("a pause that throws ends the wait") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {says(running)};
    auto waiting = agent.waiting();
    waiting.sleep = [](milliseconds) { throw Error(Code::interrupted, "SIGTERM"); };
    CHECK_THROWS_AS(guest::exec(agent.call(), {"/bin/x", {}}, 120s, waiting), Error);
}

TEST_CASE("starts that make no sense are refused") {
    Scripted agent;
    agent.acts["guest-exec"] = {says(GENERATE(
        R"({"return": {}})", R"({"return": {"pid": "7"}})", R"({"return": {"pid": 1.5}})",
        R"({"return": [7]})", R"({"return": {"pid": null}})", R"({"return": {"pid": 12)", "garbage"))};
    CHECK_THAT(agent.words(), Catch::Contains("reply to guest-exec "));
}

TEST_CASE("looks that make no sense are refused, never taken for an end") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {says(GENERATE(
        R"({"return": {}})", R"({"return": true})", R"({"return": {"exited": 1}})",
        R"({"return": {"exited": "true", "exitcode": 0}})", R"({"return": {"exited": true}})",
        R"({"return": {"exited": true, "exitcode": "0"}})", R"({"return": {"exited": true, "exitcode": -1}})",
        R"({"return": {"exited": true, "exitcode": 1e3}})",
        R"({"return": {"exited": true, "exitcode": 4294967296}})",
        R"({"return": {"exited": true, "signal": 4000}})",
        R"({"return": {"exited": true, "exitcode": 0, "out-data": 7}})",
        R"({"return": {"exited": true, "exitcode": 0, "out-data": "AA=A"}})",
        R"({"return": {"exited": true, "exitcode": 0, "err-data": ["x"]}})", R"({"return": {"exited": tr)",
        "\xff"))};
    CHECK_THAT(agent.words(), Catch::Contains("reply to guest-exec-status "));
    CHECK(agent.count("guest-exec-status") == 1);
}

TEST_CASE("ten megabytes of output are refused with a reason") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {exits({{"exitcode", 0}, {"out-data", std::string(10 << 20, 'A')}})};
    CHECK_THAT(agent.words(), Catch::Contains("larger than"));
}

TEST_CASE("a command runs by the guest's shell, as one argument, with its output bounded there") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {exits({{"exitcode", 0}})};
    const std::string command = "echo \"$HOME\"; printf '\xc3\xa4' && true\t\x01";
    agent.shell(command);
    auto started = agent.arguments("guest-exec");
    CHECK(started.at("path") == "/bin/sh");
    auto words = started.at("arg").as_array();
    REQUIRE(words.size() == 5);
    CHECK(words[0] == "-c");
    CHECK_THAT(std::string(words[1].as_string()), Catch::Contains("head -c 3000001"));
    CHECK(words[3] == "-c");
    CHECK(words[4].as_string() == bj::string_view(command));
    CHECK(agent.count("guest-file-open") == 0);
}

TEST_CASE("output beyond the bound is a clear failure; up to it, it is handed over") {
    Scripted agent;
    agent.acts["guest-exec-status"] = {
        exits({{"exitcode", 0}, {"out-data", base64::encode(std::string(guest::most_output, 'x'))}}),
        exits({{"exitcode", 0}, {"out-data", base64::encode(std::string(guest::most_output + 1, 'x'))}}),
        exits({{"exitcode", 0}, {"err-data", base64::encode(std::string(guest::most_output + 1, 'x'))}}),
        exits({{"exitcode", 0}, {"out-data", "eA=="}, {"out-truncated", true}})};
    CHECK(agent.shell("x").out.size() == guest::most_output);
    CHECK_THROWS_WITH(agent.shell("x"), Catch::Contains("stdout is longer than 3000000 bytes"));
    CHECK_THROWS_WITH(agent.shell("x"), Catch::Contains("stderr is longer than 3000000 bytes"));
    CHECK_THROWS_WITH(agent.shell("x"), Catch::Contains("stdout is longer"));
}

namespace {

constexpr const char* folder = "/run/blockhost-exec.abc";

/// An agent that makes the folder and takes files; `parts` bytes at most in one write.
Scripted writing_agent(std::size_t parts = 48 * 1024, std::size_t length = 70'000) {
    Scripted agent;
    agent.acts["guest-file-open"] = {says(R"({"return": 5})")};
    agent.acts["guest-file-close"] = {says(R"({"return": {}})")};
    agent.acts["guest-exec-status"] = {
        exits({{"exitcode", 0}, {"out-data", base64::encode(std::string(folder) + "\n")}}),
        exits({{"exitcode", 9}})};
    auto& writes = agent.acts["guest-file-write"];
    for (std::size_t at = 0; at < length; at += parts)
        writes.push_back(says(bj::serialize(
            bj::object{{"return", {{"count", std::min(parts, length - at)}, {"eof", false}}}})));
    return agent;
}

} // namespace

TEST_CASE("a long command is written to root's own folder, run from there, and removes itself") {
    const std::string command(70'000, 'x');
    auto agent = writing_agent();
    CHECK(agent.shell(command).status() == 9);
    CHECK_THAT(std::string(agent.arguments("guest-exec", 0).at("arg").at(1).as_string()),
               Catch::Contains("umask 077") && Catch::Contains("mktemp -d"));
    CHECK(agent.arguments("guest-file-open") ==
          bj::object{{"path", std::string(folder) + "/command"}, {"mode", "w"}});
    std::string written;
    for (std::size_t n = 0; n < agent.count("guest-file-write"); ++n)
        written +=
            *base64::decode(std::string(agent.arguments("guest-file-write", n).at("buf-b64").as_string()));
    CHECK(written == command);
    CHECK(agent.count("guest-file-close") == 1);
    auto words = agent.arguments("guest-exec", 1).at("arg").as_array();
    REQUIRE(words.size() == 4);
    CHECK_THAT(std::string(words[1].as_string()), Catch::Contains("rm -rf -- \"${1%/*}\""));
    CHECK(words[3] == bj::string(std::string(folder) + "/command"));
    CHECK(agent.count("guest-exec") == 2);
}

TEST_CASE("a command that is not UTF-8 takes the same way, whatever its length") {
    auto agent = writing_agent(100, 4);
    agent.shell("\xff\xfe x");
    CHECK(agent.count("guest-file-write") == 1);
}

TEST_CASE("so does one that grows too long for libvirt in JSON") {
    auto agent = writing_agent(48 * 1024, 60'000);
    agent.shell(std::string(60'000, '\x01'));
    CHECK(agent.count("guest-file-write") == 2);
    for (const auto& message : agent.sent) CHECK(bj::serialize(message).size() < 200'000);
}

TEST_CASE("an agent that writes less than it was given is given the rest") {
    auto agent = writing_agent(1000);
    agent.shell(std::string(70'000, 'y'));
    CHECK(agent.count("guest-file-write") == 70);
    const auto last = agent.arguments("guest-file-write", 69).at("buf-b64");
    CHECK(base64::decode(std::string(last.as_string()))->size() == 1000);
}

TEST_CASE("a command's folder goes, and its file is closed, when something fails on the way") {
    auto agent = writing_agent();
    const bool before_the_run = GENERATE(true, false);
    if (before_the_run)
        agent.acts["guest-file-write"] = {GENERATE(fails("No space left on device"),
                                                   says(R"({"return": {"count": 0}})"),
                                                   says(R"({"return": {"count": "9"}})"))};
    else
        agent.acts["guest-exec-status"][1] = exits({{"signal", 9}});
    if (before_the_run)
        CHECK_THROWS_AS(agent.shell(std::string(70'000, 'x')), Error);
    else
        CHECK(agent.shell(std::string(70'000, 'x')).status() == 137);
    CHECK(agent.count("guest-file-close") == 1);
    auto words = agent.sent[agent.sent.size() - 2].at("arguments").at("arg").as_array();
    CHECK_THAT(std::string(words[1].as_string()), Catch::StartsWith("rm -rf"));
    CHECK(words.back() == bj::string(folder));
}

TEST_CASE("a folder that is none is not written to") {
    auto agent = writing_agent();
    agent.acts["guest-exec-status"] = {GENERATE(
        exits({{"exitcode", 1}, {"err-data", base64::encode("mktemp: read-only\n")}}),
        exits({{"exitcode", 0}}), exits({{"exitcode", 0}, {"out-data", base64::encode("relative\n")}}),
        exits({{"exitcode", 0}, {"out-data", base64::encode("/a\n/b\n")}}))};
    CHECK_THROWS_WITH(agent.shell(std::string(70'000, 'x')), Catch::Contains("made no folder"));
    CHECK(agent.count("guest-file-open") == 0);
}

TEST_CASE("commands that cannot be are refused before the guest hears of them") {
    Scripted agent;
    CHECK_THROWS_WITH(agent.shell(std::string(guest::longest_command + 1, 'x')),
                      Catch::Contains("longer than 1 MiB"));
    CHECK_THROWS_WITH(agent.shell(std::string("a\0b", 3)), Catch::Contains("NUL"));
    CHECK(agent.sent.empty());
}
