// A real HAProxy in a folder of its own, with origins that say which of them answered.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "edge/haproxy.h"
#include "net/client.h"
#include "net/test_server.h"
#include "support/free_port.h"
#include "support/temp_dir.h"

namespace seatrial::edge {

using net::TestServer;

inline Context soon(int seconds = 20) {
    return Context().with_timeout(std::chrono::seconds(seconds));
}

// Keeps connections; /fail is a 500, /late waits 60 ms, /events streams until the end, an upgrade
// becomes an open tunnel, all else says the name and what the request claimed.
class Origin {
public:
    explicit Origin(std::string name)
        : name_(std::move(name)),
          server_(AF_INET, [this](int fd, int, const Context& ctx) { serve(fd, ctx); }) {}
    Server where() const { return {"127.0.0.1", server_.port()}; }

private:
    void serve(int fd, const Context& ctx) const {
        while (true) {
            const std::string head = TestServer::read_until(fd, "\r\n\r\n", ctx);
            if (!std::string_view(head).ends_with("\r\n\r\n")) {
                return;
            }
            if (head.find("GET /fail") == 0) {
                TestServer::send(fd, TestServer::answer("no", "500 No"));
            } else if (head.find("GET /events") == 0) {
                TestServer::send(fd,
                                 "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
                                 "data: " +
                                     name_ + "\n\n");
                (void)wait_fd(fd, POLLIN, ctx);
                return;
            } else if (head.find("pgrade: websocket") != std::string::npos) {
                TestServer::send(fd,
                                 "HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: "
                                 "upgrade\r\nsec-websocket-accept: "
                                 "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
                (void)wait_fd(fd, POLLIN, ctx);
                return;
            } else {
                if (head.find("GET /late") == 0) {
                    (void)wait_for(std::chrono::milliseconds(60), ctx);
                }
                TestServer::send(fd, TestServer::answer(name_ + "|" + head));
            }
        }
    }
    std::string name_;
    TestServer server_;
};

class HaproxyTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(::access("/usr/sbin/haproxy", X_OK), 0) << "./dev setup installs it";
        wanted.most_connections = 500;
        Site site;
        site.name = "shop";
        site.listens = {{"127.0.0.1", test::free_port(), {}}};
        site.components = {"web", "api"};
        site.routes = {{"", "/", "web"}, {"", "/api", "api"}};
        site.instances = 2;
        site.slow_ms = 40;
        wanted.sites = {site};
    }
    void TearDown() override { stop(SIGTERM); }

    void start() {
        const auto written = haproxy->write(wanted, soon());
        ASSERT_TRUE(written) << (written ? "" : render_error(written.error()));
        spawn();
    }
    void spawn() {
        auto words = haproxy->command();
        words[0] = "/usr/sbin/haproxy";
        std::vector<char*> argv;
        for (auto& word : words) {
            argv.push_back(word.data());
        }
        argv.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 2, (dir.path() / "log").c_str(),
                                         O_WRONLY | O_CREAT | O_APPEND, 0600);
        ASSERT_EQ(::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        while (!haproxy->worker(soon())) {
            ASSERT_EQ(::waitpid(pid, nullptr, WNOHANG), 0) << "haproxy ended";
            ASSERT_TRUE(wait_for(std::chrono::milliseconds(5), soon()));
        }
    }
    void stop(int signal) {
        if (pid > 0) {
            ::kill(pid, signal);
            ::waitpid(pid, nullptr, 0);
            pid = 0;
        }
    }
    Applied apply() {
        const auto applied = haproxy->apply(wanted, soon());
        EXPECT_TRUE(applied) << (applied ? "" : render_error(applied.error()));
        return applied.value_or(Applied{});
    }
    Counts counts(const std::string& slot) {
        const auto out = haproxy->counts("shop", slot, soon());
        EXPECT_TRUE(out) << (out ? "" : render_error(out.error()));
        return out.value_or(Counts{});
    }
    net::ClientRequest request(const std::string& path, net::Pairs headers = {}) const {
        net::ClientRequest out;
        out.url = "http://127.0.0.1:" + std::to_string(site().listens[0].port) + path;
        out.headers = std::move(headers);
        return out;
    }
    // "status body-up-to-the-bar".
    std::string get(const std::string& path, net::Pairs headers = {}) {
        const auto response = client.request(request(path, std::move(headers)), soon());
        if (!response) {
            return render_error(response.error());
        }
        return std::to_string(response->status) + " " +
               response->body.substr(0, response->body.find('|'));
    }
    void put(const std::string& slot, const Origin& web, const Origin& api) {
        site().slots[slot] = {{"web", {web.where()}}, {"api", {api.where()}}};
    }
    Site& site() { return wanted.sites[0]; }
    const Site& site() const { return wanted.sites[0]; }

    test::TempDir dir;
    Wanted wanted;
    std::unique_ptr<Haproxy> haproxy = std::make_unique<Haproxy>(dir.path() / "edge");
    net::Client client;
    pid_t pid = 0;
};

}    // namespace seatrial::edge
