// The QEMU guest agent's messages, and what cloud-init's own files say about its run.
#include "guest/agent.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>

namespace blockhost::guest {

namespace {

namespace bj = boost::json;

constexpr std::int64_t largest_file = 64 * 1024;
constexpr std::size_t longest_detail = 600;
constexpr std::string_view no_such_file =
    "No such file or directory"; // strerror(ENOENT), as qemu-ga quotes it

/// The member when `value` is an object that has it; else null.
const bj::value* member(const bj::value& value, std::string_view key) {
    const bj::object* object = value.if_object();
    return object == nullptr ? nullptr : object->if_contains(key);
}

std::string_view text_of(const bj::value* value) {
    const bj::string* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string_view() : std::string_view(*text);
}

/// Sends one command and returns what it returned. An error reply that the transport let through counts as
/// Error{guest}.
bj::value ask(const AgentCall& call, std::string_view command, bj::object arguments = {}) {
    bj::object message{{"execute", command}};
    if (!arguments.empty()) message["arguments"] = std::move(arguments);
    boost::system::error_code malformed;
    bj::value reply = bj::parse(call(bj::serialize(message)), malformed);
    if (malformed)
        throw Error(Code::guest, "the guest agent's reply to " + std::string(command) + " is not JSON");
    if (const bj::value* error = member(reply, "error"))
        throw Error(Code::guest, "the guest agent refused " + std::string(command) + ": " +
                                     text::printable(text_of(member(*error, "desc"))));
    const bj::value* returned = member(reply, "return");
    if (returned == nullptr)
        throw Error(Code::guest, "the guest agent's reply to " + std::string(command) + " has no result");
    return *returned;
}

/// A file open in the guest; closed in every case.
class GuestFile {
  public:
    GuestFile(const AgentCall& call, bj::value handle) : call_(call), handle_(std::move(handle)) {}
    GuestFile(const GuestFile&) = delete;
    GuestFile& operator=(const GuestFile&) = delete;
    ~GuestFile() {
        try {
            ask(call_, "guest-file-close", {{"handle", handle_}});
        } catch (...) {
            // What was read is good all the same; an agent that is gone has closed its files.
        }
    }

    /// The next bytes as base64, and whether the file ends after them.
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

int base64_digit(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

} // namespace

std::optional<std::string> decode_base64(std::string_view encoded) {
    if (encoded.size() % 4 != 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && encoded.ends_with('=')) {
        encoded.remove_suffix(1);
        ++padding;
    }
    std::string bytes;
    bytes.reserve(encoded.size() * 3 / 4);
    unsigned held = 0;
    int bits = 0;
    for (char c : encoded) {
        int digit = base64_digit(c);
        if (digit < 0) return std::nullopt;
        held = held << 6 | static_cast<unsigned>(digit);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        bytes += static_cast<char>(held >> bits & 0xff);
    }
    return bytes;
}

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
        auto bytes = decode_base64(text_of(member(part, "buf-b64")));
        if (!bytes)
            throw Error(Code::guest, "the guest agent sent " + text::printable(path) + " in broken base64");
        content += *bytes;
        if (content.size() > static_cast<std::size_t>(largest_file))
            throw Error(Code::guest, "the guest's " + text::printable(path) + " is larger than 64 KiB");
        const bj::value* end = member(part, "eof");
        if (bytes->empty() || (end != nullptr && end->is_bool() && end->get_bool())) return content;
    }
}

namespace {

using Kind = CloudInitState::Kind;

/// cloud-init's stages, in the order of a boot (cloudinit/cmd/main.py, status_wrapper).
constexpr std::array<std::string_view, 5> stages{"init-local", "init", "modules-init", "modules-config",
                                                 "modules-final"};

void quote_errors(std::string& detail, const bj::value* errors) {
    const bj::array* list = errors == nullptr ? nullptr : errors->if_array();
    if (list == nullptr) return;
    for (const bj::value& error : *list) {
        if (!detail.empty()) detail += "; ";
        detail += text::printable(text_of(&error));
    }
}

/// One line of bounded length, never cut within a character.
std::string capped(std::string detail) {
    return text::printable(detail, longest_detail);
}

/// "DataSourceNone" is what cloud-init falls back to when no seed was found; it makes no user and no address.
bool is_no_datasource(std::string_view datasource) {
    return datasource.substr(0, datasource.find(' ')) == "DataSourceNone";
}

bool is_time(const bj::value* value) {
    return value != nullptr && value->is_number() && value->to_number<double>() > 0;
}

CloudInitState failed_without_datasource() {
    return {Kind::failed, "cloud-init found no datasource (it did not see the seed)", false};
}

/// From status.json, which cloud-init rewrites as each stage begins and ends.
CloudInitState from_status(std::string_view status_json) {
    boost::system::error_code malformed;
    bj::value status = bj::parse(status_json, malformed);
    const bj::value* v1 = malformed ? nullptr : member(status, "v1");
    if (v1 == nullptr)
        return {Kind::unknown, "the guest's /run/cloud-init/status.json cannot be read", false};

    auto finished = [&](std::string_view stage) {
        const bj::value* run = member(*v1, stage);
        return run != nullptr && is_time(member(*run, "finished"));
    };
    std::string_view datasource = text_of(member(*v1, "datasource"));
    bool searched = finished("init") || finished("modules-final");
    if (is_no_datasource(datasource) || (datasource.empty() && searched)) return failed_without_datasource();

    if (finished("modules-final")) {
        std::string errors;
        for (std::string_view stage : stages)
            if (const bj::value* run = member(*v1, stage)) quote_errors(errors, member(*run, "errors"));
        return {Kind::done, capped(std::move(errors)), false};
    }
    std::string_view stage = text_of(member(*v1, "stage"));
    return {Kind::running, stage.empty() ? "" : "cloud-init is in stage " + text::printable(stage, 40),
            stage.empty()};
}

/// From result.json, which the final stage leaves when it ends.
CloudInitState from_result(std::string_view result_json) {
    boost::system::error_code malformed;
    bj::value result = bj::parse(result_json, malformed);
    const bj::value* v1 = malformed ? nullptr : member(result, "v1");
    if (v1 == nullptr)
        return {Kind::unknown, "the guest's /run/cloud-init/result.json cannot be read", false};
    std::string_view datasource = text_of(member(*v1, "datasource"));
    if (datasource.empty() || is_no_datasource(datasource)) return failed_without_datasource();
    std::string errors;
    quote_errors(errors, member(*v1, "errors"));
    return {Kind::done, capped(std::move(errors)), false};
}

} // namespace

// A look at a running cloud-init is one file. The other files are asked for only where that one is absent:
// before its first stage, where the generator switched it off, or in a guest without a /run/cloud-init.
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
    // Switched on and not begun: a boot-finished found here is an earlier boot's.
    if (enabled) return {Kind::running, "", true};
    return {Kind::unknown, "", false};
}

} // namespace blockhost::guest
