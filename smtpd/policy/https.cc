#include "smtpd/policy/https.h"

#include <curl/curl.h>
#include <map>

#include "common/loop/completion.h"
#include "common/tls/certificate.h"

namespace postern::policy {

namespace {

void initialize_once() {
    static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
    (void)done;
}

// Null: libcurl has another TLS library, or makes more of the text than we do.
TrustStore read_authorities(const std::string& pem) {
    const char* library = curl_version_info(CURLVERSION_NOW)->ssl_version;
    const Result<std::vector<X509Certificate>> certificates = parse_certificates(pem);
    if (!certificates || !library || !std::string_view(library).starts_with("OpenSSL/3"))
        return nullptr;
    TrustStore store(X509_STORE_new());
    for (const X509Certificate& certificate : *certificates)
        if (X509_STORE_add_cert(store.get(), certificate.get()) != 1)
            return nullptr;
    X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN); // as libcurl does
    return store;
}

// "host:443:192.0.2.1,[2001:db8::1]": libcurl asks no DNS then. With "+" it
// forgets them after a while.
std::string pinned_addresses(const HttpsRequest& request) {
    std::string text = "+" + request.host + ":" + std::to_string(request.port) + ":";
    for (size_t i = 0; i < request.addresses.size(); ++i) {
        const IpAddress& address = request.addresses[i];
        text += (i ? "," : "");
        text += address.version == 6 ? "[" + address.to_string() + "]" : address.to_string();
    }
    return text;
}

} // namespace

// One request, and what has come of its reply.
class HttpsClient::Transfer {
  public:
    Transfer(Executor& executor, const HttpsRequest& request, std::string& authorities,
             X509_STORE* store)
        : done(executor), body_limit_(request.body_limit), easy_(curl_easy_init()),
          addresses_(curl_slist_append(nullptr, pinned_addresses(request).c_str())) {
        if (store && X509_STORE_up_ref(store) == 1) // others may be trusted before it is used
            store_.reset(store);
        if (easy_)
            prepare(request, authorities);
    }
    ~Transfer() {
        curl_easy_cleanup(easy_);
        curl_slist_free_all(addresses_);
        curl_slist_free_all(headers_);
    }
    Transfer(const Transfer&) = delete;

    CURL* easy() const { return easy_; }
    Result<HttpsReply> result(CURLcode code) {
        if (code != CURLE_OK && !settled_)
            return Error{error_[0] ? error_ : curl_easy_strerror(code),
                         code == CURLE_PEER_FAILED_VERIFICATION ? not_verified : 0};
        HttpsReply reply;
        const char* type = nullptr;
        curl_easy_getinfo(easy_, CURLINFO_RESPONSE_CODE, &reply.status);
        curl_easy_getinfo(easy_, CURLINFO_CONTENT_TYPE, &type);
        reply.content_type = type ? type : "";
        reply.body = std::move(body_);
        return reply;
    }

    Completion<CURLcode> done;

  private:
    template <class Value> void set(CURLoption option, Value value) {
        failed_ = curl_easy_setopt(easy_, option, value) != CURLE_OK || failed_;
    }

    void prepare(const HttpsRequest& request, std::string& authorities) {
        const std::string url =
            "https://" + request.host + ":" + std::to_string(request.port) + request.path;
        set(CURLOPT_URL, url.c_str());
        set(CURLOPT_PROTOCOLS_STR, "https");
        set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
        set(CURLOPT_SSL_VERIFYPEER, 1L);
        set(CURLOPT_SSL_VERIFYHOST, 2L);
        trust(authorities);
        set(CURLOPT_RESOLVE, addresses_);
        set(CURLOPT_PROXY, "");
        set(CURLOPT_FOLLOWLOCATION, 0L);
        set(CURLOPT_NOSIGNAL, 1L);
        set(CURLOPT_FORBID_REUSE, 1L);
        set(CURLOPT_TIMEOUT_MS,
            static_cast<long>(
                std::chrono::duration_cast<std::chrono::milliseconds>(request.limit).count()));
        set(CURLOPT_ERRORBUFFER, error_);
        set(CURLOPT_WRITEFUNCTION, &Transfer::take);
        set(CURLOPT_WRITEDATA, this);
        set(CURLOPT_PRIVATE, this);
        if (!request.body.empty()) {
            headers_ =
                curl_slist_append(headers_, ("Content-Type: " + request.content_type).c_str());
            headers_ = curl_slist_append(headers_, "Expect:"); // no waiting for a 100
            set(CURLOPT_HTTPHEADER, headers_);
            set(CURLOPT_HEADERFUNCTION, &Transfer::take_header);
            set(CURLOPT_HEADERDATA, this);
            set(CURLOPT_POST, 1L);
            set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
            set(CURLOPT_POSTFIELDS, request.body.data()); // which outlives us
        }
        if (failed_) { // an option that this libcurl does not have may be one that protects
            curl_easy_cleanup(easy_);
            easy_ = nullptr;
        }
    }

    void trust(std::string& authorities) {
        set(CURLOPT_CAINFO, static_cast<const char*>(nullptr)); // none but these
        set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
        set(CURLOPT_SSL_SESSIONID_CACHE, 0L); // of a server that was verified by former ones
        if (store_) {                         // reading them takes long, and others wait meanwhile
            set(CURLOPT_SSL_CTX_FUNCTION, &Transfer::use_store);
            set(CURLOPT_SSL_CTX_DATA, store_.get());
            return;
        }
        curl_blob trusted{authorities.data(), authorities.size(), CURL_BLOB_COPY};
        set(CURLOPT_CAINFO_BLOB, &trusted);
    }

