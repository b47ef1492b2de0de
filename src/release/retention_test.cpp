#include "release/retention.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "docker/images.h"
#include "release/pointers.h"
#include "support/docker.h"
#include "support/temp_dir.h"

namespace seatrial::release {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Release release_named(const std::string& id, const std::string& image,
                      const std::string& app = "shop") {
    Release out;
    out.id = id;
    out.app = app;
    out.tag = "1.0-" + id;
    out.components["web"] = {image, app + "-web:" + out.tag};
    return out;
}

Content content_of(const Release& release) {
    Content out;
    out.release = release.id;
    Component web;
    web.name = "web";
    web.image = release.components.at("web").image;
    out.components.push_back(web);
    return out;
}

class Unneeded : public testing::Test {
protected:
    // Newest first.
    std::vector<Release> releases_{release_named("e", "sha256:e"), release_named("d", "sha256:d"),
                                   release_named("c", "sha256:c"), release_named("b", "sha256:b"),
                                   release_named("a", "sha256:a")};
};

TEST_F(Unneeded, AreAllButTheNewest) {
    EXPECT_THAT(choose_unneeded(releases_, {}, 2),
                ElementsAre("shop-web:1.0-a", "shop-web:1.0-b", "shop-web:1.0-c"));
    EXPECT_THAT(choose_unneeded(releases_, {}, 5), IsEmpty());
}

TEST_F(Unneeded, AreNotWhatAnyEnvironmentWantsRunsOrCanGoBackTo) {
    Deployed staging;
    staging.spec.wanted = content_of(releases_[4]);
    Deployed production;
    production.spec.previous = content_of(releases_[3]);
    production.standing.contents["s1"] = content_of(releases_[2]);
    EXPECT_THAT(choose_unneeded(releases_, {staging}, 1),
                ElementsAre("shop-web:1.0-b", "shop-web:1.0-c", "shop-web:1.0-d"));
    EXPECT_THAT(choose_unneeded(releases_, {staging, production}, 1),
                ElementsAre("shop-web:1.0-d"));
}

TEST_F(Unneeded, ARejectedOneIsNoneOfTheNewest) {
    releases_[0].rejected = "error rate";
    EXPECT_THAT(choose_unneeded(releases_, {}, 1), ElementsAre("shop-web:1.0-a", "shop-web:1.0-b",
                                                               "shop-web:1.0-c", "shop-web:1.0-e"));
}

TEST_F(Unneeded, AnImageUnderSeveralNamesIsNeededUnderAll) {
    releases_[4].components["web"].image = "sha256:e";
    EXPECT_THAT(choose_unneeded(releases_, {}, 3), ElementsAre("shop-web:1.0-b"));
}

TEST_F(Unneeded, EachAppHasItsOwnNewest) {
    releases_.push_back(release_named("z", "sha256:z", "ship"));
    EXPECT_THAT(choose_unneeded(releases_, {}, 4), ElementsAre("shop-web:1.0-a"));
}

TEST(Pointers, TellWhatServesAndWhatARollbackBringsBack) {
    const auto old = release_named("a", "sha256:a");
    const auto now = release_named("b", "sha256:b");
    Deployed production;
    production.spec.app = "shop";
    production.spec.env = "production";
    production.spec.wanted = content_of(now);
    production.spec.previous = content_of(old);
    production.standing.contents["s1"] = content_of(old);
    production.standing.state.stable = "s1";
    production.standing.state.slots["s1"].phase = Phase::serving;
    Deployed staging = production;
    staging.spec.env = "stg";
    staging.spec.previous = {};
    staging.standing.state.stable = "";
    const Pointers pointers = make_pointers({production, staging});
    EXPECT_THAT(pointers.wanted, ElementsAre(testing::Pair("shop-web:production", "sha256:a"),
                                             testing::Pair("shop-web:rollback", "sha256:a")))
        << "what is wanted does not serve yet";
    EXPECT_THAT(pointers.names, ElementsAre("shop-web:production", "shop-web:rollback",
                                            "shop-web:stg", "shop-web:stg-rollback"));
}

class RetentionEngine : public testing::Test {
protected:
    static Context soon() { return Context().with_timeout(std::chrono::seconds(60)); }
    void SetUp() override {
        if (!test::may_run_docker()) {
            GTEST_SKIP() << "an engine of our own needs root";
        }
        engine_ =
            std::make_unique<docker::Engine>(test::PrivateDocker::shared().socket(), "tstkeep");
        auto opened = store::Records::open(dir_.path() / "records.db");
        ASSERT_TRUE(opened);
        records_ = std::move(*opened);
    }
    void TearDown() override {
        for (const auto& name : names()) {
            EXPECT_TRUE(docker::remove_image(*engine_, name, soon()));
        }
    }
    // An image of ours, and its release in the records.
    Release add(const std::string& id) {
        const Fd tar(::memfd_create("tar", MFD_CLOEXEC));
        check(::ftruncate(tar.get(), 1024) == 0, "an empty archive");
        const std::string name = "keep-web:1.0-" + id;
        const auto image =
            docker::import_image(*engine_, tar.get(), name, {"ENV ID=" + id}, soon());
        EXPECT_TRUE(image) << (image ? "" : render_error(image.error()));
        Release out = release_named(id, image.value_or(""), "keep");
        const auto written = records_->write(sql::Durability::full, [&](store::Writer& writer) {
            return writer.put_release({out.id, out.app, out.at, "", render_release(out)});
        });
        EXPECT_TRUE(written);
        return out;
    }
    std::vector<std::string> names() {
        std::vector<std::string> out;
        const auto images = docker::list_our_images(*engine_, soon());
        EXPECT_TRUE(images);
        for (const auto& image : images.value_or(std::vector<docker::Image>())) {
            out.insert(out.end(), image.names.begin(), image.names.end());
        }
        std::ranges::sort(out);
        return out;
    }

