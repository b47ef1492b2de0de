#include "docker/images.h"

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "docker/docker_fixture.h"
#include "docker/events.h"
#include "process/command.h"
#include "support/temp_dir.h"

namespace seatrial::docker {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class ImagesTest : public DockerTest {
protected:
    void SetUp() override {
        DockerTest::SetUp();
        context_ = dir_.path() / "context";
        std::filesystem::create_directories(context_);
    }
    void TearDown() override {
        if (engine_ == nullptr) {
            return;
        }
        DockerTest::TearDown();
        for (const auto& image : all(list_our_images(*engine_, soon()))) {
            for (const auto& name : image.names) {
                const Status removed = remove_image(*engine_, name, soon());
                EXPECT_TRUE(removed) << render_error(removed.error());
            }
            EXPECT_TRUE(remove_image(*engine_, image.id, soon()));
        }
    }
    void write(const std::string& name, const std::string& text) {
        std::ofstream(context_ / name) << text;
    }
    // As a pipe, which is how a context comes from git.
    Fd tar() {
        int ends[2];
        check(::pipe2(ends, O_CLOEXEC) == 0, "pipe");
        writers_.emplace_back([this, out = ends[1]] {
            const Fd owned(out);
            const auto made = process::run_checked(
                {.argv = {"tar", "-C", context_, "-c", "."}, .stdout_fd = out}, soon());
            EXPECT_TRUE(made) << render_error(made.error());
        });
        return Fd(ends[0]);
    }
    OnLine collect() {
        return [this](std::string_view line) { lines_ += std::string(line) + "\n"; };
    }
    test::TempDir dir_;
    std::filesystem::path context_;
    std::string lines_;
    std::vector<std::jthread> writers_;
};

constexpr const char* name = "st-tstdkr-app-0123456789ab:1";

TEST_F(ImagesTest, BuiltFromAContext) {
    write("Dockerfile",
          "FROM local/box:1\nARG WHO\nCOPY hello /hello\nRUN echo built for $WHO >> /hello\n"
          "CMD [\"cat\", \"/hello\"]\n");
    write("hello", "hello\n");
    const Fd context = tar();
    const BuildSpec spec{
        .name = name, .arguments = {{"WHO", "me"}}, .labels = {{"seatrial.spec", "abc"}}};
    const auto id = build_image(*engine_, spec, context.get(), collect(), soon());
    ASSERT_TRUE(id) << render_error(id.error());
    EXPECT_THAT(lines_, HasSubstr("Step 1/"));
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

TEST_F(ImagesTest, ACommandThatFailsIsTheUsersFault) {
    write("Dockerfile", "FROM local/box:1\nRUN echo words of it && exit 9\n");
    const Fd context = tar();
    const auto id = build_image(*engine_, {.name = name}, context.get(), collect(), soon());
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().code, Code::failed);
    EXPECT_THAT(id.error().message, HasSubstr("returned a non-zero code: 9"));
    EXPECT_THAT(lines_, HasSubstr("words of it"));
    EXPECT_EQ(inspect_image(*engine_, name, soon()).error().code, Code::not_found);
}

TEST_F(ImagesTest, ABuildThatIsCancelledEnds) {
    write("Dockerfile", "FROM local/box:1\nRUN echo waiting && sleep 600\n");
    const Fd context = tar();
    CancelSource source;
    const auto cancel = [&](std::string_view line) {
        if (line == "waiting") {
            source.cancel();
        }
    };
    const auto id = build_image(*engine_, {.name = name}, context.get(), cancel, source.context());
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().code, Code::cancelled);
}

