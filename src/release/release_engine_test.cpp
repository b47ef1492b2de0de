// Whole rollouts against a real Docker engine and a real HAProxy, with a client that never stops
// asking.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "docker/containers.h"
#include "docker/networks.h"
#include "net/client.h"
#include "release/manager.h"
#include "support/docker.h"
#include "support/free_port.h"
#include "support/temp_dir.h"

namespace seatrial::release {
namespace {

using nlohmann::json;

Context soon(int seconds = 60) {
    return Context().with_timeout(std::chrono::seconds(seconds));
}

template <class T>
std::vector<T> all(Result<std::vector<T>> listed) {
    EXPECT_TRUE(listed) << (listed ? "" : render_error(listed.error()));
    return listed ? std::move(*listed) : std::vector<T>();
}

// Says its name; /fail is a 500; ends well on SIGTERM; a name that begins with "bad" dies at once.
const char* const app = R"js(
const http = require('http');
const name = process.env.NAME;
if (name.startsWith('dies')) { console.log('cannot go on'); process.exit(3); }
http.createServer((q, r) => {
  if (name.startsWith('leaky') && q.url === '/leak') { r.statusCode = 500; return r.end('no'); }
  if (name.startsWith('unfit') && q.url === '/fit') { r.statusCode = 500; return r.end('no'); }
  r.end(name + '|' + (process.env.FROM_FILE || ''));
}).listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
)js";

// A client that asks all the time and counts what is not a good answer.
class Prober {
public:
    explicit Prober(int port) {
        for (int i = 0; i < 2; ++i) {
            threads_.emplace_back([this, port] {
                net::Client client;
                net::ClientRequest request;
                request.url = "http://127.0.0.1:" + std::to_string(port) + "/";
                while (!end_) {
                    const auto answer = client.request(request, soon());
                    failed_ += !answer || answer->status != 200 ? 1 : 0;
                    ++asked_;
                }
            });
        }
    }
    ~Prober() { stop(); }
    int stop() {
        end_ = true;
        threads_.clear();
        return failed_;
    }
    int asked() const { return asked_; }

private:
    std::atomic<bool> end_ = false;
    std::atomic<int> failed_ = 0;
    std::atomic<int> asked_ = 0;
    std::vector<std::jthread> threads_;
};

class ReleaseEngine : public testing::Test {
protected:
    void SetUp() override {
        if (!test::may_run_docker()) {
            GTEST_SKIP() << "an engine of our own needs root";
        }
        test::PrivateDocker::shared().tell("image node");
        engine_ =
            std::make_unique<docker::Engine>(test::PrivateDocker::shared().socket(), "tstrel");
        settings_.listens = {{"127.0.0.1", test::free_port(), {}}};
        settings_.checks.resize(1);
        settings_.checks[0].path = "/fit";
        settings_.policy.drain = std::chrono::seconds(2);
        settings_.policy.watch = std::chrono::milliseconds(0);
        settings_.policy.warm = std::chrono::hours(1);
        open();
    }
    void TearDown() override {
        close();
        if (haproxy_ > 0) {
            ::kill(haproxy_, SIGTERM);
            ::waitpid(haproxy_, nullptr, 0);
        }
        if (engine_) {
            for (const auto& one : all(docker::list_containers(*engine_, {}, soon()))) {
                EXPECT_TRUE(docker::remove_container(*engine_, one.id, soon()));
            }
            for (const auto& one : all(docker::list_networks(*engine_, {}, soon()))) {
                EXPECT_TRUE(docker::remove_network(*engine_, one, soon()));
            }
        }
    }
    // As after a start of the daemon.
    void open() {
        auto opened = store::Records::open(dir_.path() / "records.db");
        ASSERT_TRUE(opened);
        records_ = std::move(*opened);
        subjects_ = std::make_unique<plan::Scheduler>(4, std::map<std::string, int>());
        timers_ = std::make_unique<plan::Timers>();
        edge_ = std::make_unique<EdgeControl>(
            *records_, dir_.path() / "edge", "haproxy",
            [this](const std::vector<std::string>& argv, const Context&) { return launch(argv); });
        reconciler_ = std::make_unique<Reconciler>(Parts{*records_, *engine_, *edge_, *subjects_,
                                                         *timers_, "tstrel", dir_.path() / "keys"});
        manager_ = std::make_unique<Manager>(*records_, *reconciler_);
        ASSERT_TRUE(reconciler_->wake_all(soon()));
    }
    void close() {
        if (reconciler_) {
            reconciler_->shutdown();
            timers_->stop();
            subjects_->stop();
        }
        manager_.reset();
        reconciler_.reset();
        edge_.reset();
        timers_.reset();
        subjects_.reset();
        records_.reset();
    }
    Status launch(std::vector<std::string> argv) {
        if (haproxy_ > 0 && ::waitpid(haproxy_, nullptr, WNOHANG) == 0) {
            return {};    // it runs
        }
        std::vector<char*> words;
        for (auto& word : argv) {
            words.push_back(word.data());
        }
        words.push_back(nullptr);
        check(::posix_spawnp(&haproxy_, words[0], nullptr, nullptr, words.data(), environ) == 0,
              "haproxy");
        return {};
    }
    Content content(const std::string& name) const {
        Content out;
        out.release = out.tag = name;
        Component web;
        web.name = "web";
        web.image = test::node_image;
        web.argv = {"node", "-e", app};
        web.health = "/";
        web.env = {{"NAME", name}};
        web.health_timeout = std::chrono::seconds(20);
        out.components = {web};
        return out;
    }
    Deploying deploy(const std::string& name) {
        const auto out =
            manager_->deploy({"shop", "prd", content(name), settings_, "test", "", true});
        EXPECT_TRUE(out) << (out ? "" : render_error(out.error()));
        return out.value_or(Deploying{});
    }
    // The data of the first event of that kind after `after`.
    json await(const Deploying& what, const std::string& kind, int seconds = 40) {
        const Context limit = soon(seconds);
        while (limit.ok()) {
            const auto events = all(records_->events(what.after, what.life, 1000));
            for (const auto& event : events) {
                if (event.kind == kind) {
                    return json::parse(event.data);
                }
            }
            (void)wait_for(std::chrono::milliseconds(10), limit);
        }
        std::string seen;
        for (const auto& event : all(records_->events(what.after, what.life, 1000))) {
            seen += event.kind + " " + event.data + "\n";
        }
        ADD_FAILURE() << "no event " << kind << " but\n" << seen;
        return {};
    }
    std::string get(const std::string& path = "/") {
        net::Client client;
        net::ClientRequest request;
        request.url = "http://127.0.0.1:" + std::to_string(settings_.listens[0].port) + path;
        const auto answer = client.request(request, soon());
        return answer ? answer->body.substr(0, answer->body.find('|'))
                      : render_error(answer.error());
    }
    Standing standing(const std::string& life) {
        const auto found = records_->life(life);
        return parse_standing((*found)->status).value_or(Standing{});
    }
    void await_containers(std::size_t count) {
        const Context limit = soon(40);
        while (containers() != count && wait_for(std::chrono::milliseconds(20), limit)) {
        }
        EXPECT_EQ(containers(), count);
    }
    std::size_t containers() { return docker::list_containers(*engine_, {}, soon())->size(); }

