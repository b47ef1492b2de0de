// A server with one UNIX and one TCP listener for the tests of http/.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "http/listen.h"
#include "http/server.h"
#include "http/test_client.h"

namespace seatrial::http {

inline bool becomes(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
    }
    return condition();
}

class ServerFixture : public ::testing::Test {
protected:
    void SetUp() override {
        std::string made = "/tmp/st-http-XXXXXX";
        ASSERT_NE(::mkdtemp(made.data()), nullptr);
        folder_ = made;
        std::filesystem::create_directory(folder_ / "in");
        options_.upload_folder = folder_ / "in";
        options_.report = [this](std::string_view text) {
            const std::lock_guard lock(mutex_);
            reports_.emplace_back(text);
        };
    }
    void TearDown() override {
        server_.reset();
        std::filesystem::remove_all(folder_);
    }
    void start(std::vector<Route> routes) { start(Router(std::move(routes))); }
    void start(Router router) {
        auto local = listen_unix(folder_ / "socket", 0600);
        auto tcp = listen_tcp("127.0.0.1", 0);
        ASSERT_TRUE(local);
        ASSERT_TRUE(tcp);
        port_ = port_of(*tcp).value_or(0);
        options_.listeners.push_back(std::move(*local));
        options_.listeners.push_back(std::move(*tcp));
        auto server = Server::start(std::move(options_), std::move(router));
        ASSERT_TRUE(server) << server.error().message;
        server_ = std::move(*server);
    }
    TestClient client() const { return TestClient(folder_ / "socket"); }
    std::vector<std::string> reports() {
        const std::lock_guard lock(mutex_);
        return reports_;
    }
    bool uploads_gone() const {
        return becomes([this] { return std::filesystem::is_empty(folder_ / "in"); });
    }

    std::filesystem::path folder_;
    std::uint16_t port_ = 0;
    ServerOptions options_;
    std::unique_ptr<Server> server_;

private:
    std::mutex mutex_;
    std::vector<std::string> reports_;
};

}    // namespace seatrial::http
