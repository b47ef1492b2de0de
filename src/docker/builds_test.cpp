#include "docker/builds.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "docker/events.h"
#include "docker/images_fixture.h"

namespace seatrial::docker {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr const char* name = "st-tstdkr-app-0123456789ab:1";

enum class With { classic, buildkit };

// Whether a process runs whose command line has `word`, in whatever container.
bool runs(const std::string& word) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        std::ifstream file(entry.path() / "cmdline");
        std::string line((std::istreambuf_iterator<char>(file)), {});
        if (line.find(word) != std::string::npos) {
            return true;
        }
    }
    return false;
}

class BuildsTest : public ImagesTest {
protected:
    Result<std::string> build(With with, const BuildSpec& spec, const OnLine& on_line,
                              const Context& ctx) {
        const Fd context = tar();
        if (with == With::classic) {
            return build_image(*engine_, spec, context.get(), on_line, ctx);
        }
        TRY_ASSIGN(const auto cli, find_buildkit_cli(docker_clis("/nonexistent"), ctx));
        const auto scratch = dir_.path() / "scratch";
        TRY(make_dirs(scratch));
        auto built =
            build_with_buildkit(*engine_, {cli, scratch}, spec, context.get(), on_line, ctx);
        EXPECT_TRUE(std::filesystem::is_empty(scratch));
        return built;
    }
};

class BothBuildersTest : public BuildsTest, public ::testing::WithParamInterface<With> {};
INSTANTIATE_TEST_SUITE_P(By, BothBuildersTest, ::testing::Values(With::classic, With::buildkit),
                         [](const auto& info) {
                             return info.param == With::classic ? "classic" : "buildkit";
                         });

TEST_P(BothBuildersTest, BuiltFromAContext) {
    write("Dockerfile",
          "FROM local/box:1\nARG WHO\nCOPY hello /hello\nRUN echo built for $WHO >> /hello\n"
          "CMD [\"cat\", \"/hello\"]\n");
    write("hello", "hello\n");
    const BuildSpec spec{
        .name = name, .arguments = {{"WHO", "me"}}, .labels = {{"seatrial.spec", "abc"}}};
    const auto id = build(GetParam(), spec, collect(), soon());
    ASSERT_TRUE(id) << render_error(id.error());
    EXPECT_THAT(lines_, HasSubstr("RUN echo built for "));
    const auto image = inspect_image(*engine_, name, soon());
    ASSERT_TRUE(image);
    EXPECT_EQ(image->id, *id);
    EXPECT_TRUE(engine_->is_ours(image->labels));
    EXPECT_EQ(image->labels.at("seatrial.spec"), "abc");
    auto container = box("st-built", {});
    container.image = name;
    run(container);
    EXPECT_EQ(finish("st-built"), (std::pair<int, std::string>{0, "hello\nbuilt for me\n"}));
    EXPECT_EQ(remove_image(*engine_, name, soon()).error().code, Code::conflict) << "in use";
}

TEST_P(BothBuildersTest, ACommandThatFailsIsTheUsersFault) {
    write("Dockerfile", "FROM local/box:1\nRUN echo words of it && exit 9\n");
    const auto id = build(GetParam(), {.name = name}, collect(), soon());
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().code, Code::failed);
    EXPECT_THAT(id.error().message,
                AnyOf(HasSubstr("returned a non-zero code: 9"), HasSubstr("exit code: 9")));
    EXPECT_THAT(lines_, HasSubstr("  words of it\n"));
    EXPECT_EQ(inspect_image(*engine_, name, soon()).error().code, Code::not_found);
}

TEST_P(BothBuildersTest, ABuildThatIsCancelledEndsInTheEngineToo) {
    const std::string moment = GetParam() == With::classic ? "86411" : "86412";    // seconds
    // The shell stays: a process within exec() has no command line for a moment.
    write("Dockerfile", "FROM local/box:1\nRUN echo waiting && sleep " + moment + " && true\n");
    CancelSource source;
    const auto cancel = [&](std::string_view line) {
        if (line == "  waiting") {
            source.cancel();
        }
    };
    const auto id = build(GetParam(), {.name = name}, cancel,
                          source.context().with_timeout(std::chrono::seconds(60)));
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().code, Code::cancelled);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (runs(moment) && std::chrono::steady_clock::now() < deadline) {
        ASSERT_TRUE(wait_for(std::chrono::milliseconds(20), soon()));
    }
    EXPECT_FALSE(runs(moment));
    EXPECT_EQ(inspect_image(*engine_, name, soon()).error().code, Code::not_found);
}

