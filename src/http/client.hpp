#pragma once
/// HTTPS, through libcurl in the module http.so. It is loaded at first need; the executable does not know
/// libcurl. Nothing is written to stdout or stderr. The caller has called install_signal_notes(): a
/// connection that breaks must not end us by SIGPIPE.

#include "base/error.hpp"
#include "base/files.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace blockhost::http {

/// How transfers are made. Proxies come from the environment (https_proxy, no_proxy, all_proxy), as libcurl
/// reads them.
struct Manner {
    std::filesystem::path ca_file;         ///< trusted instead of the system's certificates; empty: those
    std::chrono::seconds connect{20};      ///< for resolving, connecting and greeting
    std::chrono::seconds stall{30};        ///< an attempt that brings less than 1 KiB/s for so long is ended
    std::chrono::seconds deadline{1500};   ///< for all attempts together, pauses included
    int attempts = 5;                      ///< each after the first is a retry
    std::chrono::milliseconds pause{1000}; ///< before the first retry; each further one doubles
};

struct Progress {
    std::uint64_t done = 0; ///< of the file, what was here before included
    std::optional<std::uint64_t> total;
    double bytes_per_second = 0;
    std::optional<std::chrono::seconds> left;
};

/// What a download tells, and asks, on the way; any of them may be empty. What one throws ends the download
/// and comes out of it; a partial file with bytes in it stays and can be resumed.
struct Watch {
    /// The size of the whole file, before bytes of it are written; again only if the remote file changes. Not
    /// called when the server does not tell.
    std::function<void(std::uint64_t total)> on_size;
    std::function<void(const Progress&)> on_progress; ///< at most five times a second, and at the end
    std::function<void()> check;                      ///< at least every 200 ms, in pauses too
};

/// A small text. Throws as download does; Error{io} when it is larger than `max` bytes.
std::string get(const std::string& url, const Manner& manner, std::size_t max,
                const std::function<void()>& check);

/// A post was answered with a status that is no success (RFC 9110, sections 15.5 and 15.6).
class Refused : public Error {
  public:
    Refused(const Error& error, std::string body) : Error(error), body_(std::move(body)) {}
    /// The first 64 KiB of what came with it; outside text.
    const std::string& body() const noexcept { return body_; }

  private:
    std::string body_;
};

/// POSTs a JSON text and returns the body of the answer, over plain http too, to this host past every proxy;
/// follows no redirect. Retries as download does, so that `body` must bear being carried out twice. Messages
/// name scheme, host and port alone. Throws Refused, and as get does.
std::string post_json(const std::string& url, const std::string& body, const Manner& manner, std::size_t max,
                      const std::function<void()>& check);

/// Downloads into `folder` as `name` (mode 0644), durably, replacing what has that name; returns its size.
/// While under way the bytes are in `<name>.partial`, and in `<name>.partial.json` what tells the remote file
/// from others; a later call for the same URL goes on from there if the server still has the same file, and
/// starts anew otherwise. After a power loss the partial may have holes: who must know compares a digest.
/// Only https, also behind redirects (10 at most), with the server's certificate verified.
/// Throws Error{invalid} for a URL that is not fetched at all; Error{not_found} for 404 and 410;
/// Error{denied} for 401 and 403; Error{no_answer} when all attempts failed in a way that may pass, and when
/// the deadline passed; Error{busy} when another process is downloading it; Error{io} for everything else.
std::uint64_t download(const std::string& url, const Folder& folder, const std::string& name,
                       const Manner& manner, const Watch& watch);

} // namespace blockhost::http
