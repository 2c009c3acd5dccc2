#pragma once
/// The border between the executable and the module http.so: plain data, no exceptions, nothing to free.

#include <cstddef>

extern "C" {

enum blockhost_http_ending {
    blockhost_http_complete,    ///< the response came to its end
    blockhost_http_stopped,     ///< a callback wanted no more
    blockhost_http_unreachable, ///< no name, no connection, no greeting within the time, or no proxy
    blockhost_http_broken,      ///< the connection ended too early
    blockhost_http_untrusted,   ///< the server's certificate
    blockhost_http_unreadable,  ///< the certificates to trust cannot be read
    blockhost_http_no_tls,      ///< the two sides agree on no TLS
    blockhost_http_nonsense,    ///< what came is no HTTP
    blockhost_http_unusable     ///< libcurl itself: memory, a build without TLS
};

/// One attempt of one request, a GET or a POST, that follows no redirect. All pointers stay the caller's.
/// A callback that returns other than 0 ends the attempt.
struct blockhost_http_request {
    const char* url;
    const char* body; ///< what is posted; null: a GET
    std::size_t body_size;
    int plain_allowed;   ///< http too, not https alone
    int direct;          ///< past every proxy
    const char* ca_file; ///< null: the system's certificates
    const char* const* headers;
    std::size_t header_count;
    long connect_ms; ///< for resolving, connecting and greeting
    void* context;
    /// A header line with its end; status lines, the empty line and trailers too.
    int (*on_header)(void* context, const char* line, std::size_t size);
    /// Bytes of the body as sent (only chunks are put together), up to the end of the connection, whatever
    /// Content-Length says.
    int (*on_body)(void* context, const char* bytes, std::size_t size);
    /// At least every 100 ms. `connected`: the request is on its way.
    int (*on_tick)(void* context, int connected);
};

struct blockhost_http_outcome {
    blockhost_http_ending ending;
    int proxy_status;    ///< what a proxy answered to CONNECT, or 0
    char words[256];     ///< libcurl's own
    char location[4096]; ///< the absolute URL that Location means; empty: none, or longer
};

/// Never writes to stdout or stderr and touches no signal: the caller ignores SIGPIPE.
using blockhost_http_attempt_function = void(const blockhost_http_request* request,
                                             blockhost_http_outcome* outcome);
}
