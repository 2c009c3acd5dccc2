// SPDX-License-Identifier: MIT
#pragma once
/// One request and its response, within the attempts of one call.

#include "base/time.hpp"
#include "http/attempt.hpp"
#include "http/meter.hpp"
#include "http/response.hpp"
#include "http/store.hpp"

namespace blockhost::http {

/// What all requests of one call share.
class Errand {
  public:
    Errand(std::string url_of_caller, const Manner& given_manner, const Watch& given_watch,
           Store& given_store, std::optional<std::string> posted = std::nullopt)
        : url(std::move(url_of_caller)), name(posted ? shown_origin(url) : shown(url)),
          body(std::move(posted)), manner(given_manner), store(given_store), watch_(given_watch),
          deadline_(Deadline::in(given_manner.deadline)) {}

    const std::string url;                 ///< the caller's; requests may go elsewhere
    const std::string name;                ///< the URL's name in messages
    const std::optional<std::string> body; ///< the body to post; nothing: GETs
    const Manner& manner;
    Store& store;
    int attempts = 0;
    bool trusts_ranges = true; ///< until an answer to a range request was useless

    /// Throws what the caller's check throws, and Error{no_answer} when the deadline has passed.
    void check();
    /// Passes the size on, if it is known and new.
    void announce(std::optional<std::uint64_t> total);
    void tell_progress();
    void tell_end();
    /// Waits; throws like check(). False, without waiting, when the deadline would pass meanwhile.
    bool pause(std::chrono::milliseconds span);

  private:
    const Watch& watch_;
    Deadline deadline_;
    Meter meter_;
    std::optional<std::uint64_t> announced_;
};

/// What to do after a response.
struct Turn {
    enum class Kind { done, ask_anew, redirect, failed };
    Kind kind = Kind::failed;
    Failed failed;        ///< for `failed`
    std::string location; ///< for `redirect`
};

/// Requests from `url` what the store lacks, and stores what arrives.
Turn ask(Errand& errand, const std::string& url);

} // namespace blockhost::http
