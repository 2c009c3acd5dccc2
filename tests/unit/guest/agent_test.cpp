// SPDX-License-Identifier: MIT
// The guest agent's protocol against a guest played by a map of files, and cloud-init's files as
// cloud-init 22.4 writes them.
#include "guest/agent.hpp"

#include "base/error.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

using namespace blockhost;
using guest::CloudInitState;
namespace bj = boost::json;

namespace {

std::string base64(const std::string& bytes) {
    constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        unsigned group = 0;
        std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k) out += k <= n ? digits[group >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

/// A guest whose agent has these files. Errors come as libvirt words them.
struct FakeGuest {
    std::map<std::string, std::string> files;
    std::map<std::string, std::string> open_errors; ///< path -> strerror's words
    bool read_fails = false, close_fails = false, down = false;
    std::size_t most_per_read = 1 << 20;

    struct Open {
        std::string path;
        std::size_t offset = 0;
    };
    std::map<std::int64_t, Open> open;
    std::vector<std::string> opened;
    int calls = 0;
    std::int64_t next_handle = 1000;

    [[noreturn]] static void refuse(const std::string& command, const std::string& why) {
        throw Error(Code::guest,
                    "internal error: unable to execute QEMU agent command '" + command + "': " + why);
    }

    std::string answer(const std::string& message) {
        ++calls;
        if (down)
            throw Error(Code::guest, "Guest agent is not responding: QEMU guest agent is not connected");
        bj::value command = bj::parse(message);
        std::string name(command.at("execute").as_string());
        if (name == "guest-ping") return R"({"return":{}})";
        const bj::object& arguments = command.at("arguments").as_object();
        if (name == "guest-file-open") return open_file(arguments);
        std::int64_t handle = arguments.at("handle").as_int64();
        if (name == "guest-file-close") {
            open.erase(handle);
            if (close_fails) refuse(name, "Broken pipe");
            return R"({"return":{}})";
        }
        REQUIRE(name == "guest-file-read");
        if (read_fails) refuse(name, "failed to read file: Input/output error");
        return read(open.at(handle), static_cast<std::size_t>(arguments.at("count").as_int64()));
    }

    std::string open_file(const bj::object& arguments) {
        std::string path(arguments.at("path").as_string());
        REQUIRE(arguments.at("mode").as_string() == "r");
        opened.push_back(path);
        std::string words;
        if (open_errors.contains(path))
            words = open_errors[path];
        else if (!files.contains(path))
            words = "No such file or directory";
        if (!words.empty())
            refuse("guest-file-open", "failed to open file '" + path + "' (mode: 'r'): " + words);
        open[next_handle] = {path, 0};
        return bj::serialize(bj::object{{"return", next_handle++}});
    }

    std::string read(Open& file, std::size_t count) const {
        const std::string& content = files.at(file.path);
        std::string part = content.substr(file.offset, std::min(count, most_per_read));
        file.offset += part.size();
        bj::object result{
            {"count", part.size()}, {"buf-b64", base64(part)}, {"eof", file.offset == content.size()}};
        return bj::serialize(bj::object{{"return", result}});
    }

    guest::AgentCall call() {
        return [this](const std::string& message) { return answer(message); };
    }
};

constexpr const char* status_path = "/run/cloud-init/status.json";
constexpr const char* result_path = "/run/cloud-init/result.json";
constexpr const char* boot_finished = "/var/lib/cloud/instance/boot-finished";

/// status.json while `stage` runs (empty: between stages), with every stage before `until` finished.
std::string status_json(const std::string& stage, int finished_stages,
                        const std::string& datasource = "DataSourceNoCloud [seed=/dev/sr0][dsmode=net]",
                        const std::string& final_error = "") {
    const char* names[] = {"init-local", "init", "modules-config", "modules-final"};
    bj::object v1{{"modules-init", {{"errors", bj::array{}}, {"start", nullptr}, {"finished", nullptr}}}};
    if (datasource.empty())
        v1["datasource"] = nullptr;
    else
        v1["datasource"] = datasource;
    if (stage.empty())
        v1["stage"] = nullptr;
    else
        v1["stage"] = stage;
    for (int i = 0; i < 4; ++i) {
        bj::object run{{"errors", bj::array{}}, {"start", nullptr}, {"finished", nullptr}};
        if (i < finished_stages) run["start"] = run["finished"] = 1700000000.5 + i;
        if (i == 3 && !final_error.empty()) run["errors"] = bj::array{final_error};
        v1[names[i]] = run;
    }
    return bj::serialize(bj::object{{"v1", v1}});
}

CloudInitState state_of(FakeGuest& guest) {
    auto state = guest::cloud_init_state(guest.call());
    CHECK(guest.open.empty());
    return state;
}

} // namespace

TEST_CASE("an agent that answers is a good ping, one that does not is none") {
    FakeGuest guest;
    CHECK(guest::ping(guest.call()));
    guest.down = true;
    CHECK_FALSE(guest::ping(guest.call()));
}

TEST_CASE("a ping tells a dead libvirt from a silent guest") {
    auto call = [](const std::string&) -> std::string { throw Error(Code::hypervisor_down, "no libvirt"); };
    CHECK_THROWS_AS(guest::ping(call), Error);
}

TEST_CASE("a guest's file is read whole, binary bytes and all, however the agent cuts it") {
    FakeGuest guest;
    std::string content;
    for (int i = 0; i < 1000; ++i) content += static_cast<char>(i * 7);
    guest.files["/f"] = content;
    guest.files["/empty"] = "";
    guest.most_per_read = GENERATE(1u, 2u, 333u, 1u << 20);
    CHECK(guest::read_file(guest.call(), "/f") == content);
    CHECK(guest::read_file(guest.call(), "/empty") == "");
    CHECK(guest.open.empty());
}

TEST_CASE("a file that is not there is told apart from an agent that cannot open it") {
    FakeGuest guest;
    CHECK(guest::read_file(guest.call(), "/absent") == std::nullopt);
    guest.open_errors["/secret"] = "Permission denied";
    CHECK_THROWS_AS(guest::read_file(guest.call(), "/secret"), Error);
    guest.down = true;
    CHECK_THROWS_AS(guest::read_file(guest.call(), "/absent"), Error);
}

TEST_CASE("a file's handle is closed when reading fails, and a failing close spoils nothing") {
    FakeGuest guest;
    guest.files["/f"] = "content";
    guest.close_fails = true;
    CHECK(guest::read_file(guest.call(), "/f") == "content");
    guest.read_fails = true;
    CHECK_THROWS_WITH(guest::read_file(guest.call(), "/f"), Catch::Contains("Input/output error"));
    CHECK(guest.open.empty());
}

TEST_CASE("a file of 64 KiB is read, a larger one refused and closed") {
    FakeGuest guest;
    guest.files["/f"] = std::string(64 * 1024, 'x');
    CHECK(guest::read_file(guest.call(), "/f")->size() == 64 * 1024);
    guest.files["/f"] += 'x';
    CHECK_THROWS_WITH(guest::read_file(guest.call(), "/f"), Catch::Contains("larger than 64 KiB"));
    CHECK(guest.open.empty());
}

TEST_CASE("replies that are no agent's are errors, not crashes") {
    std::string reply = GENERATE("", "[]", "{}", "nonsense", R"({"return":{"buf-b64":7}})",
                                 R"({"error":{"class":"GenericError","desc":"disabled"}})", R"({"error":3})");
    auto call = [&](const std::string&) { return reply; };
    CHECK_THROWS_AS(guest::read_file(call, "/f"), Error);
    CHECK_FALSE(guest::ping([](const std::string&) { return std::string("{}"); }));
}

TEST_CASE("base64 that is broken is an error") {
    std::string buffer = GENERATE("A", "AAA*", "AA=A", "=AAA", "A===");
    auto call = [&](const std::string& message) {
        if (message.find("guest-file-read") == message.npos) return std::string(R"({"return":5})");
        return bj::serialize(bj::object{{"return", {{"count", 1}, {"buf-b64", buffer}, {"eof", true}}}});
    };
    CHECK_THROWS_WITH(guest::read_file(call, "/f"), Catch::Contains("base64"));
}

TEST_CASE("a guest with only boot-finished is done, without it unknown") {
    FakeGuest guest;
    CHECK(state_of(guest).kind == CloudInitState::Kind::unknown);
    guest.files[boot_finished] = "9.1 - done\n";
    CHECK(state_of(guest).kind == CloudInitState::Kind::done);
}

TEST_CASE("a running cloud-init is seen with the three calls of reading one file") {
    FakeGuest guest;
    guest.files["/run/cloud-init/enabled"] = "";
    guest.files[status_path] = status_json("modules-config", 2);
    auto state = state_of(guest);
    CHECK(state.kind == CloudInitState::Kind::running);
    CHECK(state.detail == "cloud-init is in stage modules-config");
    CHECK_FALSE(state.idle);
    CHECK(guest.calls == 3);
}

TEST_CASE("cloud-init between two stages is idle") {
    FakeGuest guest;
    guest.files[status_path] = status_json("", 2);
    auto state = state_of(guest);
    CHECK(state.kind == CloudInitState::Kind::running);
    CHECK(state.idle);
}

TEST_CASE("before the network stage a missing datasource proves nothing") {
    FakeGuest guest;
    guest.files[status_path] = status_json(GENERATE("init", ""), 1, "");
    CHECK(state_of(guest).kind == CloudInitState::Kind::running);
}

TEST_CASE("cloud-init is done when its final stage ended") {
    FakeGuest guest;
    guest.files[status_path] = status_json("", 4);
    auto state = state_of(guest);
    CHECK(state.kind == CloudInitState::Kind::done);
    CHECK(state.detail.empty());
}

TEST_CASE("errors of single modules are quoted on one bounded line of a done cloud-init") {
    FakeGuest guest;
    std::string error = "('scripts-user', RuntimeError('Runparts: 1 failures'))\n\x1b[31m";
    guest.files[status_path] =
        status_json("", 4, "DataSourceNoCloud [seed=/dev/sr0]", error + std::string(5000, 'x'));
    auto state = state_of(guest);
    CHECK(state.kind == CloudInitState::Kind::done);
    CHECK_THAT(state.detail, Catch::StartsWith("('scripts-user', RuntimeError('Runparts: 1 failures'))"));
    CHECK(state.detail.find_first_of("\n\x1b") == std::string::npos);
    CHECK(state.detail.size() < 700);
}

TEST_CASE("many errors make no longer line than a few") {
    FakeGuest guest;
    bj::array errors(100, bj::value("('runcmd', RuntimeError('one of many'))"));
    guest.files[boot_finished] = "now";
    guest.files[result_path] =
        bj::serialize(bj::object{{"v1", {{"datasource", "DataSourceNoCloud [x]"}, {"errors", errors}}}});
    auto state = state_of(guest);
    CHECK(state.kind == CloudInitState::Kind::done);
    CHECK(state.detail.size() < 700);
}

TEST_CASE("no datasource is a failure as soon as it is certain") {
    FakeGuest guest;
    SECTION("the fallback datasource") {
        guest.files[status_path] = status_json("modules-config", 2, "DataSourceNone");
    }
    SECTION("none at all after the network stage") {
        guest.files[status_path] = status_json("", 2, "");
    }
    SECTION("none at all at the end") {
        guest.files[status_path] = status_json("", 4, "");
    }
    auto state = state_of(guest);
    CHECK(state.kind == CloudInitState::Kind::failed);
    CHECK_THAT(state.detail, Catch::Contains("no datasource"));
}

TEST_CASE("the generator's verdict counts, whatever an earlier boot left") {
    FakeGuest guest;
    guest.files[boot_finished] = "an earlier boot's";
    SECTION("switched off") {
        guest.files["/run/cloud-init/disabled"] = "";
        CHECK(state_of(guest).kind == CloudInitState::Kind::disabled);
    }
    SECTION("switched on, but not begun") {
        guest.files["/run/cloud-init/enabled"] = "";
        auto state = state_of(guest);
        CHECK(state.kind == CloudInitState::Kind::running);
        CHECK(state.idle);
    }
}

TEST_CASE("a result without a status speaks for itself") {
    FakeGuest guest;
    guest.files["/run/cloud-init/enabled"] = "";
    guest.files[boot_finished] = "now";
    guest.files[result_path] = R"({"v1": {"datasource": "DataSourceNoCloud [x]", "errors": ["one", "two"]}})";
    auto state = state_of(guest);
    CHECK(state.kind == CloudInitState::Kind::done);
    CHECK(state.detail == "one; two");
    guest.files[result_path] = R"({"v1": {"datasource": "DataSourceNone", "errors": []}})";
    CHECK(state_of(guest).kind == CloudInitState::Kind::failed);
}

TEST_CASE("files of the guest that make no sense are unknown, never done") {
    FakeGuest guest;
    guest.files[status_path] =
        GENERATE("", "{", "[]", R"({"v1": 3})", R"({"v2": {}})", R"({"v1": {"init": []}})",
                 R"({"v1": {"stage": 1, "datasource": 7, "modules-final": "x"}})");
    auto kind = state_of(guest).kind;
    CHECK((kind == CloudInitState::Kind::unknown || kind == CloudInitState::Kind::running));
}
