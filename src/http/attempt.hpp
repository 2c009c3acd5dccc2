// SPDX-License-Identifier: MIT
#pragma once
/// Calls the module http.so.

#include "http/manner.hpp"
#include "http/rules.hpp"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

extern "C" {
struct blockhost_http_session;
}

namespace blockhost::http {

/// Gets the events of an attempt. An exception from any call ends the attempt and is passed on.
class Receiver {
  public:
    enum class Wish { more, no_more };
    virtual Wish on_header(std::string_view line) = 0;
    virtual Wish on_body(std::string_view bytes) = 0;
    /// Called at least every 100 ms. `connected`: the request is on its way.
    virtual Wish on_tick(bool connected) = 0;

  protected:
    ~Receiver() = default;
};

/// A server's certificate. Digests are SHA-256 of DER.
struct Certificate {
    std::array<unsigned char, 32> leaf{},
        key{}; ///< `key`: of the public key alone, so that a renewal keeps it
    std::int64_t not_before = 0, not_after = 0; ///< Unix time
    bool operator==(const Certificate&) const = default;
};

/// The first certificate of a text in PEM; nothing where there is none.
std::optional<Certificate> read_certificate(std::string_view pem);

/// Connections that are kept between requests. One thread at a time.
class Connections {
  public:
    /// Throws Error{io} when libcurl cannot be used.
    Connections();
    blockhost_http_session* get() const { return session_.get(); }

  private:
    std::unique_ptr<blockhost_http_session, void (*)(blockhost_http_session*)> session_;
};

struct Request {
    std::string url;
    std::vector<std::string> headers;     ///< "Name: value"
    std::optional<std::string> body = {}; ///< nothing: none
    Schemes schemes = Schemes::https;
    bool direct = false;          ///< bypass every proxy
    const char* method = nullptr; ///< null: GET, or POST where there is a body
    Connections* kept = nullptr;  ///< null: a connection of its own. Only a GET goes over one that was used
    /// Judges the server's certificate before a byte of the request is sent. Empty: it must lead to a trusted
    /// one and bear the server's name.
    std::function<bool(const Certificate&)> accepts = {};
    /// Where nothing judges, looks at the certificate that is checked, whatever comes of that.
    std::function<void(const Certificate&)> sees = {};
};

struct Outcome {
    bool stopped = false;         ///< the receiver ended the attempt
    bool sent = false;            ///< a byte of the request may have reached the server
    std::optional<Failed> failed; ///< why the response did not arrive whole
    std::string location;         ///< the absolute URL that Location leads to; empty: none
};

/// Makes one attempt of one request; follows no redirect.
Outcome attempt(const Request& request, const Manner& manner, Receiver& receiver);

} // namespace blockhost::http