TEST_F(BuildsTest, BuiltWithBuildkit) {
    write("Dockerfile",
          "FROM local/box:1\nARG WHO\nRUN --mount=type=cache,target=/c echo $WHO > /who\n"
          "CMD [\"cat\", \"/who\"]\n");
    const auto id =
        build(With::buildkit, {.name = name, .arguments = {{"WHO", "kit"}}}, collect(), soon());
    ASSERT_TRUE(id) << render_error(id.error());
    auto container = box("st-kit", {});
    container.image = name;
    run(container);
    EXPECT_EQ(finish("st-kit"), (std::pair<int, std::string>{0, "kit\n"}));
    const auto use = disk_use(*engine_, soon());
    ASSERT_TRUE(use) << render_error(use.error());
    EXPECT_GT(use->images, 0);
    EXPECT_GE(*prune_build_cache(*engine_, 0, soon()), 0);
    EXPECT_EQ(disk_use(*engine_, soon())->build_cache, 0);
}

TEST_P(BothBuildersTest, WhatItBuildsOnMayNeedALogin) {
    const std::string registry =
        "127.0.0.1:" + std::to_string(test::PrivateDocker::shared().registry_port());
    const std::string base =
        registry + "/team/base-" + (GetParam() == With::classic ? "classic" : "buildkit") + ":1";
    const RegistryLogin good{registry, test::registry_user, Secret(test::registry_password)};
    ASSERT_TRUE(tag_image(*engine_, test::box_image, base, soon()));
    const auto pushed = push_image(*engine_, base, good, {}, soon());
    ASSERT_TRUE(pushed) << render_error(pushed.error());
    ASSERT_TRUE(forget_pulled_name(*engine_, base, soon()));
    write("Dockerfile", "FROM " + base + "\nENV A=b\n");
    const RegistryLogin bad{registry, test::registry_user, Secret("a guess")};
    for (const Logins& logins : {Logins(), Logins{bad}}) {
        const auto refused = build(GetParam(), {.name = name, .logins = logins}, collect(), soon());
        ASSERT_FALSE(refused);
        EXPECT_EQ(render_error(refused.error()).find("a guess"), std::string::npos);
    }
    const auto built = build(GetParam(), {.name = name, .logins = {good}}, collect(), soon());
    ASSERT_TRUE(built) << render_error(built.error());
    EXPECT_EQ(lines_.find(test::registry_password), std::string::npos);
    ASSERT_TRUE(forget_pulled_name(*engine_, base, soon()));
}

TEST_F(BuildsTest, ArgumentsThatTheCliWouldTakeAsItsOwnAreRefused) {
    write("Dockerfile", "FROM local/box:1\n");
    for (const char* argument : {"LD_PRELOAD", "DOCKER_HOST", "PATH", "GODEBUG"}) {
        const auto refused = build(With::buildkit, {.name = name, .arguments = {{argument, "x"}}},
                                   collect(), soon());
        ASSERT_FALSE(refused) << argument;
        EXPECT_EQ(refused.error().code, Code::invalid);
        EXPECT_THAT(refused.error().message, HasSubstr(argument));
    }
}

TEST_F(BuildsTest, AnEngineThatIsAwayIsNoFaultOfTheBuild) {
    write("Dockerfile", "FROM local/box:1\n");
    engine_ = std::make_unique<Engine>(dir_.path() / "nobody", "tstdkr");
    const auto built = build(With::buildkit, {.name = name}, collect(), soon());
    engine_ = std::make_unique<Engine>(test::PrivateDocker::shared().socket(), "tstdkr");
    ASSERT_FALSE(built);
    EXPECT_EQ(built.error().code, Code::unavailable) << render_error(built.error());
}

TEST_F(BuildsTest, NoCliForBuildkitIsSaid) {
    write("not-a-program", "x");
    const auto none = find_buildkit_cli({context_ / "not-a-program"}, soon());
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::unavailable);
    EXPECT_THAT(none.error().hint, HasSubstr("docker.io"));
}

}    // namespace
}    // namespace seatrial::docker
