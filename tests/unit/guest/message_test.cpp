// SPDX-License-Identifier: MIT
// Replies of guest agents that lie, stammer or shout: each is refused with its reason, in time, within
// bounds.
#include "guest/message.hpp"

#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <ctime>
#include <sys/resource.h>

using namespace blockhost;
namespace bj = boost::json;

namespace {

/// What the refusal of `reply` says.
std::string refusal(const std::string& reply, std::size_t most = guest::usual_reply) {
    try {
        guest::returned_by(reply, "guest-info", most);
    } catch (const Error& error) {
        CHECK(error.code() == Code::guest);
        CHECK(error.message().find("guest-info") != std::string::npos);
        return error.message();
    }
    return "";
}

long peak_kib() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

} // namespace

TEST_CASE("a reply's result is handed over, whatever its type") {
    CHECK(guest::returned_by(R"({"return": {"a": [1, null]}})", "x") == bj::value({{"a", {1, nullptr}}}));
    CHECK(guest::returned_by(R"({"return": 7})", "x") == 7);
    CHECK(guest::returned_by(" {\"return\": {}}\n", "x") == bj::object{});
}

TEST_CASE("a reply that is no reply is refused with its reason") {
    CHECK_THAT(refusal(""), Catch::Contains("ends in the middle"));
    CHECK_THAT(refusal(R"({"return": {"pid": 12)"), Catch::Contains("ends in the middle"));
    CHECK_THAT(refusal("\x01\xff%PDF"), Catch::Contains("is not JSON"));
    CHECK_THAT(refusal(R"({"return": {}} {"return": {}})"), Catch::Contains("is not JSON"));
    CHECK_THAT(refusal("{\"return\": \"\xff\xfe\"}"), Catch::Contains("is not JSON"));
    for (const char* text : {"{}", "[]", "null", "7", R"("return")", R"([{"return": 1}])"})
        CHECK_THAT(refusal(text), Catch::Contains("has no result"));
}

TEST_CASE("an agent's refusal is quoted on one line") {
    CHECK_THAT(refusal(R"({"error": {"class": "GenericError", "desc": "no\nsuch \u001b[31mpid"}})"),
               Catch::Contains("refused guest-info: no\\x0Asuch \\x1B[31mpid") ||
                   Catch::Contains("refused guest-info: no\\x0asuch \\x1b[31mpid"));
    CHECK_THAT(refusal(R"({"error": 3})"), Catch::Contains("refused"));
}

TEST_CASE("deep nesting is refused, and what agents really send is not") {
    CHECK_THAT(refusal(R"({"return": )" + std::string(100'000, '[')), Catch::Contains("nested too deep"));
    CHECK_THAT(refusal(R"({"return": )" + std::string(20, '[') + std::string(20, ']') + "}"),
               Catch::Contains("nested too deep"));
    CHECK(refusal(R"({"return": [{"disk": [{"pci": {"bus": 0}}]}]})").empty());
}

TEST_CASE("ten megabytes are refused before they are read") {
    const std::string reply = R"({"return": ")" + std::string(10 << 20, 'A') + "\"}";
    const auto before = peak_kib();
    const auto began = std::clock(); // CPU time: the host may be busy
    CHECK_THAT(refusal(reply), Catch::Contains("larger than 256 KiB (10 MiB)"));
    CHECK_THAT(refusal(reply, 4 << 20), Catch::Contains("larger than 4 MiB"));
    CHECK(std::clock() - began < 5 * CLOCKS_PER_SEC);
    CHECK(peak_kib() - before < 2048);
}

TEST_CASE("a reply within the bounds that would take twenty times its size is refused") {
    std::string parts = R"({"return": [)";
    while (parts.size() < 4 << 20) parts += "[],";
    const auto before = peak_kib();
    CHECK_THAT(refusal(parts + "[]]}", 8 << 20), Catch::Contains("too many parts"));
#ifdef BLOCKHOST_SANITIZED
    constexpr long room_kib = 192 * 1024; // it keeps what was freed, and shadows what is there
#else
    constexpr long room_kib = 48 * 1024;
#endif
    CHECK(peak_kib() - before < room_kib);
}

TEST_CASE("what was read may grow after its bound is gone") {
    auto value = guest::returned_by(R"({"return": {"a": 1}})", "x");
    value.as_object()["b"] = std::string(4 << 20, 'x');
    CHECK(value.as_object().size() == 2);
}

TEST_CASE("silence is told from a refusal") {
    CHECK(guest::is_silence(
        Error(Code::guest, "Guest agent is not responding: QEMU guest agent is not connected")));
    CHECK_FALSE(guest::is_silence(Error(Code::guest, "the guest agent refused guest-exec: disabled")));
    CHECK_FALSE(guest::is_silence(Error(Code::no_answer, "libvirt is not responding")));
}

TEST_CASE("a command goes out with its arguments, and without when it has none") {
    std::vector<std::string> sent;
    auto call = [&](const std::string& message) {
        sent.push_back(message);
        return std::string(R"({"return": {}})");
    };
    guest::ask(call, "guest-ping");
    guest::ask(call, "guest-file-close", {{"handle", 3}});
    CHECK(sent == std::vector<std::string>{R"({"execute":"guest-ping"})",
                                           R"({"execute":"guest-file-close","arguments":{"handle":3}})"});
}
