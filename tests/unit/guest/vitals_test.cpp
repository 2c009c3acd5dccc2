// SPDX-License-Identifier: MIT
// A guest's own word, from agents that keep to the protocol and from agents that do not.
#include "guest/vitals.hpp"

#include "base/error.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <vector>

using namespace blockhost;
using guest::Depth;
namespace bj = boost::json;

namespace {

constexpr const char* snmp = "Ip: Forwarding DefaultTTL\nIp: 1 64\n"
                             "Tcp: RtoAlgorithm RtoMin MaxConn CurrEstab InSegs\nTcp: 1 200 -1 12 31\n"
                             "Udp: InDatagrams\nUdp: 3\n";

std::string base64(const std::string& bytes) {
    constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        unsigned group = 0;
        const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k) out += k <= n ? digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

/// An agent with files and one filesystem; `instead` replaces the reply to a command, or throws.
struct Agent {
    std::map<std::string, std::string> files{{"/proc/uptime", "4711.50 9000.00\n"}, {"/proc/net/snmp", snmp}};
    std::string fsinfo =
        R"([{"mountpoint":"/boot","used-bytes":5},{"mountpoint":"/","used-bytes":1073741824}])";
    std::map<std::string, std::function<std::string()>> instead;
    std::size_t most_per_read = 1 << 20;
    std::map<std::int64_t, std::pair<std::string, std::size_t>> open;
    std::vector<std::string> asked;
    std::int64_t next_handle = 1000;

    std::string answer(const std::string& text) {
        const bj::value command = bj::parse(text);
        const std::string name(command.at("execute").as_string());
        asked.push_back(name);
        if (const auto own = instead.find(name); own != instead.end()) return own->second();
        if (name == "guest-ping") return R"({"return":{}})";
        if (name == "guest-get-fsinfo") return R"({"return":)" + fsinfo + "}";
        const bj::object& arguments = command.at("arguments").as_object();
        if (name == "guest-file-open") {
            const std::string path(arguments.at("path").as_string());
            if (!files.contains(path)) throw Error(Code::guest, "No such file or directory");
            open[next_handle] = {files[path], 0};
            return R"({"return":)" + std::to_string(next_handle++) + "}";
        }
        const auto file = open.find(arguments.at("handle").as_int64());
        if (file == open.end()) throw Error(Code::guest, "handle has not been found");
        if (name == "guest-file-close") {
            open.erase(file);
            return R"({"return":{}})";
        }
        REQUIRE(name == "guest-file-read");
        auto& [content, position] = file->second;
        const auto part = content.substr(position, most_per_read);
        position += part.size();
        return bj::serialize(bj::object{{"return", bj::object{{"count", part.size()},
                                                              {"buf-b64", base64(part)},
                                                              {"eof", position == content.size()}}}});
    }
    guest::Vitals look(Depth depth, std::optional<std::int64_t> left_open = {}) {
        return guest::look_at([this](const std::string& text) { return answer(text); }, depth, left_open);
    }
};

[[noreturn]] std::string gives_up() {
    throw Error(Code::no_answer, "nothing within 1 s");
}

} // namespace

TEST_CASE("a guest tells its uptime, connections and disk use, and no file stays open") {
    Agent agent;
    const auto vitals = agent.look(Depth::all);
    CHECK(vitals.answers);
    CHECK(vitals.looked);
    CHECK(vitals.slow == guest::SlowVitals{1073741824, 12, 4711});
    CHECK_FALSE(vitals.left_open);
    CHECK(agent.open.empty());
}

TEST_CASE("a ping is one command, and the rest needs no ping") {
    Agent agent;
    CHECK(agent.look(Depth::ping).answers);
    CHECK(agent.asked == std::vector<std::string>{"guest-ping"});
    agent.asked.clear();
    CHECK(agent.look(Depth::rest).slow.uptime_s == 4711);
    CHECK(std::find(agent.asked.begin(), agent.asked.end(), "guest-ping") == agent.asked.end());
}

TEST_CASE("nothing is ever started in the guest") {
    Agent agent;
    agent.look(Depth::all);
    for (const auto& command : agent.asked) CHECK(command.find("exec") == std::string::npos);
}

TEST_CASE("a file that comes in pieces is put together, and one that never ends is not read to its end") {
    Agent agent;
    agent.most_per_read = 7;
    CHECK(agent.look(Depth::all).slow.connections == 12);
    agent.most_per_read = 1 << 17;
    agent.files["/proc/net/snmp"] = std::string(8 << 20, 'x');
    const auto before = agent.asked.size();
    const auto vitals = agent.look(Depth::all);
    CHECK_FALSE(vitals.slow.connections);
    CHECK(vitals.slow.disk_used_bytes);
    CHECK(agent.asked.size() - before < 30);
    CHECK(agent.open.empty());
}

