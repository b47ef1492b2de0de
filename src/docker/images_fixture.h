// A folder that becomes the context of builds, and no image of ours that stays.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "docker/docker_fixture.h"
#include "process/command.h"
#include "support/temp_dir.h"

namespace seatrial::docker {

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

}    // namespace seatrial::docker
