#pragma once
/// Which URLs we fetch, which failures are worth another attempt, and what is said of them.

#include "base/error.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace blockhost::http {

/// Redirects that one attempt follows.
constexpr int most_redirects = 10;

enum class Schemes { https, http_too };

/// What speaks against asking `url`, as the end of a sentence about it ("is not https"); empty: nothing.
/// Only those schemes, without userinfo (it would end in logs), with a host, spelled in printable ASCII.
std::string objection_to(std::string_view url, Schemes schemes = Schemes::https);

/// `url` as messages show it: printable, without userinfo, query and fragment, which may be secrets.
std::string shown(std::string_view url);
/// Whether `url` leads to this very host: to localhost, an address of 127.0.0.0/8 in full, or [::1].
bool is_loopback(std::string_view url);
/// Whether what is said to `url` and answered can be read and changed on its way: http to another host.
bool is_unprotected(std::string_view url);
/// Scheme, host and port of `url` alone, "the URL" where it has none: the path of an endpoint may be a secret
/// too.
std::string shown_origin(std::string_view url);

/// Why an attempt brought nothing.
enum class Why {
    status,      ///< the server's answer; Failed::status says which
    proxy,       ///< the proxy's answer, likewise
    redirect,    ///< to where we do not go; Failed::words is the end of the sentence
    unreachable, ///< no name, no connection, no greeting
    stalled,     ///< too little arrived for too long
    broken,      ///< the connection ended too early
    oversized,   ///< more came than was announced
    untrusted,   ///< the server's certificate
    unreadable,  ///< the certificates to trust cannot be read
    no_tls,      ///< the two sides agree on no TLS
    nonsense,    ///< no HTTP, or HTTP that contradicts itself
    unusable     ///< libcurl itself
};
struct Failed {
    Why why = Why::unusable;
    int status = 0;
    std::string words;     ///< evidence; outside text
    std::string body = {}; ///< of a status that a post got: what came with it; outside text
};

bool worth_retrying(const Failed& failed);

/// Before the attempt that follows `failed_attempts`: `first`, then twice as long each time, a minute at
/// most.
std::chrono::milliseconds pause_after(int failed_attempts, std::chrono::milliseconds first);

/// not_found for 404 and 410; denied for 401 and 403; no_answer for what another attempt may mend; io for
/// the rest.
/// `name`: the URL that the sentence is about.
enum class Act { fetch, post };
Error error_of(std::string_view name, const Failed& failed, int attempts, Act act = Act::fetch);

} // namespace blockhost::http
