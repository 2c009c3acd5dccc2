// SPDX-License-Identifier: MIT
#pragma once
/// HTTPS through libcurl, in the module http.so, which is loaded at first need; the executable does not link
/// libcurl. Writes nothing to stdout or stderr. The caller must have called install_signal_notes(): a broken
/// connection must not end the process by SIGPIPE.

#include "base/error.hpp"
#include "base/files/files.hpp"
#include "http/manner.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace blockhost::http {

/// Fetches a small text. Throws like download; Error{io} when it is larger than `max` bytes.
std::string get(const std::string& url, const Manner& manner, std::size_t max,
                const std::function<void()>& check);

/// The server answered a post with an error status (RFC 9110, sections 15.5 and 15.6).
class Refused : public Error {
  public:
    Refused(const Error& error, std::string body) : Error(error), body_(std::move(body)) {}
    /// The first 64 KiB of the answer's body; outside text.
    const std::string& body() const noexcept { return body_; }

  private:
    std::string body_;
};

/// POSTs a JSON text and returns the answer's body. Plain http is allowed; requests to this host bypass every
/// proxy; redirects are not followed. Retries like download, so carrying out `body` twice must be harmless.
/// Messages name only scheme, host and port. Throws Refused, and like get.
std::string post_json(const std::string& url, const std::string& body, const Manner& manner, std::size_t max,
                      const std::function<void()>& check);

/// Downloads into `folder` as `name` (mode 0644), durably, replacing a file of that name; returns its size.
/// Until then the bytes are in `<name>.partial`, and what identifies the remote file is in
/// `<name>.partial.json`. A later call for the same URL continues from there if the server still has the same
/// file, and starts anew otherwise. After a power loss the partial file may have holes; only a digest can
/// tell. Fetches only https, also after redirects (10 at most), and verifies the server's certificate.
/// Throws Error{invalid} for a URL that is not allowed; Error{not_found} for 404 and 410; Error{denied} for
/// 401 and 403; Error{no_answer} when all attempts failed in ways that may pass, or the deadline passed;
/// Error{busy} when another process is downloading it; Error{io} for everything else.
std::uint64_t download(const std::string& url, const Folder& folder, const std::string& name,
                       const Manner& manner, const Watch& watch);

} // namespace blockhost::http
