// Tests of docker/ against a private engine, one for the whole program. Skipped without root.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "docker/containers.h"
#include "docker/images.h"
#include "docker/networks.h"
#include "support/docker.h"

namespace seatrial::docker {

inline Context soon() {
    return Context().with_timeout(std::chrono::seconds(60));
}

template <class T>
std::vector<T> all(Result<std::vector<T>> listed) {
    EXPECT_TRUE(listed) << (listed ? "" : render_error(listed.error()));
    return listed ? std::move(*listed) : std::vector<T>();
}

class DockerTest : public ::testing::Test {
protected:
    void SetUp() override {
        if (!test::may_run_docker()) {
            GTEST_SKIP() << "an engine of our own needs root";
        }
        engine_ = std::make_unique<Engine>(test::PrivateDocker::shared().socket(), "tstdkr");
        stranger_ = std::make_unique<Engine>(test::PrivateDocker::shared().socket(), "other1");
    }
    // Nothing of a test is there for the next one.
    void TearDown() override {
        for (auto* engine : {engine_.get(), stranger_.get()}) {
            if (engine == nullptr) {
                continue;
            }
            for (const auto& container : all(list_containers(*engine, {}, soon()))) {
                EXPECT_TRUE(remove_container(*engine, container.id, soon()));
            }
            for (const auto& network : all(list_networks(*engine, {}, soon()))) {
                EXPECT_TRUE(remove_network(*engine, network, soon()));
            }
            for (const auto& volume : all(list_volumes(*engine, {}, soon()))) {
                EXPECT_TRUE(remove_volume(*engine, volume.name, soon()));
            }
        }
    }
    static ContainerSpec box(const std::string& name, std::vector<std::string> argv) {
        ContainerSpec spec;
        spec.name = name;
        spec.image = test::box_image;
        spec.argv = std::move(argv);
        return spec;
    }
    void run(const ContainerSpec& spec) {
        const auto made = create_container(*engine_, spec, soon());
        ASSERT_TRUE(made) << render_error(made.error());
        const Status started = start_container(*engine_, spec.name, soon());
        ASSERT_TRUE(started) << render_error(started.error());
    }
    // Its exit code and all it wrote.
    std::pair<int, std::string> finish(const std::string& name) {
        const auto code = wait_container(*engine_, name, soon());
        EXPECT_TRUE(code) << render_error(code.error());
        std::string text;
        const Status read = read_logs(
            *engine_, name, {},
            [&](Stream, std::string_view part) {
                text += part;
                return true;
            },
            soon());
        EXPECT_TRUE(read) << render_error(read.error());
        return {code.value_or(-1), text};
    }
    std::unique_ptr<Engine> engine_, stranger_;
};

}    // namespace seatrial::docker
