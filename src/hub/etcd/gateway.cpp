// SPDX-License-Identifier: MIT
#include "hub/etcd/gateway.hpp"

#include "base/text/base64.hpp"
#include "base/text/json.hpp"
#include "base/text/text.hpp"
#include "config/secret_file.hpp"

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

namespace blockhost::hub::etcd {

namespace bj = boost::json;

namespace {

constexpr int ok = 200;
// gRPC's status codes.
constexpr int deadline_exceeded = 4, permission_denied = 7, resource_exhausted = 8, unavailable = 14,
              unauthenticated = 16;
constexpr std::chrono::seconds patience(20), to_connect(5);
constexpr std::size_t longest_line = 1u << 20;

bool has(std::string_view text, std::string_view words) {
    return text.find(words) != text.npos;
}

/// The token's time is over, or users and roles were changed since.
bool wants_login(int code, std::string_view words) {
    return code == unauthenticated || has(words, "invalid auth token") ||
           has(words, "revision of auth store is old") || has(words, "user name is empty");
}

/// Another member may answer.
bool is_members_own(int code) {
    return code == unavailable || code == deadline_exceeded;
}

Error strange(const std::string& name, std::string_view what) {
    return Error(Code::invalid,
                 fmt::format("{} answers otherwise than etcd: {}", name, text::printable(what)),
                 "is that etcd 3.4 or later, and its address right?");
}

bj::object parsed(const std::string& name, std::string_view text) {
    try {
        bj::value document = json::parse(text, name);
        if (document.is_object()) return std::move(document.get_object());
    } catch (const Error& error) {
        throw strange(name, error.message());
    }
    throw strange(name, "no object");
}

Refused refused(const std::string& name, const http::Response& response) {
    bj::object said;
    try {
        said = parsed(name, response.body);
    } catch (const Error&) {
        constexpr int servers_own = 500;
        const bool is_servers = response.head.status >= servers_own;
        const auto lines = text::last_lines(response.body, 1);
        const std::string words = lines.empty() ? text::printable(response.head.reason, 80) : lines.front();
        const Error error(
            is_servers ? Code::no_answer : Code::io,
            fmt::format("{} answered {}: {}", name, response.head.status, words),
            has(words, "CommonName")
                ? "give this client a certificate without a common name: etcd takes no other here"
                : "is that etcd 3.4 or later, and its address right?");
        return {error, is_servers ? unavailable : 0, words};
    }
    return refusal_in(name, said);
}

} // namespace

/// Of calls whose answers come one by one, the gateway tells an error within a member of its own.
Refused refusal_in(const std::string& name, const bj::object& told) {
    const bj::object& inner = json::object_in(told, "error");
    const bj::object& said = inner.empty() ? told : inner;
    const int code = static_cast<int>(
        json::integer_in(said, "grpc_code").value_or(json::integer_in(said, "code").value_or(0)));
    const std::string words = json::string_or(said, "message", json::string_or(said, "error", ""));
    const std::string sentence = fmt::format("{} says: {}", name, text::printable(words));
    const auto as = [&](Code kind, std::string hint) {
        return Refused(Error(kind, sentence, std::move(hint)), code, words);
    };
    if (code == permission_denied)
        return as(Code::denied, "let 'blockhost-libvirt hub init-etcd' make this host's role");
    if (has(words, "authentication failed"))
        return as(Code::denied, "see that user and password are those that the cluster has for this host");
    if (has(words, "authentication is not enabled"))
        return as(Code::denied, "let 'blockhost-libvirt hub init-etcd' make users and roles");
    if (has(words, "request is too large"))
        return as(Code::io, "let the cluster take more: etcd's --max-request-bytes");
    if (code == resource_exhausted || has(words, "database space exceeded"))
        return as(Code::no_answer,
                  "the cluster has no room: compact and defragment it, then disarm its alarm");
    return as(is_members_own(code) ? Code::no_answer : Code::io, "see the cluster's own logs");
}

namespace {

std::string decoded(const bj::object& object, std::string_view key) {
    const auto bytes = base64::decode(json::string_or(object, key, ""));
    if (!bytes) throw Error(Code::invalid, fmt::format("etcd's \"{}\" is no base64", key));
    return *bytes;
}

} // namespace

struct Gateway::Asked {
    const std::string& path;
    const bj::object& request;
    std::size_t largest;
    std::chrono::milliseconds patience;
    std::function<bool(std::string_view)> stream = {};
};

Gateway::Gateway(Access access, std::function<void()> check)
    : access_(std::move(access)), session_(access_.trust, std::move(check)) {}

std::string Gateway::name() const {
    return http::shown_origin(access_.urls[member_]);
}

http::Response Gateway::ask_member(const Asked& asked) {
    http::Call call{.method = "POST",
                    .url = access_.urls[member_] + "/v3/" + asked.path,
                    .headers = {"Content-Type: application/json", "Expect:"},
                    .body = bj::serialize(asked.request),
                    .largest = asked.largest,
                    .patience = asked.patience,
                    .connect = to_connect,
                    .stream = asked.stream};
    if (!token_.empty()) call.headers.push_back("Authorization: " + token_);
    http::Response response = session_.call(call);
    if (response.head.status != ok) throw refused(name(), response);
    return response;
}

http::Response Gateway::ask(const Asked& asked) {
    bool is_new_login = false;
    for (std::size_t left = access_.urls.size();;) {
        try {
            if (token_.empty() && !access_.user.empty()) {
                log_in();
                is_new_login = true;
            }
            return ask_member(asked);
        } catch (const Refused& error) {
            if (wants_login(error.code(), error.words()) && !is_new_login && !token_.empty()) {
                token_.clear();
                continue;
            }
            if (!is_members_own(error.code()) || asked.stream || --left == 0) throw;
        } catch (const http::NoResponse& error) {
            if (error.code() == Code::interrupted || asked.stream || --left == 0) throw;
        }
        next_member();
    }
}

void Gateway::next_member() {
    member_ = (member_ + 1) % access_.urls.size();
}

void Gateway::move_on() {
    next_member();
    token_.clear();
}

void Gateway::log_in() {
    const std::string path = "auth/authenticate";
    const bj::object request{{"name", access_.user},
                             {"password", read_secret(access_.password_file, "the password for etcd")}};
    const auto response = ask_member({path, request, usual_answer, patience});
    token_ = json::string_or(parsed(name(), response.body), "token", "");
    if (token_.empty()) throw strange(name(), "a login without a token");
}

bj::object Gateway::call(const std::string& path, const bj::object& request, std::size_t largest) {
    return parsed(name(), ask({path, request, largest, patience}).body);
}

void Gateway::listen(const std::string& path, const bj::object& request, std::chrono::seconds most,
                     const std::function<bool(const bj::object&)>& take) {
    std::string line;
    const auto stream = [&](std::string_view bytes) {
        line += bytes;
        for (std::size_t end; (end = line.find('\n')) != line.npos; line.erase(0, end + 1)) {
            const bj::object told = parsed(name(), std::string_view(line).substr(0, end));
            if (!take(told)) return false;
        }
        if (line.size() > longest_line) throw strange(name(), "a line without an end");
        return true;
    };
    try {
        ask({path, request, usual_answer, most, stream});
    } catch (const http::NoResponse& error) {
        // Its time is over.
        if (error.failed().why != http::Why::stalled || error.code() == Code::interrupted) throw;
    }
}

std::string range_end(std::string prefix) {
    while (!prefix.empty()) {
        if (static_cast<unsigned char>(prefix.back()) < 0xff) {
            prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
            return prefix;
        }
        prefix.pop_back();
    }
    return std::string(1, '\0');
}

bj::object get(std::string_view key) {
    return {{"key", base64::encode(key)}};
}

bj::object get_below(std::string_view prefix, bool keys_only) {
    return {{"key", base64::encode(prefix)},
            {"range_end", base64::encode(range_end(std::string(prefix)))},
            {"keys_only", keys_only}};
}

bj::object put(std::string_view key, std::string_view value, std::int64_t lease) {
    bj::object request{{"key", base64::encode(key)}, {"value", base64::encode(value)}};
    if (lease != 0) request["lease"] = std::to_string(lease);
    return request;
}

bj::object was_modified_at(std::string_view key, std::int64_t revision) {
    return {{"key", base64::encode(key)},
            {"target", "MOD"},
            {"result", "EQUAL"},
            {"mod_revision", std::to_string(revision)}};
}

std::int64_t number_in(const bj::object& object, std::string_view key) {
    const auto* value = json::member(object, key);
    if (value == nullptr) return 0;
    const auto number =
        value->is_string() ? text::parse_int(value->get_string()) : json::integer_in(object, key);
    if (!number) throw Error(Code::invalid, fmt::format("etcd's \"{}\" is no number", key));
    return *number;
}

std::vector<Item> items_in(const bj::object& range) {
    std::vector<Item> items;
    const auto* all = json::member(range, "kvs");
    if (all == nullptr) return items;
    if (!all->is_array()) throw Error(Code::invalid, "etcd's \"kvs\" is no list");
    for (const bj::value& each : all->get_array()) {
        if (!each.is_object()) throw Error(Code::invalid, "etcd's \"kvs\" has something that is no object");
        const bj::object& told = each.get_object();
        items.push_back({decoded(told, "key"), decoded(told, "value"), number_in(told, "mod_revision")});
    }
    return items;
}

std::int64_t revision_of(const bj::object& answer) {
    return number_in(json::object_in(answer, "header"), "revision");
}

} // namespace blockhost::hub::etcd
