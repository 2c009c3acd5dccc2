// SPDX-License-Identifier: MIT
// The module http.so: one attempt of one request, made by libcurl (https://curl.se/libcurl/c/) on OpenSSL.
#include "http/abi.hpp"

#include <cstdio>
#include <cstring>
#include <ctime>
#include <curl/curl.h>
#include <limits>
#include <memory>
#include <new>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

struct blockhost_http_session {
    CURLM* multi;
};

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
using Bio = std::unique_ptr<BIO, Finish<BIO_free>>;
using Leaf = std::unique_ptr<X509, Finish<X509_free>>;

struct Exchange {
    const blockhost_http_request& request;
    bool stopped = false;
    std::size_t passed_on(int wish, std::size_t size) {
        if (wish == 0) return size;
        stopped = true;
        return size + 1; // any other number ends the transfer; 0 does not, for an empty piece
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

std::int64_t seconds_of(const ASN1_TIME* time) {
    std::tm parts{};
    return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(timegm(&parts)) : 0;
}

bool describe(X509* leaf, blockhost_http_certificate& certificate) {
    unsigned char* key = nullptr;
    const int key_size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &key);
    const bool made = key_size > 0 && EVP_Digest(key, static_cast<std::size_t>(key_size), certificate.key,
                                                 nullptr, EVP_sha256(), nullptr) == 1;
    OPENSSL_free(key);
    certificate.not_before = seconds_of(X509_get0_notBefore(leaf));
    certificate.not_after = seconds_of(X509_get0_notAfter(leaf));
    return made && X509_digest(leaf, EVP_sha256(), certificate.leaf, nullptr) == 1;
}

/// For a text that is encrypted: without this, OpenSSL would ask the terminal.
int no_password(char*, int, int, void*) {
    return -1;
}

/// In place of OpenSSL's check of the chain, or before it. What it refuses ends the handshake.
int judge_certificate(X509_STORE_CTX* store, void* to) {
    const auto* exchange = static_cast<Exchange*>(to);
    const auto& request = exchange->request;
    X509* leaf = X509_STORE_CTX_get0_cert(store);
    blockhost_http_certificate certificate{};
    const bool accepted = leaf != nullptr && describe(leaf, certificate) &&
                          request.on_certificate(request.context, &certificate) == 0;
    if (request.certificate_decides == 0) return X509_verify_cert(store);
    X509_STORE_CTX_set_error(store, accepted ? X509_V_OK : X509_V_ERR_CERT_UNTRUSTED);
    return accepted ? 1 : 0;
}

CURLcode prepare_handshake(CURL*, void* context, void* to) {
    auto* tls = static_cast<SSL_CTX*>(context);
    SSL_CTX_set_cert_verify_callback(tls, judge_certificate, to);
    SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION); // `to` does not outlive this attempt, a connection may
    return CURLE_OK;
}

bool is_connected(CURL* easy) {
    curl_off_t microseconds = 0;
    return curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &microseconds) == CURLE_OK &&
           microseconds > 0;
}

/// Keeps the first error, so that a list of settings needs no checks in between.
struct Settings {
    CURL* easy;
    CURLcode result = CURLE_OK;
    template<class T>
    void set(CURLoption option, T value) {
        if (result == CURLE_OK) result = curl_easy_setopt(easy, option, value);
    }
};

CURLcode set_trust(CURL* easy, const char* ca_file, Exchange* exchange) {
    Settings settings{easy};
    settings.set(CURLOPT_SSL_VERIFYPEER, 1L);
    settings.set(CURLOPT_SSL_VERIFYHOST, 2L);
    settings.set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (exchange->request.on_certificate != nullptr) {
        if (exchange->request.certificate_decides != 0)
            settings.set(CURLOPT_SSL_VERIFYHOST, 0L);  // a pin is narrower than any name
        settings.set(CURLOPT_SSL_SESSIONID_CACHE, 0L); // a resumed session shows no certificate
        settings.set(CURLOPT_SSL_CTX_FUNCTION, prepare_handshake);
        settings.set(CURLOPT_SSL_CTX_DATA, exchange);
    }
    if (const auto& request = exchange->request; request.certificate_file != nullptr) {
        settings.set(CURLOPT_SSLCERT, request.certificate_file);
        settings.set(CURLOPT_SSLKEY, request.key_file);
    }
    // Where pins judge, no authority is asked: reading the system's list of them takes longer than a
    // handshake.
    if (ca_file == nullptr && exchange->request.certificate_decides == 0) return settings.result;
    settings.set(CURLOPT_CAINFO, ca_file);
    settings.set(CURLOPT_CAPATH, static_cast<const char*>(nullptr)); // else the system's would be trusted too
    return settings.result;
}

bool changes(const blockhost_http_request& request) {
    return request.method != nullptr ? std::strcmp(request.method, "GET") != 0 : request.body != nullptr;
}