TEST_CASE("an agent that does not answer is asked nothing more") {
    Agent agent;
    agent.instead["guest-ping"] = []() -> std::string {
        throw Error(Code::guest, "QEMU guest agent is not connected");
    };
    const auto vitals = agent.look(Depth::all, 1007);
    CHECK_FALSE(vitals.answers);
    CHECK_FALSE(vitals.looked);
    CHECK(vitals.left_open == 1007);
    CHECK(agent.asked.size() == 1);
}

TEST_CASE("a conversation that is given up half-way keeps what it has, and the file it left open") {
    Agent agent;
    agent.instead["guest-file-read"] = gives_up;
    auto vitals = agent.look(Depth::all);
    CHECK(vitals.answers);
    CHECK_FALSE(vitals.looked);
    CHECK(vitals.left_open == 1000);
    CHECK(agent.asked.back() == "guest-file-read");

    agent.instead.clear();
    vitals = agent.look(Depth::ping, vitals.left_open);
    CHECK_FALSE(vitals.left_open);
    CHECK(agent.open.empty());
}

TEST_CASE("a file left open that the agent no longer knows is forgotten") {
    Agent agent;
    CHECK_FALSE(agent.look(Depth::ping, 4242).left_open);
}

TEST_CASE("what one command refuses does not keep the others from answering") {
    Agent agent;
    agent.instead["guest-get-fsinfo"] = []() -> std::string {
        throw Error(Code::guest, "The command guest-get-fsinfo has been disabled for this instance");
    };
    agent.files.erase("/proc/net/snmp");
    const auto vitals = agent.look(Depth::all);
    CHECK(vitals.looked);
    CHECK(vitals.slow == guest::SlowVitals{{}, {}, 4711});
}

TEST_CASE("a reply that is garbage, of another type or 10 MB large counts as none") {
    const auto reply = GENERATE(as<std::string>{}, "", "{", "null", "[]", "{}", "7",
                                R"({"error":{"desc":"no"}})", R"({"Return":{}})",
                                std::string(10 << 20, ' ') + R"({"return":{}})", std::string(100'000, '['));
    Agent agent;
    agent.instead["guest-ping"] = [&] { return reply; };
    CHECK_FALSE(agent.look(Depth::all).answers);
}

TEST_CASE("values that make no sense are not values") {
    Agent agent;
    agent.fsinfo =
        GENERATE(as<std::string>{}, R"([{"mountpoint":"/","used-bytes":-1}])",
                 R"([{"mountpoint":"/","used-bytes":1.5}])", R"([{"mountpoint":"/","used-bytes":"7"}])",
                 R"([{"mountpoint":"/","used-bytes":18446744073709551615}])", R"([{"mountpoint":"/"}])",
                 R"([{"mountpoint":["/"],"used-bytes":1}])", R"([null,7,"x",[]])", R"({"mountpoint":"/"})",
                 "null", "[]");
    agent.files["/proc/uptime"] =
        GENERATE(as<std::string>{}, "", "soon", "-5.0 1", "1e9 2", "99999999999999999999.0");
    agent.files["/proc/net/snmp"] = GENERATE(
        as<std::string>{}, "", "Tcp:", "Tcp: CurrEstab", "Tcp: CurrEstab\nTcp:", "Tcp: CurrEstab\nTcp: -1",
        "Tcp: CurrEstab\nTcp: 99999999999", "Tcp: Other\nTcp: 1", std::string("\0\xff\n", 3));
    const auto vitals = agent.look(Depth::all);
    CHECK(vitals.answers);
    CHECK(vitals.slow == guest::SlowVitals{});
}

TEST_CASE("broken base64 and handles of another type are refused") {
    Agent agent;
    SECTION("base64") {
        agent.instead["guest-file-read"] = [] { return R"({"return":{"buf-b64":"!!!!","eof":true}})"; };
    }
    SECTION("not an object") {
        agent.instead["guest-file-read"] = [] { return R"({"return":[]})"; };
    }
    SECTION("handle") {
        agent.instead["guest-file-open"] = [] { return R"({"return":"1000"})"; };
    }
    const auto vitals = agent.look(Depth::all);
    CHECK(vitals.answers);
    CHECK_FALSE(vitals.slow.uptime_s);
    CHECK_FALSE(vitals.left_open);
}
