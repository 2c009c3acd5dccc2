// Loads http.so and crosses its border: callbacks catch on this side what they rethrow on this side.
#include "http/attempt.hpp"

#include "base/module.hpp"
#include "http/abi.hpp"

#include <exception>

namespace blockhost::http {

namespace {

struct Callee {
    Receiver& receiver;
    std::exception_ptr thrown;
};

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

Outcome attempt(const Request& request, const Manner& manner, Receiver& receiver) {
    auto* make =
        reinterpret_cast<blockhost_http_attempt_function*>(load_symbol("http.so", "blockhost_http_attempt"));
    std::vector<const char*> headers;
    for (const std::string& header : request.headers) headers.push_back(header.c_str());
    Callee callee{receiver, {}};
    blockhost_http_request plain{};
    plain.url = request.url.c_str();
    plain.body = request.body ? request.body->c_str() : nullptr;
    plain.body_size = request.body ? request.body->size() : 0;
    plain.plain_allowed = request.schemes == Schemes::http_too ? 1 : 0;
    plain.direct = request.direct ? 1 : 0;
    plain.ca_file = manner.ca_file.empty() ? nullptr : manner.ca_file.c_str();
    plain.headers = headers.data();
    plain.header_count = headers.size();
    plain.connect_ms = std::chrono::milliseconds(manner.connect).count();
    plain.context = &callee;
    plain.on_header = on_header;
    plain.on_body = on_body;
    plain.on_tick = on_tick;

    blockhost_http_outcome raw{};
    make(&plain, &raw);
    if (callee.thrown) std::rethrow_exception(callee.thrown);
    return {raw.ending == blockhost_http_stopped, failure_of(raw), raw.location};
}

} // namespace blockhost::http