CURLcode set_request(CURL* easy, const blockhost_http_request& request, const curl_slist* headers) {
    Settings settings{easy};
    settings.set(CURLOPT_URL, request.url);
    settings.set(CURLOPT_PROTOCOLS_STR, request.plain_allowed ? "http,https" : "https");
    settings.set(CURLOPT_FOLLOWLOCATION, 0L);
    settings.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1)); // one transfer a connection
    if (request.session == nullptr)
        settings.set(CURLOPT_IGNORE_CONTENT_LENGTH, 1L); // libcurl silently drops bytes beyond it
    else if (changes(request))
        settings.set(CURLOPT_FRESH_CONNECT, 1L); // on a kept connection that breaks, libcurl sends again
    settings.set(CURLOPT_HTTPHEADER, headers);
    settings.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    settings.set(CURLOPT_BUFFERSIZE, buffer_bytes);
    settings.set(CURLOPT_CONNECTTIMEOUT_MS, request.connect_ms);
    settings.set(CURLOPT_NOSIGNAL, 1L);
    settings.set(CURLOPT_QUICK_EXIT, 1L); // otherwise cleanup waits for the resolver
    if (request.direct) settings.set(CURLOPT_NOPROXY, "*");
    if (request.body != nullptr) {
        settings.set(CURLOPT_POSTFIELDS, request.body);
        settings.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body_size));
    }
    if (request.method != nullptr) settings.set(CURLOPT_CUSTOMREQUEST, request.method);
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

/// Drives the transfer to its end. The easy interface would call its callbacks only once a second.
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

/// OpenSSL names its routines in a refusal; for a broken connection, only with "unexpected eof".
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
    case CURLE_SSL_CERTPROBLEM:
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

/// Location may be relative. Text that is not a URL is passed on unchanged, for the caller to refuse.
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
    if (auto code = set_trust(easy, request.ca_file, &exchange); code != CURLE_OK) return code;
    if (auto code = set_callbacks(easy, &exchange, words); code != CURLE_OK) return code;
    if (curl_multi_add_handle(multi, easy) != CURLM_OK) return CURLE_FAILED_INIT;
    CURLcode code = drive(multi, easy, exchange);
    curl_multi_remove_handle(multi, easy);
    return code;
}

bool is_ready() {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    return ready == CURLE_OK;
}

} // namespace

extern "C" {
__attribute__((visibility("default"))) blockhost_http_attempt_function blockhost_http_attempt;
__attribute__((visibility("default"))) blockhost_http_open_function blockhost_http_open;
__attribute__((visibility("default"))) blockhost_http_close_function blockhost_http_close;
__attribute__((visibility("default"))) blockhost_http_read_function blockhost_http_read;
}

blockhost_http_session* blockhost_http_open() {
    if (!is_ready()) return nullptr;
    Multi multi(curl_multi_init());
    if (!multi) return nullptr;
    return new (std::nothrow) blockhost_http_session{multi.release()};
}

void blockhost_http_close(blockhost_http_session* session) {
    if (session == nullptr) return;
    curl_multi_cleanup(session->multi);
    delete session;
}

int blockhost_http_read(const char* pem, std::size_t size, blockhost_http_certificate* certificate) {
    *certificate = {};
    if (size > std::numeric_limits<int>::max()) return 1;
    const Bio text(BIO_new_mem_buf(pem, static_cast<int>(size)));
    const Leaf leaf(text ? PEM_read_bio_X509(text.get(), nullptr, no_password, nullptr) : nullptr);
    const bool is_read = leaf && describe(leaf.get(), *certificate);
    ERR_clear_error(); // a later handshake of this thread would take what is left for its own
    return is_read ? 0 : 1;
}

void blockhost_http_attempt(const blockhost_http_request* request, blockhost_http_outcome* outcome) {
    *outcome = {};
    outcome->ending = blockhost_http_unusable;
    if (!is_ready()) return;
    const Multi own(request->session == nullptr ? curl_multi_init() : nullptr);
    CURLM* multi = request->session == nullptr ? own.get() : request->session->multi;
    Easy easy(curl_easy_init());
    if (multi == nullptr || !easy) return;

    Exchange exchange{*request};
    char words[CURL_ERROR_SIZE] = "";
    CURLcode code = attempt(easy.get(), multi, *request, exchange, words);
    if (words[0] == '\0') std::snprintf(words, sizeof words, "%s", curl_easy_strerror(code));
    outcome->ending = exchange.stopped ? blockhost_http_stopped : ending_of(code, words);
    std::snprintf(outcome->words, sizeof outcome->words, "%s", words);
    outcome->sent = is_connected(easy.get()) ? 1 : 0;
    long proxy_status = 0;
    curl_easy_getinfo(easy.get(), CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    outcome->proxy_status = static_cast<int>(proxy_status);
    tell_location(easy.get(), request->url, *outcome);
}
