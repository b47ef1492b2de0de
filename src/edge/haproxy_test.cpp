// Changes of a running HAProxy: switches, drains, pauses, reloads, previews, certificates.
#include "edge/haproxy.h"

#include <arpa/inet.h>

#include <atomic>
#include <fstream>

#include "edge/haproxy_fixture.h"
#include "edge/runtime.h"
#include "process/command.h"

namespace seatrial::edge {
namespace {

using net::TestServer;

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
    EXPECT_NE(answer->body.find("x-forwarded-proto: https\r\n"), std::string::npos);
    const auto plain = client.request(request("/", {{"x-forwarded-proto", "https"}}), soon());
    ASSERT_TRUE(plain);
    EXPECT_NE(plain->body.find("x-forwarded-proto: http\r\n"), std::string::npos);
    site().listens.erase(site().listens.begin());
    EXPECT_TRUE(apply().reloaded);
    const auto alone = client.request(asked, soon());
    ASSERT_TRUE(alone);
    EXPECT_NE(alone->body.find("x-forwarded-proto: https\r\n"), std::string::npos);
    const auto before = copies();
    EXPECT_EQ(before.size(), 1U);
    make("two.example");
    EXPECT_TRUE(apply().reloaded);
    EXPECT_EQ(copies().size(), 1U);
    EXPECT_NE(copies(), before);
    EXPECT_TRUE(client.request(asked, soon()));
}

TEST_F(HaproxyTest, WhatCameBackIsTrustedOnlyAfterItsOwnChecks) {
    const Origin web("web");
    const Fd late(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));    // refuses until it listens
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* where = static_cast<sockaddr*>(static_cast<void*>(&address));
    socklen_t size = sizeof address;
    ASSERT_EQ(::bind(late.get(), where, size), 0);
    ASSERT_EQ(::getsockname(late.get(), where, &size), 0);
    put("a", web, web);
    site().slots["b"] = {{"web", {{"127.0.0.1", ntohs(address.sin_port)}}}, {"api", {web.where()}}};
    site().stable = "a";
    start();
    const Context limit = soon();
    const auto becomes = [&](bool trusted) {
        while (haproxy->trusts("shop", "b", soon()).value_or(!trusted) != trusted) {
            ASSERT_TRUE(wait_for(std::chrono::milliseconds(10), limit));
        }
    };
    becomes(false);
    EXPECT_TRUE(haproxy->trusts("shop", "a", soon()).value_or(false));
    ASSERT_EQ(::listen(late.get(), 8), 0);
    becomes(true);
}

TEST_F(HaproxyTest, NobodyThereIsUnavailable) {
    const auto applied = haproxy->apply(wanted, soon());
    ASSERT_FALSE(applied);
    EXPECT_EQ(applied.error().code, Code::unavailable);
}

}    // namespace
}    // namespace seatrial::edge
