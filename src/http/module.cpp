// The module http.so: one attempt of one request, made by libcurl (https://curl.se/libcurl/c/).
#include "http/abi.hpp"

#include <cstdio>
#include <cstring>
#include <curl/curl.h>
#include <memory>

namespace {

constexpr int tick_ms = 100;
constexpr long buffer_bytes = 128 << 10;

template<auto finish>
struct Finish {
    template<class T>
    void operator()(T* made) const {
        finish(made);
    }
};
using Easy = std::unique_ptr<CURL, Finish<curl_easy_cleanup>>;
using Multi = std::unique_ptr<CURLM, Finish<curl_multi_cleanup>>;
using Url = std::unique_ptr<CURLU, Finish<curl_url_cleanup>>;
using List = std::unique_ptr<curl_slist, Finish<curl_slist_free_all>>;
using Text = std::unique_ptr<char, Finish<curl_free>>;

struct Exchange {
    const blockhost_http_request& request;
    bool stopped = false;
    std::size_t passed_on(int wish, std::size_t size) {
        if (wish == 0) return size;
        stopped = true;
        return size + 1; // any other number ends the transfer; 0 would not for an empty piece
    }
};

std::size_t take_header(char* line, std::size_t, std::size_t size, void* to) {
    auto* exchange = static_cast<Exchange*>(to);
    const auto& request = exchange->request;
    return exchange->passed_on(request.on_header(request.context, line, size), size);
}

std::size_t take_body(char* bytes, std::size_t, std::size_t size, void* to) {
    auto* exchange = static_cast<Exchange*>(to);
    const auto& request = exchange->request;
    return exchange->passed_on(request.on_body(request.context, bytes, size), size);
}

bool is_connected(CURL* easy) {
    curl_off_t microseconds = 0;
    return curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &microseconds) == CURLE_OK &&
           microseconds > 0;
}

/// Remembers the first refusal, so that a list of settings reads as one.
struct Settings {
    CURL* easy;
    CURLcode result = CURLE_OK;
    template<class T>
    void set(CURLoption option, T value) {
        if (result == CURLE_OK) result = curl_easy_setopt(easy, option, value);
    }
};

CURLcode set_trust(CURL* easy, const char* ca_file) {
    Settings settings{easy};
    settings.set(CURLOPT_SSL_VERIFYPEER, 1L);
    settings.set(CURLOPT_SSL_VERIFYHOST, 2L);
    settings.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (ca_file == nullptr) return settings.result;
    settings.set(CURLOPT_CAINFO, ca_file);
    settings.set(CURLOPT_CAPATH, static_cast<const char*>(nullptr)); // the system's would be trusted besides
    return settings.result;
}

CURLcode set_request(CURL* easy, const blockhost_http_request& request, const curl_slist* headers) {
    Settings settings{easy};
    settings.set(CURLOPT_URL, request.url);
    settings.set(CURLOPT_PROTOCOLS_STR, request.plain_allowed ? "http,https" : "https");
    settings.set(CURLOPT_FOLLOWLOCATION, 0L);
    settings.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1)); // one transfer a connection
    settings.set(CURLOPT_IGNORE_CONTENT_LENGTH, 1L); // libcurl drops what is beyond it without a word
    settings.set(CURLOPT_HTTPHEADER, headers);
    settings.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    settings.set(CURLOPT_BUFFERSIZE, buffer_bytes);
    settings.set(CURLOPT_CONNECTTIMEOUT_MS, request.connect_ms);
    settings.set(CURLOPT_NOSIGNAL, 1L);
    settings.set(CURLOPT_QUICK_EXIT, 1L); // else ending it waits for the resolver
    if (request.direct) settings.set(CURLOPT_NOPROXY, "*");
    if (request.body == nullptr) return settings.result;
    settings.set(CURLOPT_POSTFIELDS, request.body);
    settings.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body_size));
    return settings.result;
}

CURLcode set_callbacks(CURL* easy, Exchange* exchange, char* words) {
    Settings settings{easy};
    settings.set(CURLOPT_HEADERFUNCTION, take_header);
    settings.set(CURLOPT_HEADERDATA, exchange);
    settings.set(CURLOPT_WRITEFUNCTION, take_body);
    settings.set(CURLOPT_WRITEDATA, exchange);
    settings.set(CURLOPT_ERRORBUFFER, words);
    return settings.result;
}

