#include "process/wire.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "process/uid_range.h"

namespace seatrial::process {
namespace {

tl::unexpected<Error> malformed() {
    return fail(Code::invalid, "the request is malformed");
}

void put_limits(WireWriter& out, const Limits& limits) {
    out.number(limits.memory_bytes);
    out.number(limits.pids);
    out.number(limits.cpu_percent);
    out.number(limits.open_files);
    out.number(limits.file_bytes);
}

Limits take_limits(WireReader& in) {
    Limits limits;
    limits.memory_bytes = in.number(0, INT64_MAX);
    limits.pids = static_cast<int>(in.number(0, 1 << 22));
    limits.cpu_percent = static_cast<int>(in.number(0, 1 << 20));
    limits.open_files = static_cast<int>(in.number(8, 1 << 20));
    limits.file_bytes = in.number(0, INT64_MAX);
    return limits;
}

}    // namespace

void WireWriter::number(std::int64_t value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes_.append(raw, sizeof raw);
}

void WireWriter::text(std::string_view value) {
    number(static_cast<std::int64_t>(value.size()));
    bytes_.append(value);
}

void WireWriter::texts(const std::vector<std::string>& values) {
    number(static_cast<std::int64_t>(values.size()));
    for (const auto& value : values) {
        text(value);
    }
}

std::string_view WireReader::take(std::size_t size) {
    if (!ok_ || size > left_.size()) {
        ok_ = false;
        return {};
    }
    const auto taken = left_.substr(0, size);
    left_.remove_prefix(size);
    return taken;
}

std::int64_t WireReader::number() {
    std::int64_t value = 0;
    const auto raw = take(sizeof value);
    if (ok_) {
        std::memcpy(&value, raw.data(), sizeof value);
    }
    return value;
}

std::int64_t WireReader::number(std::int64_t least, std::int64_t most) {
    const std::int64_t value = number();
    if (value < least || value > most) {
        ok_ = false;
        return 0;
    }
    return value;
}

std::string WireReader::blob() {
    const auto size = number(0, static_cast<std::int64_t>(max_request));
    return std::string(take(static_cast<std::size_t>(size)));
}

std::string WireReader::text() {
    std::string value = blob();
    if (value.find('\0') != std::string::npos) {
        ok_ = false;
        return {};
    }
    return value;
}

std::vector<std::string> WireReader::texts() {
    std::vector<std::string> values;
    const auto count = number(0, static_cast<std::int64_t>(max_texts));
    for (std::int64_t i = 0; i < count && ok_; ++i) {
        values.push_back(text());
    }
    return values;
}

std::string encode(const RunRequest& request) {
    WireWriter out;
    out.text(request.name);
    out.number(static_cast<int>(request.profile));
    out.number(request.uid_slot);
    put_limits(out, request.limits);
    out.texts(request.argv);
    out.texts(request.env);
    out.text(request.cwd);
    out.texts(request.writable);
    out.number(request.log_bytes);
    out.number(static_cast<std::int64_t>(request.tcp_bind.size()));
    for (const int port : request.tcp_bind) {
        out.number(port);
    }
    out.number(request.has_seccomp ? 1 : 0);
    out.text(request.tmp);
    out.texts(request.shown);
    return out.bytes();
}

Result<RunRequest> decode_run(std::string_view bytes) {
    WireReader in(bytes);
    RunRequest request;
    request.name = in.text();
    request.profile = static_cast<Profile>(in.number(0, static_cast<int>(Profile::edge)));
    request.uid_slot = static_cast<int>(in.number(-1, uid_slots - 1));
    request.limits = take_limits(in);
    request.argv = in.texts();
    request.env = in.texts();
    request.cwd = in.text();
    request.writable = in.texts();
    request.log_bytes = in.number(0, INT64_MAX);
    for (auto count = in.number(0, 256); count > 0 && in.ok(); --count) {
        request.tcp_bind.push_back(static_cast<int>(in.number(0, 65535)));
    }
    request.has_seccomp = in.number(0, 1) == 1;
    request.tmp = in.text();
    request.shown = in.texts();
    if (!in.done() || request.argv.empty() || request.argv[0].empty()) {
        return malformed();
    }
    return request;
}

std::string encode(const KillRequest& request) {
    WireWriter out;
    out.text(request.name);
    out.number(request.grace.count());
    out.number(request.timeout.count());
    out.number(request.shim);
    out.number(static_cast<std::int64_t>(request.shim_start));
    out.number(static_cast<std::int64_t>(request.pipe));
    return out.bytes();
}

Result<KillRequest> decode_kill(std::string_view bytes) {
    constexpr std::int64_t longest = 24LL * 3600 * 1000;
    WireReader in(bytes);
    KillRequest request;
    request.name = in.text();
    request.grace = std::chrono::milliseconds(in.number(0, longest));
    request.timeout = std::chrono::milliseconds(in.number(0, longest));
    request.shim = static_cast<pid_t>(in.number(0, 1 << 30));
    request.shim_start = static_cast<std::uint64_t>(in.number());
    request.pipe = static_cast<std::uint64_t>(in.number());
    if (!in.done()) {
        return malformed();
    }
    return request;
}

std::string encode(const PlainRequest& request) {
    WireWriter out;
    out.texts(request.texts);
    out.number(request.number);
    return out.bytes();
}

Result<PlainRequest> decode_plain(std::string_view bytes, std::size_t texts) {
    WireReader in(bytes);
    PlainRequest request;
    request.texts = in.texts();
    request.number = in.number();
    if (!in.done() || request.texts.size() != texts) {
        return malformed();
    }
    return request;
}

std::string encode_reply(const Result<std::string>& reply) {
    WireWriter out;
    out.number(reply ? -1 : static_cast<int>(reply.error().code));
    out.text(reply ? *reply : render_error(reply.error()).substr(0, max_reply / 2));
    out.text(reply ? "" : reply.error().hint.substr(0, max_reply / 4));
    return out.bytes();
}

Result<std::string> decode_reply(std::string_view bytes) {
    WireReader in(bytes);
    const auto code = in.number(-1, static_cast<int>(Code::internal));
    std::string text = in.blob();
    std::string hint = in.text();
    if (!in.done()) {
        return fail(Code::internal, "the helper's reply is malformed");
    }
    if (code >= 0) {
        return fail(static_cast<Code>(code), std::move(text), std::move(hint));
    }
    return text;
}

Status send_fds(int socket, std::string_view bytes, const std::vector<int>& fds,
                const Context& ctx) {
    check(fds.size() <= max_fds, "too many descriptors in a message");
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_fds)] = {};
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
    }
    while (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EAGAIN) {
            TRY_ASSIGN([[maybe_unused]] const short ready, wait_fd(socket, POLLOUT, ctx));
        } else if (errno != EINTR) {
            return fail(Code::unavailable,
                        std::string("the helper does not answer: ") + std::strerror(errno),
                        "the daemon must be restarted; previews keep running");
        }
    }
    return {};
}

Result<Received> receive_fds(int socket, std::size_t limit) {
    Received received;
    received.bytes.resize(limit);
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * max_fds)] = {};
    iovec part{received.bytes.data(), limit};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = 0;
    do {
        n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return fail_errno("cannot receive", errno);
    }
    received.bytes.resize(static_cast<std::size_t>(n));
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        const auto count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
            received.fds.emplace_back(fd);
        }
    }
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        return fail(Code::invalid, "the message is too large");
    }
    return received;
}

}    // namespace seatrial::process