TEST_F(ImagesTest, BuiltWithBuildkit) {
    const auto cli = find_buildkit_cli({"/nonexistent", "/usr/bin/docker"}, soon());
    ASSERT_TRUE(cli) << render_error(cli.error());
    write("Dockerfile",
          "FROM local/box:1\nARG WHO\nRUN --mount=type=cache,target=/c echo $WHO > /who\n"
          "CMD [\"cat\", \"/who\"]\n");
    const Fd context = tar();
    const Fd log(::open((dir_.path() / "log").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    const auto id =
        build_with_buildkit(*engine_, *cli, {.name = name, .arguments = {{"WHO", "kit"}}},
                            context.get(), log.get(), soon());
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

TEST_F(ImagesTest, NoCliForBuildkitIsSaid) {
    write("not-a-program", "x");
    const auto none = find_buildkit_cli({context_ / "not-a-program"}, soon());
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::unavailable);
    EXPECT_THAT(none.error().hint, HasSubstr("docker.io"));
}

TEST_F(ImagesTest, ImportedTaggedAndUntagged) {
    write("hello", "hello\n");
    const Fd root = tar();
    const auto id = import_image(*engine_, root.get(), name, {"ENV A=b"}, soon());
    ASSERT_TRUE(id) << render_error(id.error());
    EXPECT_EQ(inspect_image(*engine_, name, soon())->id, *id);
    ASSERT_TRUE(tag_image(*engine_, name, "st-tstdkr-app-0123456789ab:2", soon()));
    EXPECT_EQ(list_our_images(*engine_, soon())->front().names.size(), 2U);
    EXPECT_TRUE(list_our_images(*stranger_, soon())->empty());
    EXPECT_EQ(remove_image(*stranger_, name, soon()).error().code, Code::conflict);
    EXPECT_EQ(remove_image(*engine_, test::box_image, soon()).error().code, Code::conflict);
    ASSERT_TRUE(remove_image(*engine_, name, soon()));
    ASSERT_TRUE(remove_image(*engine_, name, soon())) << "twice";
    EXPECT_TRUE(inspect_image(*engine_, *id, soon())) << "it has another name";
}

TEST_F(ImagesTest, PushedAndPulledWithALogin) {
    const std::string registry =
        "127.0.0.1:" + std::to_string(test::PrivateDocker::shared().registry_port());
    const std::string remote = registry + "/team/box:1";
    const RegistryLogin good{registry, test::registry_user, Secret(test::registry_password)};
    const RegistryLogin bad{registry, test::registry_user, Secret("a guess")};
    ASSERT_TRUE(tag_image(*engine_, test::box_image, remote, soon()));
    for (const auto& login : {std::optional<RegistryLogin>(), std::optional(bad)}) {
        const auto refused = push_image(*engine_, remote, login, {}, soon());
        ASSERT_FALSE(refused);
        EXPECT_THAT(render_error(refused.error()), Not(HasSubstr("a guess")));
    }
    const auto pushed = push_image(*engine_, remote, good, collect(), soon());
    ASSERT_TRUE(pushed) << render_error(pushed.error());
    EXPECT_THAT(*pushed, HasSubstr("sha256:"));
    const auto digests = inspect_image(*engine_, remote, soon())->digests;
    EXPECT_THAT(digests, Contains(registry + "/team/box@" + *pushed));
    // Gone here, and there again by its digest alone.
    ASSERT_TRUE(engine_->call({.method = "DELETE", .path = "/images/" + escape(remote)}, soon()));
    const std::string exact = registry + "/team/box@" + *pushed;
    EXPECT_FALSE(pull_image(*engine_, exact, {}, {}, soon()));
    const auto pulled = pull_image(*engine_, exact, good, collect(), soon());
    ASSERT_TRUE(pulled) << render_error(pulled.error());
    EXPECT_EQ(*pulled, *pushed);
    const auto missing = pull_image(*engine_, registry + "/team/none:1", good, {}, soon());
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Code::not_found) << render_error(missing.error());
    ASSERT_TRUE(engine_->call({.method = "DELETE", .path = "/images/" + escape(exact)}, soon()));
}

TEST_F(ImagesTest, WhatIsNoImageIsRefused) {
    write("hello", "hello\n");
    const Fd context = tar();
    const auto loaded = load_image(*engine_, context.get(), soon());
    ASSERT_FALSE(loaded);
    int saved[2];
    ASSERT_EQ(::pipe2(saved, O_CLOEXEC), 0);
    const Fd in(saved[0]);
    {
        const Fd out(saved[1]);
        writers_.emplace_back([this, fd = ::fcntl(out.get(), F_DUPFD_CLOEXEC, 0)] {
            const Fd owned(fd);
            const Status read = engine_->stream(
                {.path = "/images/local/box:1/get"},
                [&](std::string_view bytes) {
                    while (!bytes.empty()) {
                        const auto done = ::write(fd, bytes.data(), bytes.size());
                        if (done < 0) {
                            return false;
                        }
                        bytes.remove_prefix(static_cast<std::size_t>(done));
                    }
                    return true;
                },
                soon());
            EXPECT_TRUE(read);
        });
    }
    EXPECT_EQ(load_image(*engine_, in.get(), soon()), "local/box:1");
}

}    // namespace
}    // namespace seatrial::docker