    // Not as the context's own store: libcurl 7.87 to 8.2 puts the first one that it has seen in
    // the place of that afterwards.
    static CURLcode use_store(CURL*, void* context, void* store) {
        const bool done = SSL_CTX_set1_verify_cert_store(static_cast<SSL_CTX*>(context),
                                                         static_cast<X509_STORE*>(store)) == 1;
        return done ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
    }

    // A line. The empty one behind a status that is not provisional ends the transfer.
    static size_t take_header(char* line, size_t, size_t size, void* self) {
        auto& transfer = *static_cast<Transfer*>(self);
        long status = 0;
        curl_easy_getinfo(transfer.easy_, CURLINFO_RESPONSE_CODE, &status);
        const std::string_view text(line, size);
        transfer.settled_ = status >= 200 && (text == "\r\n" || text == "\n");
        return transfer.settled_ ? CURL_WRITEFUNC_ERROR : size;
    }

    static size_t take(char* bytes, size_t, size_t size, void* self) {
        auto& transfer = *static_cast<Transfer*>(self);
        if (transfer.body_.size() + size > transfer.body_limit_)
            return CURL_WRITEFUNC_ERROR;
        transfer.body_.append(bytes, size);
        return size;
    }

    size_t body_limit_;
    CURL* easy_;
    curl_slist* addresses_;
    curl_slist* headers_ = nullptr;
    TrustStore store_;
    bool failed_ = false;
    bool settled_ = false; // the status is there, and is all that is wanted
    char error_[CURL_ERROR_SIZE] = "";
    std::string body_;
};

// libcurl's transfers on our loop: it says which descriptors it waits for, and until when.
class HttpsClient::Multi : Timer {
  public:
    explicit Multi(EventLoop& loop) : loop_(loop), multi_(curl_multi_init()) {
        curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &Multi::want_socket);
        curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &Multi::want_timer);
        curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
    }
    ~Multi() {
        disarm();
        curl_multi_cleanup(multi_);
    }

    EventLoop& loop() { return loop_; }

    // A transfer takes part while this exists.
    class Membership {
      public:
        Membership(Multi& multi, Transfer& transfer) : multi_(multi), transfer_(transfer) {
            curl_multi_add_handle(multi_.multi_, transfer_.easy());
        }
        ~Membership() { curl_multi_remove_handle(multi_.multi_, transfer_.easy()); }
        Membership(const Membership&) = delete;

      private:
        Multi& multi_;
        Transfer& transfer_;
    };

  private:
    static int want_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
        auto& multi = *static_cast<Multi*>(self);
        if (what == CURL_POLL_REMOVE) {
            multi.watches_.erase(socket);
            return 0;
        }
        auto& watch = multi.watches_[socket];
        if (!watch)
            watch = std::make_unique<Watch>(
                multi.loop_, socket, [&multi, socket](short events) { multi.act(socket, events); });
        watch->want(static_cast<short>((what & CURL_POLL_IN ? Watch::readable : 0) |
                                       (what & CURL_POLL_OUT ? Watch::writable : 0)));
        return 0;
    }

    static int want_timer(CURLM*, long milliseconds, void* self) {
        auto& multi = *static_cast<Multi*>(self);
        if (milliseconds < 0)
            multi.disarm();
        else
            multi.arm(multi.loop_, multi.loop_.now() + std::chrono::milliseconds(milliseconds));
        return 0;
    }

    void act(int socket, short events) {
        const int mask = (events & Watch::readable ? CURL_CSELECT_IN : 0) |
                         (events & Watch::writable ? CURL_CSELECT_OUT : 0);
        int running = 0;
        curl_multi_socket_action(multi_, socket, mask, &running);
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
            Transfer* transfer = nullptr;
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
            if (message->msg == CURLMSG_DONE && transfer)
                transfer->done.complete(message->data.result);
        }
    }
    void expired() override { act(CURL_SOCKET_TIMEOUT, 0); }

    EventLoop& loop_;
    CURLM* multi_;
    std::map<curl_socket_t, std::unique_ptr<Watch>> watches_;
};

HttpsClient::HttpsClient(EventLoop& loop, std::string authorities) {
    initialize_once();
    trust(std::move(authorities));
    multi_ = std::make_unique<Multi>(loop);
}

HttpsClient::~HttpsClient() = default;

void HttpsClient::trust(std::string authorities) {
    authorities_ = std::move(authorities);
    store_ = read_authorities(authorities_);
}

Task<Result<HttpsReply>> HttpsClient::send(HttpsRequest request) {
    Transfer transfer(multi_->loop(), request, authorities_, store_.get());
    if (!transfer.easy())
        co_return Error{"libcurl cannot make such a request"};
    Multi::Membership membership(*multi_, transfer);
    const std::optional<CURLcode> code =
        co_await transfer.done.wait(request.limit + std::chrono::seconds(1));
    co_return transfer.result(code.value_or(CURLE_OPERATION_TIMEDOUT));
}

} // namespace postern::policy
