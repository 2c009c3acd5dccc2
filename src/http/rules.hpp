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

/// What speaks against fetching `url`, as the end of a sentence about it ("is not https"); empty: nothing.
/// Only https, without userinfo (it would end in logs), with a host, spelled in printable ASCII.
std::string objection_to(std::string_view url);

/// `url` as messages show it: printable, without userinfo, query and fragment, which may be secrets.
std::string shown(std::string_view url);

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
    std::string words; ///< evidence; outside text
};

bool worth_retrying(const Failed& failed);

/// Before the attempt that follows `failed_attempts`: `first`, then twice as long each time, a minute at
/// most.
std::chrono::milliseconds pause_after(int failed_attempts, std::chrono::milliseconds first);

/// not_found for 404 and 410; denied for 401 and 403; no_answer for what another attempt may mend; io for
/// the rest.
Error error_of(std::string_view url, const Failed& failed, int attempts);

} // namespace blockhost::http
