// SPDX-License-Identifier: MIT
// Rules for URLs and retries, and the messages about failures.
#include "http/rules.hpp"

#include "base/text/text.hpp"

#include <algorithm>
#include <arpa/inet.h>

namespace blockhost::http {

namespace {

constexpr std::string_view scheme = "https://", plain_scheme = "http://";
constexpr std::size_t longest_url = 4000;

bool has_prefix(std::string_view s, std::string_view prefix) {
    return text::lower(s.substr(0, prefix.size())) == prefix;
}

/// The part between scheme and path: "user@host:port".
std::string_view authority_of(std::string_view url) {
    auto begin = url.find("://");
    if (begin == url.npos) return {};
    std::string_view rest = url.substr(begin + 3);
    return rest.substr(0, rest.find_first_of("/?#\\"));
}

bool is_plain(char c) {
    return c > ' ' && c < 0x7f && c != '\\';
}

std::string sentence_of(const std::string& url, const Failed& failed, Act act) {
    std::string words = failed.words.empty() ? "" : ": " + text::printable(failed.words);
    std::string status = std::to_string(failed.status);
    switch (failed.why) {
    case Why::status:
        return url +
               (act == Act::post ? " refused the request: it answered "
                                 : " was not given: the server answered ") +
               status;
    case Why::proxy:
        return url + " was not given: the proxy answered " + status;
    case Why::redirect:
        return url + " " + text::printable(failed.words, 600);
    case Why::unreachable:
        return url + " cannot be reached" + words;
    case Why::stalled:
        return url + " stalled" + words;
    case Why::broken:
        return url + " broke off" + words;
    case Why::oversized:
        return url + " is larger than its server announced" + words;
    case Why::untrusted:
        return "the server of " + url + " is not trusted" + words;
    case Why::unreadable:
        return url + " cannot be trusted" + words;
    case Why::no_tls:
        return "the server of " + url + " does not speak the TLS that we do" + words;
    case Why::nonsense:
        return "the server of " + url + " does not answer as HTTP demands" + words;
    case Why::unusable:
        break;
    }
    return url + (act == Act::post ? " cannot be asked" : " cannot be fetched") + words;
}

Code code_of(const Failed& failed) {
    if (failed.why == Why::status && (failed.status == 404 || failed.status == 410)) return Code::not_found;
    if (failed.why == Why::status && (failed.status == 401 || failed.status == 403)) return Code::denied;
    return worth_retrying(failed) ? Code::no_answer : Code::io;
}

std::string hint_of(const Failed& failed, Act act) {
    switch (failed.why) {
    case Why::proxy:
        return "look at https_proxy and no_proxy in the environment";
    case Why::unreachable:
        return "check the network, and https_proxy and no_proxy in the environment";
    case Why::stalled:
    case Why::broken:
        return "check the network and try again later";
    case Why::untrusted:
        return act == Act::post ? "use a server with a certificate that this host trusts"
                                : "if it is yours, name its certificate authority by --ca-file";
    case Why::unreadable:
        return act == Act::post ? "apt-get install ca-certificates"
                                : "check --ca-file; without it: apt-get install ca-certificates";
    case Why::no_tls:
        return "it must speak TLS 1.2 or later";
    case Why::status:
        return worth_retrying(failed) ? "try again later" : "check the URL";
    default:
        return act == Act::post ? "check the URL" : "check the URL, or use another mirror";
    }
}

} // namespace

std::string objection_to(std::string_view url, Schemes schemes) {
    const bool plain = schemes == Schemes::http_too;
    if (!has_prefix(url, scheme) && !(plain && has_prefix(url, plain_scheme)))
        return plain ? "is neither https nor http" : "is not https";
    if (url.size() > longest_url) return "is longer than " + std::to_string(longest_url) + " bytes";
    if (!std::all_of(url.begin(), url.end(), is_plain)) return "has characters that a URL spells with %";
    std::string_view authority = authority_of(url);
    if (authority.find('@') != authority.npos) return "has a user name or password in it";
    if (authority.empty() || authority.front() == ':') return "names no host";
    if (authority.find('%') != authority.npos) return "hides its host's name behind %";
    return {};
}

std::string shown(std::string_view url) {
    std::string kept(url.substr(0, url.find_first_of("?#")));
    std::string_view authority = authority_of(kept);
    if (auto at = authority.rfind('@'); at != authority.npos)
        kept.erase(static_cast<std::size_t>(authority.data() - kept.data()), at + 1);
    return text::printable(kept);
}

std::string shown_origin(std::string_view url) {
    std::string_view authority = authority_of(url);
    if (authority.empty()) return "the URL";
    return shown(url.substr(0, static_cast<std::size_t>(authority.data() + authority.size() - url.data())));
}

bool is_loopback(std::string_view url) {
    const std::string authority = text::lower(authority_of(url));
    if (authority.find('@') != authority.npos) return false;
    if (authority == "[::1]" || authority.starts_with("[::1]:")) return true;
    const std::string host = authority.substr(0, authority.find(':'));
    in_addr address{};
    constexpr std::uint32_t first_byte = 0xff000000, loopback = 0x7f000000;
    return host == "localhost" || (inet_pton(AF_INET, host.c_str(), &address) == 1 &&
                                   (ntohl(address.s_addr) & first_byte) == loopback);
}

bool is_unprotected(std::string_view url) {
    if (!has_prefix(url, plain_scheme)) return false;
    return !is_loopback(url);
}

bool worth_retrying(const Failed& failed) {
    switch (failed.why) {
    case Why::status:
    case Why::proxy:
        return failed.status == 408 || failed.status == 429 || failed.status >= 500;
    case Why::unreachable:
    case Why::stalled:
    case Why::broken:
        return true;
    default:
        return false;
    }
}

std::chrono::milliseconds pause_after(int failed_attempts, std::chrono::milliseconds first) {
    constexpr std::chrono::milliseconds longest = std::chrono::minutes(1);
    auto pause = first;
    for (int i = 1; i < failed_attempts && pause < longest; ++i) pause *= 2;
    return std::min(pause, longest);
}

Error error_of(std::string_view name, const Failed& failed, int attempts, Act act) {
    std::string count = attempts == 1 ? " (1 attempt)" : " (" + std::to_string(attempts) + " attempts)";
    return Error(code_of(failed), sentence_of(shown(name), failed, act) + count, hint_of(failed, act));
}

} // namespace blockhost::http
