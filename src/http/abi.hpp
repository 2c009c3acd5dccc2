// SPDX-License-Identifier: MIT
#pragma once
/// The ABI between the executable and the module http.so: plain data, no exceptions, nothing to free.

#include <cstddef>
#include <cstdint>

extern "C" {

enum blockhost_http_ending {
    blockhost_http_complete,    ///< the whole response arrived
    blockhost_http_stopped,     ///< a callback ended the attempt
    blockhost_http_unreachable, ///< no name, no connection or no handshake in time, or no proxy
    blockhost_http_broken,      ///< the connection ended too early
    blockhost_http_untrusted,   ///< the server's certificate is not trusted
    blockhost_http_unreadable,  ///< the certificates to trust cannot be read
    blockhost_http_no_tls,      ///< both sides support no common TLS
    blockhost_http_nonsense,    ///< the response is not HTTP
    blockhost_http_unusable     ///< libcurl itself failed: memory, a build without TLS
};

/// The server's certificate, as it arrived in the handshake. Digests are SHA-256.
struct blockhost_http_certificate {
    unsigned char leaf[32];  ///< of the certificate, in DER
    unsigned char key[32];   ///< of its SubjectPublicKeyInfo, in DER (RFC 7469, section 2.4)
    std::int64_t not_before; ///< Unix time
    std::int64_t not_after;  ///< Unix time
};

/// Connections that are kept for further requests. One thread at a time may use it.
struct blockhost_http_session;

/// One attempt of one request. It follows no redirect. All pointers stay the caller's. A callback
/// that returns other than 0 ends the attempt.
struct blockhost_http_request {
    const char* url;
    const char* method; ///< null: GET, or POST where there is a body
    const char* body;   ///< null: none
    std::size_t body_size;
    blockhost_http_session* session; ///< null: a connection of its own
    int plain_allowed;               ///< http is allowed besides https
    int direct;                      ///< bypass every proxy
    const char* ca_file;             ///< null: the system's certificates
    const char* certificate_file;    ///< shown to a server that asks for one; null: none. PEM
    const char* key_file;            ///< its private key, in PEM
    const char* const* headers;
    std::size_t header_count;
    long connect_ms; ///< for resolving, connecting and handshake
    void* context;
    /// Called in each handshake, before a byte of the request is sent. Null: nobody looks.
    int (*on_certificate)(void* context, const blockhost_http_certificate* certificate);
    /// on_certificate replaces the check against trusted certificates and the server's name.
    int certificate_decides;
    /// Called with each header line, line end included; also with status lines, the empty line and trailers.
    int (*on_header)(void* context, const char* line, std::size_t size);
    /// Called with the body's bytes as sent (only chunks are joined), up to the end of the connection,
    /// whatever Content-Length says.
    int (*on_body)(void* context, const char* bytes, std::size_t size);
    /// Called at least every 100 ms. `connected`: the request is on its way.
    int (*on_tick)(void* context, int connected);
};

struct blockhost_http_outcome {
    blockhost_http_ending ending;
    int sent;            ///< a byte of the request may have reached the server
    int proxy_status;    ///< a proxy's answer to CONNECT, or 0
    char words[256];     ///< libcurl's error message
    char location[4096]; ///< the absolute URL that Location leads to; empty: none, or too long
};

/// Never writes to stdout or stderr and leaves signals alone: the caller must ignore SIGPIPE.
using blockhost_http_attempt_function = void(const blockhost_http_request* request,
                                             blockhost_http_outcome* outcome);

/// Null when there is no memory.
using blockhost_http_open_function = blockhost_http_session*();
/// Closes the session's connections.
using blockhost_http_close_function = void(blockhost_http_session* session);

/// Reads the first certificate of a text in PEM. Returns other than 0 where there is none.
using blockhost_http_read_function = int(const char* pem, std::size_t size,
                                         blockhost_http_certificate* certificate);
}
