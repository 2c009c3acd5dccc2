// SPDX-License-Identifier: MIT
// Loads http.so and calls it. Callbacks catch exceptions, attempt() rethrows them: none crosses the module.
#include "http/attempt.hpp"

#include "base/module.hpp"
#include "http/abi.hpp"

#include <algorithm>
#include <exception>

namespace blockhost::http {

namespace {

struct Callee {
    Receiver& receiver;
    const Request& request;
    std::exception_ptr thrown;
};

void close_session(blockhost_http_session* session) {
    reinterpret_cast<blockhost_http_close_function*>(load_symbol("http.so", "blockhost_http_close"))(session);
}

template<class Call>
int guarded(void* context, Call call) noexcept {
    auto* callee = static_cast<Callee*>(context);
    try {
        return call(callee->receiver) == Receiver::Wish::more ? 0 : 1;
    } catch (...) {
        callee->thrown = std::current_exception();
        return 1;
    }
}

int on_header(void* context, const char* line, std::size_t size) {
    return guarded(context, [&](Receiver& receiver) { return receiver.on_header({line, size}); });
}

int on_body(void* context, const char* bytes, std::size_t size) {
    return guarded(context, [&](Receiver& receiver) { return receiver.on_body({bytes, size}); });
}

int on_tick(void* context, int connected) {
    return guarded(context, [&](Receiver& receiver) { return receiver.on_tick(connected != 0); });
}

Certificate certificate_of(const blockhost_http_certificate& raw) {
    Certificate certificate;
    std::ranges::copy(raw.leaf, certificate.leaf.begin());
    std::ranges::copy(raw.key, certificate.key.begin());
    certificate.not_before = raw.not_before;
    certificate.not_after = raw.not_after;
    return certificate;
}

int on_certificate(void* context, const blockhost_http_certificate* raw) noexcept {
    auto* callee = static_cast<Callee*>(context);
    try {
        const Certificate certificate = certificate_of(*raw);
        if (callee->request.accepts) return callee->request.accepts(certificate) ? 0 : 1;
        callee->request.sees(certificate);
        return 0;
    } catch (...) {
        callee->thrown = std::current_exception();
        return 1;
    }
}

Why why_of(blockhost_http_ending ending) {
    switch (ending) {
    case blockhost_http_unreachable:
        return Why::unreachable;
    case blockhost_http_broken:
        return Why::broken;
    case blockhost_http_untrusted:
        return Why::untrusted;
    case blockhost_http_unreadable:
        return Why::unreadable;
    case blockhost_http_no_tls:
        return Why::no_tls;
    case blockhost_http_nonsense:
        return Why::nonsense;
    default:
        return Why::unusable;
    }
}

std::optional<Failed> failure_of(const blockhost_http_outcome& raw) {
    if (raw.ending == blockhost_http_complete || raw.ending == blockhost_http_stopped) return std::nullopt;
    if (raw.proxy_status >= 300) return Failed{Why::proxy, raw.proxy_status, {}};
    return Failed{why_of(raw.ending), 0, raw.words};
}

} // namespace

std::optional<Certificate> read_certificate(std::string_view pem) {
    auto* read =
        reinterpret_cast<blockhost_http_read_function*>(load_symbol("http.so", "blockhost_http_read"));
    blockhost_http_certificate raw{};
    if (read(pem.data(), pem.size(), &raw) != 0) return std::nullopt;
    return certificate_of(raw);
}

Connections::Connections() : session_(nullptr, close_session) {
    auto* open =
        reinterpret_cast<blockhost_http_open_function*>(load_symbol("http.so", "blockhost_http_open"));
    session_.reset(open());
    if (!session_) throw Error(Code::io, "libcurl cannot be used: it has no memory, or no TLS");
}

Outcome attempt(const Request& request, const Manner& manner, Receiver& receiver) {
    auto* make =
        reinterpret_cast<blockhost_http_attempt_function*>(load_symbol("http.so", "blockhost_http_attempt"));
    std::vector<const char*> headers;
    for (const std::string& header : request.headers) headers.push_back(header.c_str());
    Callee callee{receiver, request, {}};
    blockhost_http_request plain{};
    plain.url = request.url.c_str();
    plain.method = request.method;
    plain.session = request.kept != nullptr ? request.kept->get() : nullptr;
    plain.body = request.body ? request.body->c_str() : nullptr;
    plain.body_size = request.body ? request.body->size() : 0;
    plain.plain_allowed = request.schemes == Schemes::http_too ? 1 : 0;
    plain.direct = request.direct ? 1 : 0;
    plain.ca_file = manner.ca_file.empty() ? nullptr : manner.ca_file.c_str();
    if (!manner.certificate_file.empty()) {
        plain.certificate_file = manner.certificate_file.c_str();
        plain.key_file = manner.key_file.c_str();
    }
    plain.headers = headers.data();
    plain.header_count = headers.size();
    plain.connect_ms = std::chrono::milliseconds(manner.connect).count();
    plain.context = &callee;
    if (request.accepts || request.sees) plain.on_certificate = on_certificate;
    plain.certificate_decides = request.accepts ? 1 : 0;
    plain.on_header = on_header;
    plain.on_body = on_body;
    plain.on_tick = on_tick;

    blockhost_http_outcome raw{};
    make(&plain, &raw);
    if (callee.thrown) std::rethrow_exception(callee.thrown);
    return {raw.ending == blockhost_http_stopped, raw.sent != 0, failure_of(raw), raw.location};
}

} // namespace blockhost::http
