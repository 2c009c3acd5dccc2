// SPDX-License-Identifier: MIT
// The root agent's client against an agent played by a thread.
#include "base/root_agent.hpp"

#include "base/error.hpp"
#include "tests/unit/root_agent_double.hpp"
#include "tests/unit/temporary_folder.hpp"

#include <boost/json/parse.hpp>
#include <catch2/catch.hpp>
#include <thread>
#include <unistd.h>

using namespace blockhost;
using namespace std::chrono_literals;
namespace bj = boost::json;
using namespace root_agent_double;

namespace {

/// The error's name in the code table, or nothing when the call goes well.
std::string failure(const std::filesystem::path& socket, std::chrono::milliseconds deadline = 5s) {
    try {
        call_root_agent(socket, "ip6-route-add", {{"dev", "br0"}}, deadline);
        return "";
    } catch (const Error& error) {
        return std::string(row_of(error.code()).name);
    }
}

} // namespace

TEST_CASE("a request goes out as one frame, and the whole reply comes back") {
    std::string request;
    bj::object reply;
    {
        Agent agent([&](int fd) {
            request = receive_request(fd);
            send_bytes(fd, frame(R"({"ok": true, "output": "d\u00e9j\u00e0", "extra": [1, 2]})"));
        });
        reply = call_root_agent(agent.socket, "ip6-route-add", {{"address", "::1/128"}, {"dev", "br0"}}, 5s);
    }
    auto asked = bj::parse(request);
    auto& parameters = asked.at("params").as_object();
    CHECK(parameters.at(root_action_end).as_int64() > 0);
    parameters.erase(root_action_end);
    CHECK(asked ==
          bj::parse(R"({"action": "ip6-route-add", "params": {"address": "::1/128", "dev": "br0"}})"));
    CHECK(reply.at("output").as_string() == "d\xc3\xa9j\xc3\xa0");
    CHECK(reply.at("extra").as_array().size() == 2);
}

TEST_CASE("a large request and a large reply get through in pieces") {
    std::string large(3 << 20, 'x');
    std::size_t received = 0;
    Agent agent([&](int fd) {
        received = receive_request(fd).size();
        std::string reply = frame(R"({"ok": true, "output": ")" + large + "\"}");
        send_bytes(fd, reply.substr(0, 3));
        std::this_thread::sleep_for(20ms);
        send_bytes(fd, reply.substr(3));
    });
    auto reply = call_root_agent(agent.socket, "echo", {{"text", large}}, 20s);
    CHECK(received > large.size());
    CHECK(reply.at("output").as_string().size() == large.size());
}

TEST_CASE("a refusal carries the agent's own words, on one line") {
    Agent agent([](int fd) {
        receive_request(fd);
        send_bytes(fd, frame(R"({"ok": false, "error": "Invalid device: br9\n\u001b[0m"})"));
    });
    try {
        call_root_agent(agent.socket, "ip6-route-add", {}, 5s);
        FAIL("was taken");
    } catch (const Error& error) {
        CHECK(error.code() == Code::hypervisor);
        CHECK_THAT(error.message(), Catch::Contains("refused ip6-route-add: Invalid device: br9"));
        CHECK(error.message().find_first_of("\n\x1b") == std::string::npos);
    }
}

TEST_CASE("replies that do not say ok are refusals") {
    std::string reply = GENERATE("", "nonsense", "[]", "3", "{}", R"({"ok": 1})", R"({"ok": "true"})",
                                 R"({"ok": null})", R"({"ok": false, "error": null})");
    Agent agent([&](int fd) {
        receive_request(fd);
        send_bytes(fd, frame(reply));
    });
    CHECK(failure(agent.socket) == "hypervisor");
}

TEST_CASE("a connection that closes early is no answer") {
    std::string part = GENERATE(std::string(), std::string("\0\0", 2), std::string("\0\0\0\x10{\"ok\"", 9));
    bool reads = GENERATE(true, false);
    Agent agent([&](int fd) {
        if (reads) receive_request(fd);
        send_bytes(fd, part);
    });
    CHECK(failure(agent.socket) == "no_answer");
}

TEST_CASE("an agent that stops sending half way still gets our request") {
    std::string request;
    {
        Agent agent([&](int fd) {
            shutdown(fd, SHUT_WR);
            request = receive_request(fd);
        });
        CHECK(failure(agent.socket) == "no_answer");
    }
    CHECK_THAT(request, Catch::Contains("ip6-route-add"));
}

TEST_CASE("a reply beyond 20 MiB is refused before it is read") {
    Agent agent([](int fd) {
        receive_request(fd);
        send_bytes(fd, "\x01\x40\x01" + std::string(1, '\0')); // 20 MiB and a bit
        receive(fd, 1);                                        // until the client hangs up
    });
    CHECK(failure(agent.socket) == "hypervisor");
}

TEST_CASE("an agent that is too slow is no answer at the deadline, however it trickles") {
    bool trickles = GENERATE(true, false);
    Agent agent([&](int fd) {
        receive_request(fd);
        send_bytes(fd, std::string("\0\0\0\x40", 4));
        while (trickles && send(fd, " ", 1, MSG_NOSIGNAL) == 1) std::this_thread::sleep_for(20ms);
        receive(fd, 1);
    });
    CHECK(failure(agent.socket, 200ms) == "no_answer");
}

TEST_CASE("a socket that is absent, dead or too long to name is denied, with what to do") {
    TemporaryFolder folder;
    CHECK(failure(folder.path / "absent.sock") == "denied");
    { Fd dead = listen_at(folder.path / "dead.sock"); }
    CHECK(failure(folder.path / "dead.sock") == "denied");
    CHECK(failure(folder.path / std::string(200, 'x')) == "denied");
}

TEST_CASE("a socket we may not open is denied") {
    if (geteuid() != 0) {
        WARN("skipped: changing the user needs root");
        return;
    }
    TemporaryFolder folder;
    std::filesystem::permissions(folder.path, std::filesystem::perms(0711));
    auto path = folder.path / "agent.sock";
    Fd listening = listen_at(path);
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    REQUIRE(seteuid(65534) == 0);
    auto code = failure(path);
    REQUIRE(seteuid(0) == 0);
    CHECK(code == "denied");
}
