// Against a real HAProxy, with origins that say which of them answered.
#include "edge/haproxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <atomic>
#include <fstream>

#include "edge/runtime.h"
#include "net/client.h"
#include "net/test_server.h"
#include "process/command.h"
#include "support/free_port.h"
#include "support/temp_dir.h"

namespace seatrial::edge {
namespace {

using net::TestServer;

Context soon(int seconds = 20) {
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
        while (!haproxy->ping(soon())) {
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

TEST_F(HaproxyTest, ServesNothingThenASlotThenTheOtherAndBack) {
    const Origin web1("web1");
    const Origin api1("api1");
    const Origin web2("web2");
    const Origin api2("api2");
    start();
    EXPECT_EQ(get("/").substr(0, 3), "503");
    put("a", web1, api1);
    site().stable = "a";
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/"), "200 web1");
    EXPECT_EQ(get("/api"), "200 api1");
    EXPECT_EQ(get("/api/x?y=/"), "200 api1");
    EXPECT_EQ(get("/apix"), "200 web1");
    put("b", web2, api2);
    site().probes["b"] = Secret("tryme");
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/"), "200 web1");
    EXPECT_EQ(get("/", {{"x-seatrial-probe", "tryme"}}), "200 web2");
    EXPECT_EQ(get("/", {{"x-seatrial-probe", "guess"}}), "200 web1");
    site().stable = "b";
    apply();
    EXPECT_EQ(get("/"), "200 web2");
    EXPECT_EQ(get("/api/x"), "200 api2");
    site().stable = "a";
    apply();
    EXPECT_EQ(get("/"), "200 web1");
    // Five for users: the probe is not counted, and the slot's parts are.
    EXPECT_EQ(counts("a").requests, 7);
    EXPECT_EQ(counts("b").requests, 2);
}

TEST_F(HaproxyTest, AppsSeeWhoReallyCalledAndNeverTheProbe) {
    const Origin web("web");
    put("a", web, web);
    site().stable = "a";
    site().probes["a"] = Secret("tryme");
    start();
    const auto answer = client.request(
        request("/", {{"x-forwarded-for", "6.6.6.6"}, {"x-seatrial-probe", "tryme"}}), soon());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body.find("6.6.6.6"), std::string::npos);
    EXPECT_EQ(answer->body.find("tryme"), std::string::npos);
    EXPECT_NE(answer->body.find("x-forwarded-for: 127.0.0.1"), std::string::npos);
}

TEST_F(HaproxyTest, ACanaryIsStickyAndGoesInSmallSteps) {
    const Origin stable("stable");
    const Origin fresh("fresh");
    put("a", stable, stable);
    put("b", fresh, fresh);
    site().stable = "a";
    site().canary = Canary{"b", 300, {"alice"}};
    start();
    int hits = 0;
    for (int user = 0; user < 200; ++user) {
        const auto answer = client.request(request("/"), soon());
        ASSERT_TRUE(answer);
        const std::string cookie(answer->header("set-cookie").value_or(""));
        const std::string share = cookie.substr(0, cookie.find(';'));
        const std::string first = answer->body.substr(0, answer->body.find('|'));
        hits += first == "fresh" ? 1 : 0;
        EXPECT_EQ(get("/api", {{"cookie", share}}), "200 " + first) << "a user changes sides";
    }
    EXPECT_GT(hits, 30);
    EXPECT_LT(hits, 90);
    EXPECT_EQ(get("/", {{"cookie", "uid=alice"}}), "200 fresh");
    EXPECT_EQ(get("/", {{"cookie", "seatrial_share=300"}}), "200 stable");
    EXPECT_EQ(get("/", {{"cookie", "seatrial_share=299"}}), "200 fresh");
    site().canary->per_mille = 301;
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/", {{"cookie", "seatrial_share=300"}}), "200 fresh");
    site().canary.reset();
    apply();
    EXPECT_EQ(get("/", {{"cookie", "uid=alice; seatrial_share=0"}}), "200 stable");
}

TEST_F(HaproxyTest, CountsFailuresOfTheAppAndOfTheEdgeAndSlowAnswers) {
    const Origin web("web");
    put("a", web, web);
    site().slots["a"]["api"] = {{"127.0.0.1", test::free_port()}};    // nobody there
    site().stable = "a";
    start();
    EXPECT_EQ(get("/late"), "200 web");
    EXPECT_EQ(get("/fail").substr(0, 3), "500");
    EXPECT_EQ(get("/api").substr(0, 3), "503");
    const Counts seen = counts("a");
    EXPECT_EQ(seen.requests, 3);
    EXPECT_EQ(seen.failed_by_app, 1);
    EXPECT_EQ(seen.failed_by_edge, 1);
    EXPECT_EQ(seen.slow, 1);
    EXPECT_EQ(seen.window.requests, 3);
    EXPECT_EQ(seen.window.failed_by_app, 1);
}

// What a client holds open, until it is cancelled.
class Holder {
public:
    explicit Holder(int port, const std::string& request) {
        fd_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        check(::connect(fd_.get(), static_cast<const sockaddr*>(static_cast<void*>(&address)),
                        sizeof address) == 0,
              "connect");
        TestServer::send(fd_.get(), request);
        head_ = TestServer::read_until(fd_.get(), "\r\n\r\n", soon());
    }
    const std::string& head() const { return head_; }
    bool ended() const {
        char byte = 0;
        while (wait_fd(fd_.get(), POLLIN, soon(10))) {
            if (::recv(fd_.get(), &byte, 1, 0) <= 0) {
                return true;
            }
        }
        return false;
    }
    std::string ask(const std::string& request) const {
        TestServer::send(fd_.get(), request);
        const std::string head = TestServer::read_until(fd_.get(), "\r\n\r\n", soon());
        return head + TestServer::read_until(fd_.get(), "|", soon());
    }

private:
    Fd fd_;
    std::string head_;
};

TEST_F(HaproxyTest, ADrainIsVisibleAndEndsWhatIsLeft) {
    const Origin web1("web1");
    const Origin web2("web2");
    put("a", web1, web1);
    put("b", web2, web2);
    site().stable = "a";
    start();
    const int port = site().listens[0].port;
    const Holder events(port, "GET /events HTTP/1.1\r\nhost: x\r\n\r\n");
    const Holder socket(port,
                        "GET /ws HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: "
                        "upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "sec-websocket-version: 13\r\n\r\n");
    EXPECT_NE(events.head().find("200 OK"), std::string::npos);
    EXPECT_NE(socket.head().find("101"), std::string::npos) << socket.head();
    site().stable = "b";
    apply();
    EXPECT_EQ(get("/"), "200 web2");
    Counts seen = counts("a");
    EXPECT_EQ(seen.open, 2);
    EXPECT_EQ(seen.websockets, 1);
    EXPECT_EQ(seen.streams, 1);
    // Its address may not change under them.
    put("a", web2, web2);
    const auto refused = haproxy->apply(wanted, soon());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::conflict);
    put("a", web1, web1);
    ASSERT_TRUE(haproxy->close_sessions("shop", "a", soon()));
    EXPECT_TRUE(events.ended());
    EXPECT_TRUE(socket.ended());
    seen = counts("a");
    EXPECT_EQ(seen.open, 0);
    EXPECT_EQ(seen.websockets, 0);
}

TEST_F(HaproxyTest, PausedRequestsWaitAndNoneIsLost) {
    const Origin web1("web1");
    const Origin web2("web2");
    put("a", web1, web1);
    put("b", web2, web2);
    site().stable = "a";
    start();
    site().paused = true;
    apply();
    std::atomic<int> good = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 8; ++i) {
        clients.emplace_back([&] {
            net::Client own;
            const auto answer = own.request(request("/"), soon());
            good += answer && answer->body.starts_with("web2") ? 1 : 0;
        });
    }
    const auto waiting = [&] {
        const auto rows = parse_stat(
            ask(dir.path() / "edge/admin.sock", "show stat shop 1 -1", soon()).value_or(""));
        return rows && !rows->empty() ? number_in((*rows)[0], "scur") : 0;
    };
    while (waiting() < 8) {
        ASSERT_TRUE(wait_for(std::chrono::milliseconds(5), soon()));
    }
    site().stable = "b";
    apply();
    EXPECT_EQ(good, 0);
    site().paused = false;
    apply();
    for (auto& thread : clients) {
        thread.join();
    }
    EXPECT_EQ(good, 8);
}

TEST_F(HaproxyTest, SwitchesUnderLoadLoseNothing) {
    const Origin web1("web1");
    const Origin web2("web2");
    put("a", web1, web1);
    put("b", web2, web2);
    site().stable = "a";
    start();
    std::atomic<bool> end = false;
    std::atomic<int> asked = 0;
    std::atomic<int> failed = 0;
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) {
        clients.emplace_back([&] {
            net::Client own;
            while (!end) {
                const auto answer = own.request(request("/"), soon());
                failed += !answer || answer->status != 200 ? 1 : 0;
                ++asked;
            }
        });
    }
    int reloads = 0;
    for (int i = 0; i < 60; ++i) {
        site().stable = i % 2 == 0 ? "b" : "a";
        if (i % 20 == 19) {    // a new route needs no reload, a new component does
            site().components.push_back("extra" + std::to_string(i));
        }
        reloads += apply().reloaded ? 1 : 0;
        const int before = asked;
        while (asked < before + 20) {
            std::this_thread::yield();
        }
    }
    end = true;
    for (auto& thread : clients) {
        thread.join();
    }
    EXPECT_EQ(failed, 0) << "of " << asked;
    EXPECT_EQ(reloads, 3);
}

TEST_F(HaproxyTest, AfterAReloadAnOldConnectionFollowsTheSwitch) {
    const Origin web1("web1");
    const Origin web2("web2");
    put("a", web1, web1);
    put("b", web2, web2);
    site().stable = "a";
    start();
    const std::string ask = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const Holder busy(site().listens[0].port, "GET /events HTTP/1.1\r\nhost: x\r\n\r\n");
    const Holder kept(site().listens[0].port, ask);
    site().components.push_back("extra");
    EXPECT_TRUE(apply().reloaded);
    site().stable = "b";
    EXPECT_FALSE(apply().reloaded);
    EXPECT_NE(kept.ask(ask).find("web2"), std::string::npos) << "served by an old worker's map";
    EXPECT_EQ(counts("a").open, 1) << "the stream in the old worker";
    ASSERT_TRUE(haproxy->close_sessions("shop", "a", soon()));
    EXPECT_TRUE(busy.ended());
}

// An old worker cannot learn servers; there the old slot goes on serving, as it is still warm.
TEST_F(HaproxyTest, AfterAReloadAnOldConnectionIsNeverSentToAServerItsWorkerDoesNotKnow) {
    const Origin web1("web1");
    const Origin web2("web2");
    put("a", web1, web1);
    site().stable = "a";
    start();
    const std::string ask = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const Holder busy(site().listens[0].port, "GET /events HTTP/1.1\r\nhost: x\r\n\r\n");
    const Holder kept(site().listens[0].port, ask);
    site().components.push_back("extra");
    EXPECT_TRUE(apply().reloaded);
    put("b", web2, web2);
    site().stable = "b";
    apply();
    EXPECT_EQ(get("/"), "200 web2");
    EXPECT_EQ(counts("a").old_workers, 1);
    EXPECT_NE(kept.ask(ask).find("web1"), std::string::npos);
}

TEST_F(HaproxyTest, AStartFromTheFilesAloneServesWhatWasWanted) {
    const Origin web1("web1");
    const Origin web2("web2");
    put("a", web1, web1);
    start();
    put("b", web2, web2);
    site().stable = "b";
    apply();
    stop(SIGKILL);
    spawn();
    EXPECT_EQ(get("/"), "200 web2");
    // The same with a new object of ours, as after a restart of the daemon.
    haproxy = std::make_unique<Haproxy>(dir.path() / "edge");
    site().stable = "a";
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(get("/"), "200 web1");
}

TEST_F(HaproxyTest, PreviewsByHostAndTheWakerForAllOthers) {
    const Origin one("one");
    const Origin two("two");
    const Origin waker("waker");
    wanted.preview_listens = {{"127.0.0.1", test::free_port(), {}}};
    wanted.waker = "127.0.0.1:" + std::to_string(waker.where().port);
    start();
    const auto ask = [&](const std::string& host) {
        net::ClientRequest asked;
        asked.url = "http://127.0.0.1:" + std::to_string(wanted.preview_listens[0].port) + "/";
        asked.headers = {{"host", host}};
        const auto answer = client.request(asked, soon());
        return answer ? answer->body.substr(0, answer->body.find('|'))
                      : render_error(answer.error());
    };
    EXPECT_EQ(ask("pr-1.x"), "waker");
    wanted.previews = {{"pr-1.x", one.where()}, {"pr-2.x", two.where()}};
    EXPECT_FALSE(apply().reloaded);
    EXPECT_EQ(ask("pr-1.x"), "one");
    EXPECT_EQ(ask("PR-2.x:80"), "two");
    EXPECT_EQ(ask("pr-3.x"), "waker");
    // A dead one is never another's.
    wanted.previews[0].server.port = test::free_port();
    apply();
    EXPECT_EQ(ask("pr-1.x"), "waker");
    wanted.previews.erase(wanted.previews.begin());
    apply();
    EXPECT_EQ(ask("pr-1.x"), "waker");
    EXPECT_EQ(ask("pr-2.x"), "two");
    stop(SIGKILL);
    haproxy = std::make_unique<Haproxy>(dir.path() / "edge");
    start();
    EXPECT_EQ(ask("pr-2.x"), "two");
}

TEST_F(HaproxyTest, ThousandsOfPreviewsWithoutAReload) {
    const Origin one("one");
    wanted.preview_listens = {{"127.0.0.1", test::free_port(), {}}};
    wanted.waker = "127.0.0.1:1";
    start();
    for (int i = 0; i < 3000; ++i) {
        wanted.previews.push_back({"pr-" + std::to_string(i) + ".x", one.where()});
    }
    EXPECT_FALSE(apply().reloaded);
    net::ClientRequest asked;
    asked.url = "http://127.0.0.1:" + std::to_string(wanted.preview_listens[0].port) + "/";
    asked.headers = {{"host", "pr-2999.x"}};
    const auto answer = client.request(asked, soon());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->body.substr(0, 3), "one");
    wanted.previews.clear();
    apply();
}

