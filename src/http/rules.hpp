// SPDX-License-Identifier: MIT
#pragma once
/// Which URLs may be fetched, which failures are worth another attempt, and how failures are described.

#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace blockhost::http {

/// How many redirects one attempt follows.
constexpr int most_redirects = 10;

enum class Schemes { https, http_too };

/// Why `url` may not be fetched, as the end of a sentence ("is not https"); empty when it may. A URL needs
/// one of those schemes, a host and printable ASCII, and no userinfo (which would end in logs).
std::string objection_to(std::string_view url, Schemes schemes = Schemes::https);

/// `url` for messages: printable, and without userinfo, query and fragment, which may be secrets.
std::string shown(std::string_view url);
/// Whether `url` leads to this host: localhost, a full address of 127.0.0.0/8, or [::1].
bool is_loopback(std::string_view url);
/// Whether others can read and change the traffic with `url` on its way: http to another host.
bool is_unprotected(std::string_view url);
/// Only scheme, host and port of `url`, or "the URL" when it has none: an endpoint's path may be a secret
/// too.
std::string shown_origin(std::string_view url);

/// Why an attempt failed.
enum class Why {
    status,      ///< the server's answer is Failed::status
    proxy,       ///< the proxy's answer is Failed::status
    redirect,    ///< to a URL that is not followed; Failed::words ends the sentence
    unreachable, ///< no name, no connection, no handshake
    stalled,     ///< too little arrived for too long
    broken,      ///< the connection ended too early
    oversized,   ///< more bytes came than were announced
    untrusted,   ///< the server's certificate is not trusted
    unreadable,  ///< the certificates to trust cannot be read
    no_tls,      ///< both sides support no common TLS
    nonsense,    ///< not HTTP, or HTTP that contradicts itself
    unusable     ///< libcurl itself failed
};
struct Failed {
    Why why = Why::unusable;
    int status = 0;
    std::string words;     ///< evidence; outside text
    std::string body = {}; ///< the body of an error status that a post got; outside text
};

bool worth_retrying(const Failed& failed);

/// The pause before the attempt that follows `failed_attempts`: `first`, doubled for each further one, a
/// minute at most.
std::chrono::milliseconds pause_after(int failed_attempts, std::chrono::milliseconds first);

/// not_found for 404 and 410; denied for 401 and 403; no_answer when another attempt may succeed; io
/// otherwise.
/// `name`: the URL that the message is about.
enum class Act { fetch, post };
Error error_of(std::string_view name, const Failed& failed, int attempts, Act act = Act::fetch);

} // namespace blockhost::http