    test::TempDir dir_;
    Settings settings_;
    std::unique_ptr<docker::Engine> engine_;
    std::unique_ptr<store::Records> records_;
    std::unique_ptr<plan::Scheduler> subjects_;
    std::unique_ptr<plan::Timers> timers_;
    std::unique_ptr<EdgeControl> edge_;
    std::unique_ptr<Reconciler> reconciler_;
    std::unique_ptr<Manager> manager_;
    pid_t haproxy_ = 0;
};

TEST_F(ReleaseEngine, DeploysSwitchesAndRollsBackWithoutAFailedRequest) {
    const Deploying first = deploy("one");
    await(first, "receipt");
    EXPECT_EQ(get(), "one");
    Prober prober(settings_.listens[0].port);
    const Deploying second = deploy("two");
    const json switched = await(second, "switched");
    await(second, "receipt");
    EXPECT_EQ(get(), "two");
    EXPECT_EQ(containers(), 2U) << "the one before stays warm";
    const auto back = manager_->roll_back({"shop", "prd", "", "test", "for the test"});
    ASSERT_TRUE(back);
    await(*back, "receipt");
    EXPECT_EQ(get(), "one");
    EXPECT_EQ(containers(), 2U) << "nothing had to be started";
    EXPECT_EQ(prober.stop(), 0) << "of " << prober.asked();
    EXPECT_GT(prober.asked(), 100);
    RecordProperty("switch_us", std::to_string(switched["switch_us"].get<int>()));
}

TEST_F(ReleaseEngine, AHandMadeRollbackHoldsAutomation) {
    await(deploy("one"), "receipt");
    await(deploy("two"), "receipt");
    const auto back = manager_->roll_back({"shop", "prd", "one", "test", "too slow"});
    ASSERT_TRUE(back);
    await(*back, "receipt");
    DeployRequest automatic{"shop", "prd", content("three"), settings_, "push", "", false};
    const auto refused = manager_->deploy(automatic);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::refused);
    const auto held = parse_spec(records_->life(back->life).value()->spec);
    ASSERT_TRUE(held);
    EXPECT_EQ(held->held_by, "test");
    EXPECT_EQ(held->held_reason, "too slow");
    EXPECT_TRUE(held->held_at.has_value());
    EXPECT_TRUE(manager_->lift_hold("shop", "prd", "test").value());
    EXPECT_FALSE(manager_->lift_hold("shop", "prd", "test").value()) << "it was lifted already";
    const auto taken = manager_->deploy(automatic);
    ASSERT_TRUE(taken);
    await(*taken, "receipt");
    EXPECT_EQ(get(), "three");
}

