#include "net/client.h"

#include <curl/curl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.h"

namespace seatrial::net {
namespace {

constexpr long connect_timeout_ms = 10'000;
constexpr int longest_poll_ms = 60'000;

// What one transfer reads and fills. Callbacks of a C library: nothing may be thrown in them.
struct Transfer {
    CURL* easy = nullptr;
    ClientResponse response;
    std::size_t answer_limit = 0;
    bool too_large = false;

    int upload_fd = -1;
    bool upload_paused = false;
    int upload_error = 0;

    const Client::OnBody* on_body = nullptr;
    const Client::OnEvent* on_event = nullptr;
    EventParser parser;
    bool is_success = false;
    bool is_stream = false;
    bool stopped = false;    // on_body or on_event said so
    Status parsed;

    // The body of an error, or of an answer that is no event stream, is collected as usual.
    std::size_t take_body(std::string_view text) {
        if (on_body != nullptr && is_success) {
            stopped = !(*on_body)(text);
            return stopped ? CURL_WRITEFUNC_ERROR : text.size();
        }
        if (on_event != nullptr && is_stream) {
            const auto fed = parser.feed(text, *on_event);
            if (!fed) {
                parsed = tl::unexpected(fed.error());
                return CURL_WRITEFUNC_ERROR;
            }
            stopped = !*fed;
            return stopped ? CURL_WRITEFUNC_ERROR : text.size();
        }
        if (response.body.size() + text.size() > answer_limit) {
            too_large = true;
            return CURL_WRITEFUNC_ERROR;
        }
        response.body += text;
        return text.size();
    }

    void take_header(std::string_view line) {
        if (line.starts_with("HTTP/")) {    // also after "100 Continue"
            response.headers.clear();
            const auto space = line.find(' ');
            is_success = space != std::string_view::npos && line.substr(space + 1).starts_with('2');
            is_stream = false;
            return;
        }
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) {
            return;
        }
        std::string name(line.substr(0, colon));
        for (char& byte : name) {
            byte = byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
        }
        const auto value = trim(line.substr(colon + 1));
        is_stream = is_stream || (name == "content-type" && value.starts_with("text/event-stream"));
        response.headers.emplace_back(std::move(name), value);
    }

    // The descriptor may be a pipe that has nothing yet: then the transfer pauses, and the loop
    // waits for both.
    std::size_t give_upload(char* out, std::size_t size) {
        pollfd one{upload_fd, POLLIN, 0};
        if (::poll(&one, 1, 0) == 0) {
            upload_paused = true;
            return CURL_READFUNC_PAUSE;
        }
        ssize_t got = 0;
        do {
            got = ::read(upload_fd, out, size);
        } while (got < 0 && errno == EINTR);
        if (got < 0) {
            upload_error = errno;
            return CURL_READFUNC_ABORT;
        }
        return static_cast<std::size_t>(got);
    }
};

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
    return static_cast<Transfer*>(user)->take_body({data, size * count});
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
    static_cast<Transfer*>(user)->take_header({data, size * count});
    return size * count;
}

std::size_t on_upload(char* out, std::size_t size, std::size_t count, void* user) {
    return static_cast<Transfer*>(user)->give_upload(out, size * count);
}

