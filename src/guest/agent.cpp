// SPDX-License-Identifier: MIT
// The guest agent's messages, and what cloud-init's own files say about its run.
#include "guest/agent.hpp"

#include "base/error.hpp"
#include "base/text/base64.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "guest/message.hpp"

#include <array>
#include <boost/json/parse.hpp>
#include <cstdint>

namespace blockhost::guest {

namespace {

namespace bj = boost::json;

constexpr std::int64_t largest_file = std::int64_t{64} * 1024;
constexpr std::size_t longest_detail = 600;
constexpr std::string_view no_such_file =
    "No such file or directory"; // strerror(ENOENT), as qemu-ga quotes it

/// A file open in the guest, closed in every case.
class GuestFile {
  public:
    GuestFile(const AgentCall& call, bj::value handle) : call_(call), handle_(std::move(handle)) {}
    GuestFile(const GuestFile&) = delete;
    GuestFile& operator=(const GuestFile&) = delete;
    ~GuestFile() {
        try {
            ask(call_, "guest-file-close", {{"handle", handle_}});
        } catch (...) {
            // The content that was read is good all the same, and an agent that is gone has closed its files.
        }
    }

    /// The reply with the next bytes in base64, which tells also whether the file ends after them.
    bj::value read(std::int64_t count) const {
        return ask(call_, "guest-file-read", {{"handle", handle_}, {"count", count}});
    }

  private:
    const AgentCall& call_;
    bj::value handle_;
};

/// The handle of the opened file; nothing when the guest has no such file.
std::optional<bj::value> open_file(const AgentCall& call, std::string_view path) {
    try {
        bj::value handle = ask(call, "guest-file-open", {{"path", path}, {"mode", "r"}});
        if (handle.is_number()) return handle;
        throw Error(Code::guest, "the guest agent opened " + text::printable(path) + " without a handle");
    } catch (const Error& error) {
        bool absent = error.code() == Code::guest && error.message().find(no_such_file) != std::string::npos;
        if (absent) return std::nullopt;
        throw;
    }
}

bool exists(const AgentCall& call, std::string_view path) {
    auto handle = open_file(call, path);
    if (handle) GuestFile closes_it(call, *handle);
    return handle.has_value();
}

} // namespace

bool ping(const AgentCall& call) {
    try {
        ask(call, "guest-ping");
        return true;
    } catch (const Error& error) {
        if (error.code() == Code::guest) return false;
        throw;
    }
}

std::optional<std::string> read_file(const AgentCall& call, std::string_view path) {
    auto handle = open_file(call, path);
    if (!handle) return std::nullopt;
    GuestFile file(call, *handle);
    std::string content;
    for (;;) {
        bj::value part = file.read(largest_file + 1 - static_cast<std::int64_t>(content.size()));
        auto bytes = base64::decode(json::string_or(part, "buf-b64", ""));
        if (!bytes)
            throw Error(Code::guest, "the guest agent sent " + text::printable(path) + " in broken base64");
        content += *bytes;
        if (content.size() > static_cast<std::size_t>(largest_file))
            throw Error(Code::guest, "the guest's " + text::printable(path) + " is larger than 64 KiB");
        if (bytes->empty() || json::is_true(part, "eof")) return content;
    }
}

namespace {

using Kind = CloudInitState::Kind;

/// cloud-init's stages, in the order of a boot (cloudinit/cmd/main.py, status_wrapper).
constexpr std::array<std::string_view, 5> stages{"init-local", "init", "modules-init", "modules-config",
                                                 "modules-final"};

void quote_errors(std::string& detail, json::MaybeObject from) {
    for (const std::string& error : json::strings_in(from, "errors")) {
        if (!detail.empty()) detail += "; ";
        detail += text::printable(error);
    }
}

/// One line of bounded length, never cut within a character.
std::string capped(std::string detail) {
    return text::printable(detail, longest_detail);
}

/// cloud-init's "DataSourceNone" means that no seed was found: it makes no user and no address.
bool is_no_datasource(std::string_view datasource) {
    return datasource.substr(0, datasource.find(' ')) == "DataSourceNone";
}

bool is_time(const bj::value* value) {
    return value != nullptr && value->is_number() && value->to_number<double>() > 0;
}

CloudInitState failed_without_datasource() {
    return {Kind::failed, "cloud-init found no datasource (it did not see the seed)", false};
}

/// Reads status.json, which cloud-init rewrites whenever a stage begins or ends.
CloudInitState from_status(std::string_view status_json) {
    boost::system::error_code malformed;
    bj::value status = bj::parse(status_json, malformed);
    const bj::value* v1 = malformed ? nullptr : json::member(status, "v1");
    if (v1 == nullptr)
        return {Kind::unknown, "the guest's /run/cloud-init/status.json cannot be read", false};

    auto finished = [&](std::string_view stage) {
        return is_time(json::member(json::object_in(*v1, stage), "finished"));
    };
    const std::string datasource = json::string_or(*v1, "datasource", "");
    bool searched = finished("init") || finished("modules-final");
    if (is_no_datasource(datasource) || (datasource.empty() && searched)) return failed_without_datasource();

    if (finished("modules-final")) {
        std::string errors;
        for (std::string_view stage : stages) quote_errors(errors, json::object_in(*v1, stage));
        return {Kind::done, capped(std::move(errors)), false};
    }
    const std::string stage = json::string_or(*v1, "stage", "");
    return {Kind::running, stage.empty() ? "" : "cloud-init is in stage " + text::printable(stage, 40),
            stage.empty()};
}

/// Reads result.json, which the final stage writes when it ends.
CloudInitState from_result(std::string_view result_json) {
    boost::system::error_code malformed;
    bj::value result = bj::parse(result_json, malformed);
    const bj::value* v1 = malformed ? nullptr : json::member(result, "v1");
    if (v1 == nullptr)
        return {Kind::unknown, "the guest's /run/cloud-init/result.json cannot be read", false};
    const std::string datasource = json::string_or(*v1, "datasource", "");
    if (datasource.empty() || is_no_datasource(datasource)) return failed_without_datasource();
    std::string errors;
    quote_errors(errors, *v1);
    return {Kind::done, capped(std::move(errors)), false};
}

} // namespace

// While cloud-init runs, each look reads one file. The other files are asked for only when it is absent:
// before the first stage, when the generator switched cloud-init off, or in a guest without /run/cloud-init.
CloudInitState cloud_init_state(const AgentCall& call) {
    if (auto status = read_file(call, "/run/cloud-init/status.json")) return from_status(*status);
    if (exists(call, "/run/cloud-init/disabled"))
        return {Kind::disabled, "cloud-init is switched off in the guest", false};
    bool enabled = exists(call, "/run/cloud-init/enabled");
    bool finished = exists(call, "/var/lib/cloud/instance/boot-finished");
    if (finished) {
        if (auto result = read_file(call, "/run/cloud-init/result.json")) return from_result(*result);
        if (!enabled) return {Kind::done, "", false};
    }
    // Enabled but not begun: a boot-finished found here is from an earlier boot.
    if (enabled) return {Kind::running, "", true};
    return {Kind::unknown, "", false};
}

} // namespace blockhost::guest
