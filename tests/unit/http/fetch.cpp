// SPDX-License-Identifier: MIT
// Downloads by http::download, or prints by http::get or http::post_json, as tests/http asks; exits as the
// error table says. Progress, size and errors are lines of JSON on stdout; stderr stays empty, so that a word
// there is libcurl's.
#include "base/error.hpp"
#include "base/interrupt.hpp"
#include "base/text/json.hpp"
#include "http/client.hpp"

#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

using namespace blockhost;

namespace {

/// `--key value` pairs.
std::map<std::string, std::string> options_of(int argc, char** argv) {
    std::map<std::string, std::string> options;
    for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
    return options;
}

void say(const boost::json::object& line) {
    std::puts(json::python_line(line).c_str());
    std::fflush(stdout);
}

http::Manner manner_of(const std::map<std::string, std::string>& options) {
    auto number = [&](const char* key, int fallback) {
        auto found = options.find(key);
        return found == options.end() ? fallback : std::stoi(found->second);
    };
    http::Manner manner;
    if (auto ca = options.find("--ca-file"); ca != options.end()) manner.ca_file = ca->second;
    manner.connect = std::chrono::seconds(number("--connect", 5));
    manner.stall = std::chrono::seconds(number("--stall", 1));
    manner.deadline = std::chrono::seconds(number("--deadline", 60));
    manner.attempts = number("--attempts", 3);
    manner.pause = std::chrono::milliseconds(number("--pause", 20));
    return manner;
}

http::Watch watch_of(const std::map<std::string, std::string>& options) {
    auto room = options.find("--room");
    std::uint64_t most = room == options.end() ? ~std::uint64_t{0} : std::stoull(room->second);
    auto wish = options.find("--give-up");
    std::string give_up = wish == options.end() ? "" : wish->second; // once that file is there
    return {.on_size =
                [=](std::uint64_t total) {
                    say({{"size", total}});
                    if (total > most) throw Error(Code::no_room, "too large for the test");
                },
            .on_progress =
                [](const http::Progress& progress) {
                    boost::json::object line{{"done", progress.done}, {"speed", progress.bytes_per_second}};
                    if (progress.total) line["total"] = *progress.total;
                    if (progress.left) line["left"] = progress.left->count();
                    say(line);
                },
            .check =
                [give_up] {
                    Interruption().check();
                    if (!give_up.empty() && std::filesystem::exists(give_up))
                        throw Error(Code::interrupted, "asked to give up");
                }};
}

void fetch(std::map<std::string, std::string>& options) {
    auto manner = manner_of(options);
    auto watch = watch_of(options);
    if (auto max = options.find("--get"); max != options.end()) {
        say({{"text", http::get(options["--url"], manner, std::stoul(max->second), watch.check)}});
        return;
    }
    if (auto body = options.find("--post"); body != options.end()) {
        say({{"text", http::post_json(options["--url"], body->second, manner, 1000, watch.check)}});
        return;
    }
    auto folder = Folder::open(std::filesystem::path(options["--folder"]));
    if (!folder) throw Error(Code::not_found, "no such folder");
    say({{"downloaded", http::download(options["--url"], *folder, options["--name"], manner, watch)}});
}

} // namespace

int main(int argc, char** argv) {
    install_signal_notes();
    auto options = options_of(argc, argv);
    try {
        fetch(options);
    } catch (const http::Refused& error) {
        say({{"code", row_of(error.code()).name},
             {"message", error.message()},
             {"hint", error.hint()},
             {"body", error.body()}});
        return row_of(error.code()).exit_status;
    } catch (const Error& error) {
        say({{"code", row_of(error.code()).name}, {"message", error.message()}, {"hint", error.hint()}});
        return row_of(error.code()).exit_status;
    }
    return 0;
}
