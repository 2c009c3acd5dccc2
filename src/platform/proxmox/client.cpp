// SPDX-License-Identifier: MIT
#include "platform/proxmox/client.hpp"

#include "base/text/text.hpp"
#include "config/secret_file.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <sys/prctl.h>

namespace blockhost::platform::proxmox {

namespace {

constexpr std::string_view api = "/api2/json";
constexpr std::size_t longest_token = 512, longest_told = 1000;

bool is_visible(char c) {
    return c > ' ' && c < 0x7f;
}

/// "USER@REALM!TOKENID=SECRET".
bool is_token(std::string_view token) {
    const std::size_t realm = token.find('@'), name = token.find('!'), secret = token.rfind('=');
    return token.size() <= longest_token && realm != token.npos && name != token.npos &&
           secret != token.npos && realm > 0 && name > realm + 1 &&
           secret > name + 2 && // at least two characters
           secret + 1 < token.size() && std::ranges::all_of(token, is_visible) &&
           token.find(';') == token.npos;
}

std::string token_in(const std::filesystem::path& file) {
    std::string token = read_secret(file, "the API token");
    if (!is_token(token))
        throw Error(Code::config, file.string() + " holds no API token",
                    "write one line USER@REALM!TOKENID=SECRET into it");
    return token;
}

std::string privileges_of(const Refusal& refusal) {
    std::string words = refusal.privileges;
    for (std::size_t at = 0; (at = words.find('|', at)) != words.npos;) words.replace(at, 1, " or ");
    return words;
}

std::string parameters_of(const Refusal& refusal) {
    std::string told;
    for (const auto& [name, what] : refusal.parameters)
        told += (told.empty() ? ": " : "; ") + name + ": " + what;
    return text::printable(told, longest_told);
}

} // namespace

Error error_of(const Refusal& refusal, std::string_view what) {
    const std::string call(what);
    const std::string said = refusal.words.empty() ? "" : ": " + refusal.words;
    switch (refusal.kind) {
    case RefusalKind::unauthenticated:
        return Error(Code::denied, "the node does not accept the API token" + said,
                     "check that the token exists, has not expired, and that its user is enabled");
    case RefusalKind::forbidden:
        if (refusal.privileges.empty())
            return Error(Code::denied, call + " is not permitted" + said,
                         "see which privileges the token has");
        return Error(Code::denied, call + " needs " + privileges_of(refusal) + " on " + refusal.path,
                     "add the privilege to the token's role, and to its user's");
    case RefusalKind::root_only:
        return Error(Code::denied, "no API token may do this: " + call + said + parameters_of(refusal),
                     "do it as root on the node");
    case RefusalKind::invalid:
        return Error(Code::invalid, call + " was refused" + said + parameters_of(refusal));
    case RefusalKind::unknown_call:
        return Error(Code::hypervisor, "this node does not know " + call + said,
                     "check that its version is supported");
    case RefusalKind::no_guest:
        return Error(Code::not_found, call + ": there is no such guest on this node");
    case RefusalKind::no_node:
        return Error(Code::config, call + " names a node that its cluster does not know" + said,
                     "was the node renamed?");
    case RefusalKind::exists:
        return Error(Code::exists, call + said);
    case RefusalKind::busy:
        if (refusal.words.find("vzdump.lock") != std::string::npos)
            return Error(Code::busy, call + ": another backup ran on this node all the time" + said,
                         "try again when it has ended");
        return Error(Code::busy, call + ": something else works on that guest" + said, "try again later");
    case RefusalKind::locked:
        return Error(
            Code::wrong_state,
            fmt::format("{}: the guest is locked for \"{}\"", call, text::printable(refusal.lock)),
            "the lock ends with that operation; one that a crash left, only root on the node can remove: qm "
            "unlock or pct unlock");
    case RefusalKind::changed:
        return Error(Code::busy, call + ": the guest's configuration changed meanwhile", "read it again");
    case RefusalKind::wrong_state:
        return Error(Code::wrong_state, call + said);
    case RefusalKind::no_agent:
        return Error(Code::guest, call + said, "install and start qemu-guest-agent in the guest");
    case RefusalKind::no_reaction:
        return Error(Code::guest, call + ": the guest did not react to the shutdown" + said,
                     "a guest without a system or with a dead one never does: stop it by force");
    case RefusalKind::no_room:
        return Error(Code::no_room, call + ": the storage is full" + said,
                     "make room there, or name another storage");
    case RefusalKind::no_storage:
        return Error(Code::io, call + ": the storage is not there" + said,
                     "see that it is mounted and switched on, or name another one");
    case RefusalKind::not_executed:
        return Error(Code::no_answer,
                     call + " was not carried out: the node's daemon pvedaemon does not run" + said,
                     "systemctl status pvedaemon, on the node");
    case RefusalKind::unknown:
        return Error(Code::no_answer, call + " got no answer of the node's daemon" + said, "try again later");
    case RefusalKind::unreadable:
        return Error(Code::hypervisor, call + ": the answer is not that of a Proxmox node" + said,
                     "is there a proxy between?");
    case RefusalKind::other:
        break;
    }
    return Error(Code::hypervisor, call + " was refused" + said);
}

Client::Client(Access access, std::function<void()> check)
    : access_(std::move(access)), session_(access_.trust, std::move(check)) {
    prctl(PR_SET_DUMPABLE, 0); // the token is in no core
    const std::string token = token_in(access_.token_file);
    authorization_ = "Authorization: PVEAPIToken=" + token;
    user_ = token.substr(0, token.rfind('='));
}

http::Response Client::call(const http::Call& call) {
    try {
        return session_.call(call);
    } catch (const http::NoResponse& error) {
        if (error.failed().why != http::Why::untrusted || access_.trust.pins.empty()) throw;
        // Never the pin of the certificate that was refused: the node itself tells which one is right.
        throw http::NoResponse(
            Error(error.code(), error.message(),
                  "look on the node, and pin what it tells: openssl x509 -noout -fingerprint -sha256 -in "
                  "/etc/pve/local/pveproxy-ssl.pem, or pve-ssl.pem where there is no such file"),
            error.failed(), error.sent());
    }
}

RawAnswer Client::ask(const http::Call& call, std::string_view what) {
    http::Response response = this->call(call);
    RawAnswer answer{response.head.status, std::move(response.head.reason),
                     std::move(response.head.content_type), std::move(response.body)};
    if (answer.status >= 200 && answer.status < 300) return answer;
    Refusal refusal = refusal_of(answer);
    const Error error = error_of(refusal, what);
    throw Refused(error, std::move(refusal));
}

boost::json::value Client::get(std::string_view path, const Parameters& query) {
    const std::string what = "GET " + std::string(path);
    http::Call call{.url = access_.origin + std::string(api) + std::string(path),
                    .patience = access_.patience};
    if (!query.empty()) call.url += "?" + form_of(query);
    call.headers = {authorization_, "Accept: application/json"};
    auto data = data_of(ask(call, what));
    if (!data)
        throw Refused(error_of({RefusalKind::unreadable, {}, {}, {}, {}, {}}, what),
                      {RefusalKind::unreadable, {}, {}, {}, {}, {}});
    return std::move(*data);
}

boost::json::value Client::change(const Permit& /*of the action*/, const char* method, std::string_view path,
                                  const Parameters& parameters) {
    return send(method, path, parameters);
}

void Client::stop(const Upid& task) {
    send("DELETE", path_of(task), {});
}

boost::json::value Client::send(const char* method, std::string_view path, const Parameters& parameters) {
    const std::string what = std::string(method) + " " + std::string(path);
    http::Call call{.method = method,
                    .url = access_.origin + std::string(api) + std::string(path),
                    .patience = access_.patience};
    call.headers = {authorization_, "Accept: application/json"};
    if (std::string_view(method) == "DELETE") {
        if (!parameters.empty()) call.url += "?" + form_of(parameters);
    } else {
        call.body = form_of(parameters);
        call.headers.emplace_back("Content-Type: application/x-www-form-urlencoded");
        call.headers.emplace_back("Expect:"); // libcurl would ask for leave first, which costs a second
    }
    const auto lost = [&](const std::string& why) {
        return AnswerLost(Error(Code::no_answer, "whether " + what + " was carried out is not known: " + why,
                                "look at the guest before anything else is done to it"));
    };
    try {
        const RawAnswer answer = ask(call, what);
        auto data = data_of(answer);
        if (!data) throw lost("the answer is not that of a Proxmox node");
        return std::move(*data);
    } catch (const http::NoResponse& error) {
        if (!error.sent()) throw;
        throw lost(error.message());
    } catch (const Refused& refused) {
        const RefusalKind kind = refused.refusal().kind;
        if (kind != RefusalKind::unknown && kind != RefusalKind::unreadable) throw;
        throw lost(refused.message());
    }
}

} // namespace blockhost::platform::proxmox