    test::TempDir dir_;
    std::unique_ptr<docker::Engine> engine_;
    std::unique_ptr<store::Records> records_;
};

TEST_F(RetentionEngine, DropsTheOldestAndSaysSo) {
    const Release first = add("01");
    for (const char* id : {"02", "03", "04"}) {
        add(id);
    }
    const auto told = drop_unneeded(*records_, *engine_, 2, "", true, soon());
    ASSERT_TRUE(told) << render_error(told.error());
    EXPECT_EQ(told->size(), 2U);
    EXPECT_EQ(names().size(), 4U) << "a dry run";
    const auto dropped = drop_unneeded(*records_, *engine_, 2, first.id, false, soon());
    ASSERT_TRUE(dropped) << render_error(dropped.error());
    ASSERT_EQ(dropped->size(), 1U);
    EXPECT_EQ((*dropped)[0].name, "keep-web:1.0-02");
    EXPECT_THAT(names(), ElementsAre("keep-web:1.0-01", "keep-web:1.0-03", "keep-web:1.0-04"));
}

TEST_F(RetentionEngine, ThePresentCacheOfBuildsIsToldAndCutDownToItsBudget) {
    const auto left = trim_build_cache(*engine_, 0, false, soon());
    ASSERT_TRUE(left);
    EXPECT_EQ(left->freed, 0) << "left alone";
    ASSERT_TRUE(trim_build_cache(*engine_, 1, false, soon()));
    const auto seen = trim_build_cache(*engine_, 1, true, soon());
    ASSERT_TRUE(seen) << render_error(seen.error());
    EXPECT_LE(seen->bytes, 1);
    docker::Engine nobody("/nonexistent/socket", "tstdkr");
    EXPECT_FALSE(trim_build_cache(nobody, 1, false, soon()));
}

TEST_F(RetentionEngine, TooLittleRoomMakesRoomAndThenRefuses) {
    add("01");
    add("02");
    EXPECT_TRUE(make_room(*records_, *engine_, 1, 1, soon()));
    EXPECT_EQ(names().size(), 2U) << "there was room";
    const auto full = make_room(*records_, *engine_, 1, std::int64_t{1} << 60, soon());
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, Code::unavailable);
    EXPECT_THAT(full.error().message, HasSubstr("after 1 images that nothing needed went"));
    EXPECT_THAT(full.error().hint, HasSubstr("min_free"));
    EXPECT_THAT(names(), ElementsAre("keep-web:1.0-02"));
    EXPECT_TRUE(make_room(*records_, *engine_, 1, 0, soon())) << "not looked at";
}

}    // namespace
}    // namespace seatrial::release