/// Drives the transfer to its end. The easy interface looks at its callbacks once a second only.
CURLcode drive(CURLM* multi, CURL* easy, Exchange& exchange) {
    const auto& request = exchange.request;
    for (int running = 1;;) {
        if (curl_multi_perform(multi, &running) != CURLM_OK) return CURLE_FAILED_INIT;
        if (running == 0) break;
        if (request.on_tick(request.context, is_connected(easy)) != 0) {
            exchange.stopped = true;
            return CURLE_ABORTED_BY_CALLBACK;
        }
        if (curl_multi_poll(multi, nullptr, 0, tick_ms, nullptr) != CURLM_OK) return CURLE_FAILED_INIT;
    }
    int left = 0;
    const CURLMsg* message = curl_multi_info_read(multi, &left);
    return message != nullptr && message->msg == CURLMSG_DONE ? message->data.result : CURLE_FAILED_INIT;
}

/// OpenSSL's refusals name its routines; a connection that broke while greeting does not, but for one.
blockhost_http_ending greeting_ending(const char* words) {
    bool refused =
        std::strstr(words, "SSL routines") != nullptr && std::strstr(words, "unexpected eof") == nullptr;
    return refused ? blockhost_http_no_tls : blockhost_http_broken;
}

blockhost_http_ending ending_of(CURLcode code, const char* words) {
    switch (code) {
    case CURLE_OK:
        return blockhost_http_complete;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
    case CURLE_OPERATION_TIMEDOUT:
        return blockhost_http_unreachable;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
        return blockhost_http_broken;
    case CURLE_SSL_CONNECT_ERROR:
        return greeting_ending(words);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return blockhost_http_untrusted;
    case CURLE_SSL_CACERT_BADFILE:
        return blockhost_http_unreadable;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: // HTTP/0.9
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_OUT_OF_MEMORY: // a header that is too large
        return blockhost_http_nonsense;
    default:
        return blockhost_http_unusable;
    }
}

/// Location may be relative. What is no URL is passed on as it came, for the caller to refuse.
void tell_location(CURL* easy, const char* url, blockhost_http_outcome& outcome) {
    curl_header* header = nullptr;
    if (curl_easy_header(easy, "Location", 0, CURLH_HEADER, -1, &header) != CURLHE_OK) return;
    const char* location = header->value;
    Url parsed(curl_url());
    char* whole = nullptr;
    constexpr unsigned as_given = CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE;
    if (parsed && curl_url_set(parsed.get(), CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_set(parsed.get(), CURLUPART_URL, location, as_given) == CURLUE_OK &&
        curl_url_get(parsed.get(), CURLUPART_URL, &whole, 0) == CURLUE_OK)
        location = whole;
    Text owned(whole);
    if (std::strlen(location) < sizeof outcome.location)
        std::snprintf(outcome.location, sizeof outcome.location, "%s", location);
}

List listed(const blockhost_http_request& request) {
    List list;
    for (std::size_t i = 0; i < request.header_count; ++i) {
        curl_slist* longer = curl_slist_append(list.get(), request.headers[i]);
        if (longer == nullptr) return {};
        static_cast<void>(list.release()); // it is the head of `longer`, or was empty
        list.reset(longer);
    }
    return list;
}

CURLcode attempt(CURL* easy, CURLM* multi, const blockhost_http_request& request, Exchange& exchange,
                 char* words) {
    List headers = listed(request);
    if (!headers && request.header_count > 0) return CURLE_FAILED_INIT;
    if (auto code = set_request(easy, request, headers.get()); code != CURLE_OK) return code;
    if (auto code = set_trust(easy, request.ca_file); code != CURLE_OK) return code;
    if (auto code = set_callbacks(easy, &exchange, words); code != CURLE_OK) return code;
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) return CURLE_FAILED_INIT;
    CURLcode code = drive(multi, easy, exchange);
    curl_multi_remove_handle(multi, easy);
    return code;
}

} // namespace

extern "C" __attribute__((visibility("default"))) blockhost_http_attempt_function blockhost_http_attempt;

void blockhost_http_attempt(const blockhost_http_request* request, blockhost_http_outcome* outcome) {
    *outcome = {};
    outcome->ending = blockhost_http_unusable;
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    Multi multi(curl_multi_init());
    Easy easy(curl_easy_init());
    if (ready != CURLE_OK || !multi || !easy) return;

    Exchange exchange{*request};
    char words[CURL_ERROR_SIZE] = "";
    CURLcode code = attempt(easy.get(), multi.get(), *request, exchange, words);
    if (words[0] == '\0') std::snprintf(words, sizeof words, "%s", curl_easy_strerror(code));
    outcome->ending = exchange.stopped ? blockhost_http_stopped : ending_of(code, words);
    std::snprintf(outcome->words, sizeof outcome->words, "%s", words);
    long proxy_status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    outcome->proxy_status = static_cast<int>(proxy_status);
    tell_location(easy.get(), request->url, *outcome);
}