struct ListFree {
    void operator()(curl_slist* list) const { ::curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListFree>;

Status append(List& list, const std::string& line) {
    if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
        return fail(Code::invalid, "line break in an HTTP header");
    }
    curl_slist* longer = ::curl_slist_append(list.get(), line.c_str());
    check(longer != nullptr, "curl_slist_append");
    [[maybe_unused]] auto* same = list.release();
    list.reset(longer);
    return {};
}

Result<List> make_headers(const ClientRequest& request, std::string_view last_event_id) {
    List list;
    for (const auto& [name, value] : request.headers) {
        // "name;" is libcurl's way to send a header without a value.
        TRY(append(list, value.empty() ? name + ";" : name + ": " + value));
    }
    if (!last_event_id.empty()) {
        TRY(append(list, "last-event-id: " + std::string(last_event_id)));
    }
    if (request.upload_fd < 0) {
        TRY(append(list, "Expect:"));    // a small body goes along at once
    }
    return list;
}

template <class Value>
void set(CURL* easy, CURLoption option, Value value) {
    check(::curl_easy_setopt(easy, option, value) == CURLE_OK, "curl_easy_setopt");
}

void set_body(CURL* easy, const ClientRequest& request, Transfer& transfer) {
    if (request.upload_fd >= 0) {
        struct stat seen{};
        const bool sized = ::fstat(request.upload_fd, &seen) == 0 && S_ISREG(seen.st_mode);
        const auto at = sized ? ::lseek(request.upload_fd, 0, SEEK_CUR) : 0;
        transfer.upload_fd = request.upload_fd;
        set(easy, CURLOPT_UPLOAD, 1L);
        set(easy, CURLOPT_READFUNCTION, &on_upload);
        set(easy, CURLOPT_READDATA, static_cast<void*>(&transfer));
        set(easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
        set(easy, CURLOPT_INFILESIZE_LARGE,
            static_cast<curl_off_t>(sized && at >= 0 ? seen.st_size - at : -1));
    } else if (!request.body.empty()) {
        set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
        set(easy, CURLOPT_POSTFIELDS, request.body.c_str());
    } else if (request.method == "POST" || request.method == "PUT") {
        set(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t{0});
        set(easy, CURLOPT_POSTFIELDS, "");
    }
    if (request.method == "HEAD") {
        set(easy, CURLOPT_NOBODY, 1L);
    } else {
        set(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }
}

void set_up(CURL* easy, const ClientRequest& request, Transfer& transfer, curl_slist* headers) {
    ::curl_easy_reset(easy);    // keeps the connections
    set(easy, CURLOPT_URL, request.url.c_str());
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_timeout_ms);
    set(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_HTTPHEADER, headers);
    set(easy, CURLOPT_WRITEFUNCTION, &on_body);
    set(easy, CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(easy, CURLOPT_HEADERFUNCTION, &on_header);
    set(easy, CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    if (!request.unix_socket.empty()) {
        set(easy, CURLOPT_UNIX_SOCKET_PATH, request.unix_socket.c_str());
    }
    if (request.no_proxy || !request.unix_socket.empty()) {
        set(easy, CURLOPT_PROXY, "");    // whatever the environment says
    }
    if (!request.ca_file.empty()) {
        set(easy, CURLOPT_CAINFO, request.ca_file.c_str());
    }
    if (request.any_certificate) {
        set(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        set(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    set_body(easy, request, transfer);
}

std::string where(const ClientRequest& request) {
    return request.unix_socket.empty() ? request.url : request.unix_socket.native();
}

tl::unexpected<Error> connect_error(CURL* easy, const ClientRequest& request) {
    long os_error = 0;
    ::curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
    if (os_error == EACCES || os_error == EPERM) {
        return fail(Code::refused, "no permission to connect to " + where(request));
    }
    return fail(Code::unavailable, "nothing answers at " + where(request));
}

Status render_outcome(CURLcode code, const Transfer& transfer, const ClientRequest& request) {
    if (code == CURLE_OK || transfer.stopped) {
        return {};
    }
    if (!transfer.parsed) {
        return transfer.parsed;
    }
    if (transfer.too_large) {
        return fail(Code::invalid, "the answer of " + where(request) + " is too large");
    }
    if (transfer.upload_error != 0) {
        return fail_errno("reading what is to be sent", transfer.upload_error);
    }
    switch (code) {
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
            return fail(Code::invalid, "bad URL " + printable(request.url));
        case CURLE_COULDNT_CONNECT: return connect_error(transfer.easy, request);
        default:
            return fail(Code::unavailable,
                        where(request) + ": " + std::string(::curl_easy_strerror(code)));
    }
}

}    // namespace

std::optional<std::string_view> ClientResponse::header(std::string_view lower_case_name) const {
    for (const auto& [name, value] : headers) {
        if (name == lower_case_name) {
            return value;
        }
    }
    return std::nullopt;
}

struct Client::Impl {
    Impl() {
        // Once for the process, safe from several threads.
        static const CURLcode started = ::curl_global_init(CURL_GLOBAL_DEFAULT);
        check(started == CURLE_OK, "curl_global_init");
        easy = ::curl_easy_init();
        multi = ::curl_multi_init();
        check(easy != nullptr && multi != nullptr, "curl_easy_init");
    }
    ~Impl() {
        ::curl_easy_cleanup(easy);
        ::curl_multi_cleanup(multi);
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    Result<ClientResponse> perform(const ClientRequest& request, std::string_view last_event_id,
                                   const OnBody* on_body, const OnEvent* on_event,
                                   const Context& ctx);
    Result<CURLcode> drive(Transfer& transfer, const Context& ctx) const;

    CURL* easy = nullptr;
    CURLM* multi = nullptr;
};

// Runs the transfer to its end; the context's error leaves it unfinished.
Result<CURLcode> Client::Impl::drive(Transfer& transfer, const Context& ctx) const {
    while (true) {
        TRY(ctx.ok());
        int running = 0;
        check(::curl_multi_perform(multi, &running) == CURLM_OK, "curl_multi_perform");
        int left = 0;
        while (const CURLMsg* message = ::curl_multi_info_read(multi, &left)) {
            if (message->msg == CURLMSG_DONE) {
                return message->data.result;
            }
        }
        curl_waitfd others[2];
        unsigned count = 0;
        if (ctx.wake_fd() >= 0) {
            others[count++] = {ctx.wake_fd(), CURL_WAIT_POLLIN, 0};
        }
        if (transfer.upload_paused) {
            others[count++] = {transfer.upload_fd, CURL_WAIT_POLLIN, 0};
        }
        const int wait = ctx.poll_timeout() < 0 ? longest_poll_ms
                                                : std::min(ctx.poll_timeout(), longest_poll_ms);
        check(::curl_multi_poll(multi, others, count, wait, nullptr) == CURLM_OK,
              "curl_multi_poll");
        pollfd upload{transfer.upload_fd, POLLIN, 0};
        if (transfer.upload_paused && ::poll(&upload, 1, 0) != 0) {
            transfer.upload_paused = false;
            ::curl_easy_pause(easy, CURLPAUSE_CONT);
        }
    }
}

Result<ClientResponse> Client::Impl::perform(const ClientRequest& request,
                                             std::string_view last_event_id, const OnBody* on_body,
                                             const OnEvent* on_event, const Context& ctx) {
    TRY(ctx.ok());
    TRY_ASSIGN(const auto headers, make_headers(request, last_event_id));
    Transfer transfer;
    transfer.easy = easy;
    transfer.answer_limit = request.answer_limit;
    transfer.on_body = on_body;
    transfer.on_event = on_event;
    set_up(easy, request, transfer, headers.get());
    check(::curl_multi_add_handle(multi, easy) == CURLM_OK, "curl_multi_add_handle");
    const auto code = drive(transfer, ctx);
    // Before headers and transfer go: an unfinished connection is closed here.
    ::curl_multi_remove_handle(multi, easy);
    if (!code) {
        return tl::unexpected(code.error());
    }
    TRY(render_outcome(*code, transfer, request));
    long status = 0;
    ::curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    transfer.response.status = static_cast<int>(status);
    return std::move(transfer.response);
}

Client::Client() : impl_(std::make_unique<Impl>()) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<ClientResponse> Client::request(const ClientRequest& request, const Context& ctx) {
    return impl_->perform(request, {}, nullptr, nullptr, ctx);
}

Result<ClientResponse> Client::stream(const ClientRequest& request, const OnBody& on_body,
                                      const Context& ctx) {
    return impl_->perform(request, {}, &on_body, nullptr, ctx);
}

Result<ClientResponse> Client::listen(const ClientRequest& request, std::string_view last_event_id,
                                      const OnEvent& on_event, const Context& ctx) {
    return impl_->perform(request, last_event_id, nullptr, &on_event, ctx);
}

}    // namespace seatrial::net