TEST_F(ReleaseEngine, AYesAllowsExactlyWhatWasAskedFor) {
    DeployRequest request{"shop", "prd", content("one"), settings_, "uid:1000", "", true, {}};
    request.rules = {true, {"uid:1001"}, true, std::chrono::hours(1)};
    const auto asked = manager_->deploy(request);
    ASSERT_TRUE(asked) << render_error(asked.error());
    ASSERT_TRUE(asked->waits.has_value());
    EXPECT_TRUE(records_->unfinished(deployment_kind)->empty()) << "nothing is wanted";
    const auto again = manager_->deploy(request);
    ASSERT_TRUE(again && again->waits);
    EXPECT_EQ(again->waits->id, asked->waits->id);

    const approval::Decision yes{asked->waits->id, true, "uid:1001", ""};
    DeployRequest other = request;
    other.content.components[0].image = "sha256:other";
    for (const auto& [env, wanted] : {std::pair("prd", other), std::pair("stg", request)}) {
        DeployRequest elsewhere = wanted;
        elsewhere.env = env;
        const auto refused = manager_->deploy_approved(elsewhere, yes);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Code::refused);
    }
    EXPECT_TRUE(records_->unfinished(deployment_kind)->empty());

    const auto started = manager_->deploy_approved(request, yes);
    ASSERT_TRUE(started) << render_error(started.error());
    const auto twice = manager_->deploy_approved(request, yes);
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().code, Code::conflict);
    await(*started, "receipt");
    EXPECT_EQ(get(), "one");
    EXPECT_EQ(records_->life(started->life).value()->generation, 1);
}

TEST_F(ReleaseEngine, BadReleasesLeaveTheOldOneServing) {
    const Deploying first = deploy("one");
    await(first, "receipt");
    Prober prober(settings_.listens[0].port);
    const json died = await(deploy("dies"), "failed");
    EXPECT_NE(died["message"].get<std::string>().find("exit code 3"), std::string::npos);
    EXPECT_NE(died["message"].get<std::string>().find("cannot go on"), std::string::npos);
    const Deploying unfit = deploy("unfit");
    const json checked = await(unfit, "failed");
    EXPECT_NE(checked["message"].get<std::string>().find("GET /fit answered 500"),
              std::string::npos);
    await_containers(1);
    EXPECT_EQ(get(), "one");
    EXPECT_EQ(prober.stop(), 0) << "of " << prober.asked();
    const auto incidents = records_->incidents("shop", "prd", 10);
    ASSERT_EQ(incidents->size(), 2U);
    const json newest = json::parse(incidents->at(0).data);
    EXPECT_EQ(newest["tag"], "unfit");
    EXPECT_EQ(newest["back_to"], "one");
    EXPECT_EQ(newest["switched"], false);
    EXPECT_NE(newest["cause"].get<std::string>().find("GET /fit"), std::string::npos);
}