TEST_F(HaproxyTest, ABadCertificateOrConfigurationStopsNobodyElse) {
    const Origin web("web");
    put("a", web, web);
    site().stable = "a";
    start();
    std::ofstream(dir.path() / "bad.pem") << "no certificate";
    site().listens.push_back({"127.0.0.1", test::free_port(), dir.path() / "bad.pem"});
    const Applied applied = apply();
    ASSERT_EQ(applied.warnings.size(), 1U);
    EXPECT_NE(applied.warnings[0].find("bad.pem"), std::string::npos);
    EXPECT_EQ(get("/"), "200 web");
    // Nor does a port that another program has; it is served once that one lets go.
    const int port = [&] {
        const TestServer squatter(AF_INET, [](int, int, const Context&) {});
        site().listens[1] = {"127.0.0.1", squatter.port(), {}};
        site().stable = "b";
        put("b", web, web);
        const Applied without = apply();
        EXPECT_EQ(without.warnings.size(), 1U);
        EXPECT_NE(without.warnings[0].find("another program"), std::string::npos);
        EXPECT_EQ(get("/"), "200 web");
        return squatter.port();
    }();
    EXPECT_TRUE(apply().warnings.empty());
    net::ClientRequest asked;
    asked.url = "http://127.0.0.1:" + std::to_string(port) + "/";
    const auto answer = client.request(asked, soon());
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200);
}

