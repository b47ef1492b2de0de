// A client for the tests of http/: a bare socket, so that it can misbehave.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "base/context.h"
#include "base/file.h"

namespace seatrial::http {

class TestClient {
public:
    explicit TestClient(const std::filesystem::path& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.native().size());
        connect(AF_UNIX, &address, sizeof address);
    }
    explicit TestClient(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connect(AF_INET, &address, sizeof address);
    }

    bool connected() const { return connected_; }
    int fd() const { return fd_.get(); }
    void close() { fd_.reset(); }

    // False when the server has closed.
    bool send(std::string_view text) const {
        while (!text.empty()) {
            const auto done = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (done <= 0) {
                return false;
            }
            text.remove_prefix(static_cast<std::size_t>(done));
        }
        return true;
    }
    // Reads until `mark` has come (returns all up to and with it) or the server closes.
    std::string read_until(std::string_view mark) {
        while (buffer_.find(mark) == std::string::npos && read_more()) {
        }
        const auto at = buffer_.find(mark);
        return take(at == std::string::npos ? buffer_.size() : at + mark.size());
    }
    std::string read_all() {
        while (read_more()) {
        }
        return take(buffer_.size());
    }
    // Head and body of one answer with a content-length.
    std::string read_answer(bool has_body = true) {
        std::string head = read_until("\r\n\r\n");
        const auto at = head.find("content-length: ");
        std::size_t length = 0;
        if (has_body && at != std::string::npos) {
            length = std::stoul(head.substr(at + 16));
        }
        while (buffer_.size() < length && read_more()) {
        }
        return head + take(length);
    }
    std::string call(const std::string& method, const std::string& target,
                     const std::string& body = {}) {
        std::string text = method + " " + target + " HTTP/1.1\r\nhost: x\r\n";
        if (!body.empty()) {
            text += "content-length: " + std::to_string(body.size()) + "\r\n";
        }
        send(text + "\r\n" + body);
        return read_answer(method != "HEAD");
    }
    std::string get(const std::string& target) { return call("GET", target); }

private:
    void connect(int family, const void* address, socklen_t size) {
        fd_ = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        connected_ = ::connect(fd_.get(), static_cast<const sockaddr*>(address), size) == 0;
    }
    bool read_more() {
        const auto ready =
            wait_fd(fd_.get(), POLLIN, Context().with_timeout(std::chrono::seconds(20)));
        EXPECT_TRUE(ready) << "neither an answer nor an end in 20 s";
        char chunk[65536];
        const auto got = ready ? ::recv(fd_.get(), chunk, sizeof chunk, 0) : -1;
        if (got <= 0) {
            return false;
        }
        buffer_.append(chunk, static_cast<std::size_t>(got));
        return true;
    }
    std::string take(std::size_t size) {
        std::string text = buffer_.substr(0, size);
        buffer_.erase(0, size);
        return text;
    }
    Fd fd_;
    bool connected_ = false;
    std::string buffer_;
};

}    // namespace seatrial::http
