#include <gmock/gmock.h>

#include "config/config.h"

namespace seatrial::config {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string app = R"(
app: shop
components:
  web: { run: x, build: ., port: WEB_PORT }
  worker: { run: x, build: . }
  tool: { run: x }
)";

std::vector<std::string> told(const std::string& release) {
    std::vector<std::string> out;
    for (const auto& fault : parse_app(app + "release: " + release, "f", false).faults) {
        out.push_back(render_fault(fault));
    }
    return out;
}

TEST(ReleaseQueues, OfEachKindAreRead) {
    const auto parsed = parse_app(app + R"(
release:
  queues:
    convert: { kind: rq, component: worker, url: REDIS_URL, queues: [a, b], timeout: 2m, on_timeout: go_on }
    export: { kind: celery, component: worker, url: BROKER_URL, queues: export }
    mail: { pause: /pause, resume: [bin/jobs, /x], running: bin/jobs running }
  cache: { component: web, url: REDIS_URL, prefixes: ["job:", "presence:"] }
)",
                                  "f", false);
    ASSERT_THAT(parsed.faults, IsEmpty());
    const auto& queues = parsed.value.release_queues;
    ASSERT_EQ(queues.size(), 3U);
    EXPECT_EQ(queues[0].kind, ReleaseQueue::Kind::rq);
    EXPECT_EQ(queues[0].timeout, 2min);
    EXPECT_FALSE(queues[0].stop);
    EXPECT_THAT(queues[0].queues, ElementsAre("a", "b"));
    EXPECT_EQ(queues[1].kind, ReleaseQueue::Kind::celery);
    EXPECT_THAT(queues[1].queues, ElementsAre("export"));
    EXPECT_TRUE(queues[1].stop);
    EXPECT_EQ(queues[2].pause.path, "/pause");
    EXPECT_THAT(queues[2].resume.argv, ElementsAre("bin/jobs", "/x"));
    EXPECT_THAT(queues[2].running.argv, ElementsAre("/bin/sh", "-c", "bin/jobs running"));
    EXPECT_THAT(parsed.value.release_cache.prefixes, ElementsAre("job:", "presence:"));
}

TEST(ReleaseQueues, AFaultyOneSaysWhatItLacks) {
    EXPECT_THAT(told("{queues: {a: {kind: rq, component: worker, url: X}}}"),
                ElementsAre(HasSubstr("release.queues.a: a queue of kind `rq` needs `queues`")));
    EXPECT_THAT(told("{queues: {a: {pause: /a, resume: /b}}}"),
                ElementsAre(HasSubstr("needs `running`")));
    EXPECT_THAT(
        told("{queues: {a: {kind: celery, component: worker, url: X, queues: [a], pause: /}}}"),
        ElementsAre(HasSubstr("release.queues.a.pause")));
    EXPECT_THAT(told("{queues: {a: {kind: rq, component: workr, url: X, queues: [a]}}}"),
                ElementsAre(HasSubstr("did you mean 'worker'?")));
    // It is no part of releases, or has nothing to be asked over.
    EXPECT_THAT(told("{queues: {a: {kind: rq, component: tool, url: X, queues: [a]}}}"),
                ElementsAre(HasSubstr("there is no component 'tool'")));
    EXPECT_THAT(told("{queues: {a: {component: worker, pause: /a, resume: /b, running: /c}}}"),
                ElementsAre(HasSubstr("with a port")));
    EXPECT_THAT(told("{queues: {a: {kind: bullmq}}}"), testing::Not(IsEmpty()));
    EXPECT_THAT(told("{queues: {a: rq}}"), testing::Not(IsEmpty()));
}

TEST(ReleaseQueues, ACacheIsNeverFlushed) {
    for (const char* prefix : {"''", "'*'", "'job:*'", "'j?b'", "'[a]'"}) {
        EXPECT_THAT(
            told("{cache: {component: web, url: X, prefixes: [" + std::string(prefix) + "]}}"),
            testing::Contains(HasSubstr("release.cache.prefixes")))
            << prefix;
    }
    EXPECT_THAT(told("{cache: {component: web, url: X, prefixes: []}}"), testing::Not(IsEmpty()));
    EXPECT_THAT(told("{cache: {component: web, url: X}}"), testing::Not(IsEmpty()));
}

}    // namespace
}    // namespace seatrial::config