TEST_F(ReleaseEngine, AFirstReleaseThatDoesNotStartIsAnIncidentToo) {
    await(deploy("dies"), "failed");
    const auto incidents = records_->incidents("shop", "prd", 10);
    ASSERT_EQ(incidents->size(), 1U);
    const json written = json::parse(incidents->at(0).data);
    EXPECT_EQ(written["tag"], "dies");
    EXPECT_EQ(written["back_to"], "") << "nothing serves";
}

TEST_F(ReleaseEngine, AGateTakesALeakyReleaseBackAndWritesAnIncident) {
    await(deploy("one"), "receipt");
    settings_.policy.watch = std::chrono::minutes(5);
    settings_.policy.gates = {{Measure::error_rate, 0.02, Breach::rollback, 20}};
    const Deploying leaky = deploy("leaky");
    await(leaky, "switched");
    for (int i = 0; i < 40; ++i) {
        get("/leak");
    }
    const json reverted = await(leaky, "reverted");
    EXPECT_NE(reverted["why"].get<std::string>().find("error rate"), std::string::npos);
    await(leaky, "retired");
    EXPECT_EQ(get(), "one");
    const auto incidents = records_->incidents("shop", "prd", 10);
    ASSERT_EQ(incidents->size(), 1U);
    EXPECT_EQ(json::parse(incidents->at(0).data)["back_to"], "one");
}

TEST_F(ReleaseEngine, ACanaryReachesPartOfTheUsersFirst) {
    await(deploy("one"), "receipt");
    settings_.policy.canary = {{500, std::chrono::seconds(2)}};
    const Deploying second = deploy("two");
    const json share = await(second, "share");
    EXPECT_EQ(share["per_mille"], 500);
    std::map<std::string, int> seen;
    for (int i = 0; i < 60; ++i) {
        ++seen[get()];
    }
    EXPECT_GT(seen["one"], 5);
    EXPECT_GT(seen["two"], 5);
    await(second, "receipt");
    EXPECT_EQ(get(), "two");
}

TEST_F(ReleaseEngine, ARestartOfOursGoesOnWhereItWas) {
    await(deploy("one"), "receipt");
    const Deploying second = deploy("two");
    close();
    open();
    await(second, "receipt");
    EXPECT_EQ(get(), "two");
    EXPECT_EQ(containers(), 2U);
}

TEST_F(ReleaseEngine, ContainersAndTheEdgeComeBackWhenTheyDie) {
    const Deploying first = deploy("one");
    await(first, "receipt");
    const auto running = all(docker::list_containers(*engine_, {}, soon()));
    ASSERT_EQ(running.size(), 1U);
    ASSERT_TRUE(docker::kill_container(*engine_, running[0].id, "KILL", soon()));
    ASSERT_TRUE(docker::wait_container(*engine_, running[0].id, soon()));
    reconciler_->wake(first.life);
    await(first, "revived");
    EXPECT_EQ(get(), "one");
    ::kill(haproxy_, SIGKILL);
    ::waitpid(haproxy_, nullptr, 0);
    haproxy_ = 0;
    ASSERT_TRUE(edge_->refresh(soon()));
    EXPECT_EQ(get(), "one");
}

TEST_F(ReleaseEngine, TheNewestOfManyWins) {
    await(deploy("one"), "receipt");
    deploy("two");
    deploy("three");
    await(deploy("four"), "receipt");
    EXPECT_EQ(get(), "four");
    const auto life = records_->unfinished(deployment_kind)->at(0);
    await_containers(2);    // one and four
    EXPECT_EQ(standing(life).state.slots.size(), 2U);
}

}    // namespace
}    // namespace seatrial::release
