// SPDX-License-Identifier: MIT
/// See vitals.hpp. Reads uptime and connections from the guest's /proc by the agent's file calls: no program
/// is started in the guest.

#include "guest/vitals.hpp"

#include "base/text/base64.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "guest/message.hpp"

#include <algorithm>
#include <boost/json/array.hpp>

namespace blockhost::guest {

namespace {

namespace bj = boost::json;

constexpr std::size_t largest_file = 1 << 20;
constexpr std::int64_t read_size = 128 * 1024;
/// More than any guest has: larger values are nonsense.
constexpr std::int64_t most_connections = 100'000'000;
constexpr std::int64_t longest_uptime = 100ll * 366 * 24 * 3600;

Error nonsense(std::string_view command) {
    return Error(Code::guest, "the guest agent's reply to " + std::string(command) + " makes no sense");
}

std::optional<std::int64_t> root_used_bytes(const AgentCall& call) {
    const bj::value result = ask(call, "guest-get-fsinfo");
    if (!result.is_array()) return std::nullopt;
    for (const bj::value& each : result.get_array())
        if (json::string_or(each, "mountpoint", "") == "/") {
            const auto bytes = json::integer_in(each, "used-bytes");
            return bytes && *bytes >= 0 ? bytes : std::nullopt;
        }
    return std::nullopt;
}

/// One conversation. It knows which file is open in the guest, and whether more can be asked.
class Conversation {
  public:
    Conversation(const AgentCall& call, std::optional<std::int64_t> left_open)
        : call_(call), open_(left_open) {}

    bool over() const { return over_; }
    std::optional<std::int64_t> left_open() const { return open_; }

    /// `question()`, or an empty value when it failed. Only after an Error{guest} can more be asked.
    template<class Question>
    auto attempt(Question question) -> decltype(question()) {
        if (over_) return {};
        try {
            return question();
        } catch (const Error& error) {
            over_ = error.code() != Code::guest;
            return {};
        }
    }

    bool ping() {
        return attempt([&] {
            ask(call_, "guest-ping");
            return true;
        });
    }

    std::optional<std::string> file(std::string_view path) {
        return attempt([&]() -> std::optional<std::string> {
            const bj::value handle = ask(call_, "guest-file-open", {{"path", path}, {"mode", "r"}});
            if (!handle.is_int64()) throw nonsense("guest-file-open");
            open_ = handle.get_int64();
            auto content = attempt([&] { return content_of(*open_); });
            close();
            return content;
        });
    }

    /// Closes the open file. An agent that refuses because it does not know the file has closed it.
    void close() {
        if (!open_ || over_) return;
        attempt([&] {
            ask(call_, "guest-file-close", {{"handle", *open_}});
            return true;
        });
        if (!over_) open_.reset();
    }

  private:
    std::optional<std::string> content_of(std::int64_t handle) const {
        std::string content;
        while (content.size() <= largest_file) {
            const bj::value part = ask(call_, "guest-file-read", {{"handle", handle}, {"count", read_size}});
            const auto bytes = base64::decode(json::string_or(part, "buf-b64", ""));
            if (!bytes) return std::nullopt;
            content += *bytes;
            if (bytes->empty() || json::is_true(part, "eof")) return content;
        }
        return std::nullopt;
    }

    const AgentCall& call_;
    std::optional<std::int64_t> open_;
    bool over_ = false;
};

/// proc(5), /proc/uptime: "12345.67 54321.00".
std::optional<std::int64_t> uptime_in(const std::optional<std::string>& content) {
    if (!content) return std::nullopt;
    const auto seconds = text::parse_int(std::string_view(*content).substr(0, content->find('.')));
    if (!seconds || *seconds < 0 || *seconds > longest_uptime) return std::nullopt;
    return seconds;
}

/// The field CurrEstab in the two lines "Tcp: …" (names, then values) of /proc/net/snmp: the established
/// connections of both address families (RFC 4022, tcpCurrEstab), in a small file however many there are.
std::optional<std::int64_t> connections_in(const std::optional<std::string>& content) {
    if (!content) return std::nullopt;
    std::vector<std::string> names;
    for (const std::string& line : text::split(*content, '\n')) {
        if (!line.starts_with("Tcp:")) continue;
        if (names.empty()) {
            names = text::split(line, ' ');
            continue;
        }
        const auto values = text::split(line, ' ');
        const auto at =
            static_cast<std::size_t>(std::find(names.begin(), names.end(), "CurrEstab") - names.begin());
        if (at >= names.size() || at >= values.size()) return std::nullopt;
        const auto count = text::parse_int(values[at]);
        return count && *count >= 0 && *count <= most_connections ? count : std::nullopt;
    }
    return std::nullopt;
}

} // namespace

Vitals look_at(const AgentCall& call, Depth depth, std::optional<std::int64_t> left_open) {
    Conversation progress(call, left_open);
    Vitals vitals;
    vitals.answers = depth == Depth::rest || progress.ping();
    if (vitals.answers) progress.close();
    if (vitals.answers && depth != Depth::ping) {
        vitals.slow.uptime_s = uptime_in(progress.file("/proc/uptime"));
        vitals.slow.connections = connections_in(progress.file("/proc/net/snmp"));
        vitals.slow.disk_used_bytes = progress.attempt([&] { return root_used_bytes(call); });
        vitals.looked = !progress.over();
    }
    vitals.left_open = progress.left_open();
    return vitals;
}

} // namespace blockhost::guest
