#include "docker/images.h"

#include <nlohmann/json.hpp>

#include "docker/images_fixture.h"

namespace seatrial::docker {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* name = "st-tstdkr-app-0123456789ab:1";

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
