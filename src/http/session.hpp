// SPDX-License-Identifier: MIT
#pragma once
/// Calls of one server's API: each is sent once, over connections that are kept where that is safe.

#include "base/error.hpp"
#include "base/time.hpp"
#include "http/attempt.hpp"
#include "http/pins.hpp"
#include "http/response.hpp"

#include <filesystem>
#include <functional>

namespace blockhost::http {

/// Which server is the right one.
struct Trust {
    std::vector<Pin> pins;         ///< not empty: one of them fits, and nothing else is asked
    std::filesystem::path ca_file; ///< without pins: replaces the system's trusted certificates; empty: those
    /// By which the server knows who calls, as Manner has them; empty: by none.
    std::filesystem::path certificate_file = {}, key_file = {};
};

struct Call {
    const char* method = "GET";
    std::string url;
    std::vector<std::string> headers = {};            ///< "Name: value"
    std::optional<std::string> body = {};             ///< must be empty for GET and DELETE
    std::size_t largest = 8u << 20;                   ///< bytes of an answer's body
    std::chrono::milliseconds patience{30'000};       ///< for all of it, name lookup and handshake included
    std::optional<std::chrono::seconds> connect = {}; ///< of that, for lookup, connection and handshake
    /// Gets the body of a 200 as it comes, and none is returned; false: enough came, which is no failure.
    std::function<bool(std::string_view)> stream = {};
};

struct Response {
    Head head;
    std::string body;
};

/// No whole response came.
class NoResponse : public Error {
  public:
    NoResponse(const Error& error, Failed failed, bool sent)
        : Error(error), failed_(std::move(failed)), sent_(sent) {}
    const Failed& failed() const noexcept { return failed_; }
    /// A byte of the request may have reached the server: a change may have been carried out.
    bool sent() const noexcept { return sent_; }

  private:
    Failed failed_;
    bool sent_;
};

/// One server. Never follows a redirect, never sends a call twice, keeps no cookies. Proxies as Manner tells.
class Session {
  public:
    /// `check` is called at least every 200 ms while a call waits; what it throws ends the call and is passed
    /// on, an Error as NoResponse of its code once the call may have arrived.
    Session(Trust trust, std::function<void()> check);

    /// Throws NoResponse (no_answer when the same call may succeed later, denied when the certificate is not
    /// trusted, else io) with a message that names only scheme, host and port. Any status is a response.
    Response call(const Call& call);

    /// The certificate that the last handshake showed, whether it was accepted or not.
    const std::optional<Certificate>& certificate() const { return certificate_; }

  private:
    Error error_for(const std::string& name, const Failed& failed) const;

    Trust trust_;
    std::function<void()> check_;
    Connections connections_;
    std::optional<Certificate> certificate_;
};

} // namespace blockhost::http