TEST_F(HaproxyTest, ACertificateIsACopyThatFollowsItsFile) {
    const Origin web("web");
    put("a", web, web);
    site().stable = "a";
    const auto file = dir.path() / "site.pem";
    const auto make = [&](const std::string& name) {
        process::Command command;
        command.argv = {"/usr/bin/openssl", "req",   "-x509", "-newkey", "rsa:2048",
                        "-nodes",           "-days", "2",     "-subj",   "/CN=" + name,
                        "-keyout",          file,    "-out",  file};
        const auto made = process::run_command(command, soon());
        ASSERT_TRUE(made && made->exit_code == 0);
    };
    const auto copies = [&] {
        std::vector<std::string> out;
        for (const auto& entry : std::filesystem::directory_iterator(dir.path() / "edge")) {
            const std::string name = entry.path().filename();
            if (name.starts_with("certificate-")) {
                out.push_back(name);
            }
        }
        return out;
    };
    make("one.example");
    const int port = test::free_port();
    site().listens.push_back({"127.0.0.1", port, file});
    start();
    EXPECT_TRUE(apply().warnings.empty());
    net::ClientRequest asked;
    asked.url = "https://127.0.0.1:" + std::to_string(port) + "/";
    EXPECT_FALSE(client.request(asked, soon())) << "nobody vouches for it";
    asked.any_certificate = true;
    const auto answer = client.request(asked, soon());
    ASSERT_TRUE(answer) << render_error(answer.error());
    EXPECT_EQ(answer->body.substr(0, 4), "web|");
    const auto before = copies();
    EXPECT_EQ(before.size(), 1U);
    make("two.example");
    EXPECT_TRUE(apply().reloaded);
    EXPECT_EQ(copies().size(), 1U);
    EXPECT_NE(copies(), before);
    EXPECT_TRUE(client.request(asked, soon()));
}

TEST_F(HaproxyTest, NobodyThereIsUnavailable) {
    const auto applied = haproxy->apply(wanted, soon());
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().code, Code::unavailable);
}

}    // namespace
}    // namespace seatrial::edge
