#pragma once
/// Downloading a file over HTTP or HTTPS: resumed where it stopped, proved by its digest, never half there.

#include "base/interrupt.hpp"
#include "base/talk.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace blockhost::image {

struct FetchRequest {
    std::string url;                   ///< http:// or https://; a redirect from https to http is refused
    std::filesystem::path destination; ///< appears whole or not at all; its folder exists
    std::string sha512;                ///< 128 lower-case hex digits; empty: not checked
    std::filesystem::path ca_file;     ///< CA certificates instead of the system's; empty: the system's
    std::chrono::seconds deadline{std::chrono::hours(1)}; ///< for everything, retries too
    std::chrono::seconds stalled{60};                     ///< without a byte for so long: tried again
};

/// Fetches the file; the proxy comes from the environment as curl reads it. A partial download lies beside
/// the destination (".<name>.part" with what is needed to resume it) and is only continued when the server
/// says that it still is the same file. Progress (size, rate, time left) goes to `talk`. Throws Error{config}
/// for a bad URL, {not_found} for 404 and 410, {no_answer} when the deadline passes or nobody answers,
/// {invalid} for a wrong digest (the partial file is removed), {no_room} when it does not fit, {interrupted},
/// {io}.
void fetch(const FetchRequest& request, const Interruption& interruption, Talk& talk);

/// The body of a small text file (1 MiB at most), such as SHA512SUMS. Throws like fetch.
std::string fetch_text(const FetchRequest& request, const Interruption& interruption, Talk& talk);

/// The digest of `file_name` in the text of a SHA512SUMS file ("<128 hex>  [*]<name>"); nothing when it has
/// none.
std::optional<std::string> digest_in_sums(const std::string& sums, const std::string& file_name);

/// The lower-case hex digest of a file, by coreutils. Throws Error{io}.
std::string sha512_of(const std::filesystem::path& file);
std::string sha256_of(const std::filesystem::path& file);

} // namespace blockhost::image
