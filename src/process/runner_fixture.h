// For tests of Runner: opening one as root leaves root for good, so each test body runs in a
// child of its own, in one of the worlds that Seatrial must live in.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "process/runner.h"

namespace seatrial::process {

struct World {
    const char* name;
    bool root;              // else an ordinary user
    const char* cgroups;    // SEATRIAL_CGROUPS
};

inline void PrintTo(const World& world, std::ostream* out) {
    *out << world.name;
}

class RunnerFixture : public ::testing::Test {
protected:
    void SetUp() override;
    // Ends and removes whatever a failed test left: processes of our uids in our groups, the
    // groups, the folder; and says so when it had to.
    void TearDown() override;

    // A new base_ in `parent` instead of the one in /tmp.
    void move_base(const std::filesystem::path& parent);
    // Runs `body` in a child and takes over its failures and skips.
    void in_child(const World& world, const std::function<void()>& body);

    // For use in the child.
    std::unique_ptr<Runner> open(const std::string& instance = {});
    // A folder that the run may use, owned by its uid where there is root.
    std::filesystem::path make_tree(Runner& runner, const std::string& name, int slot = 0);
    RunSpec shell(Runner& runner, const std::string& name, const std::string& script);
    std::string name_of(const std::string& text) const;
    std::string log_of(const std::string& name) const;

    std::filesystem::path base_;    // temporary, removed afterwards
    std::filesystem::path data_;    // below it
    std::string instance_;
};

// Waits for `reached` by looking again, at most 20 s.
bool eventually(const std::function<bool()>& reached);
std::string read_text(const std::filesystem::path& path);
Context soon(int seconds = 30);

class RunnerWorlds : public RunnerFixture, public ::testing::WithParamInterface<World> {
protected:
    void SetUp() override;
};

#define EXPECT_OK(expression)                                               \
    do {                                                                    \
        const auto& expect_ok_ = (expression);                              \
        EXPECT_TRUE(expect_ok_.has_value()) << render_error_of(expect_ok_); \
    } while (false)
#define ASSERT_OK(expression)                                               \
    do {                                                                    \
        const auto& assert_ok_ = (expression);                              \
        ASSERT_TRUE(assert_ok_.has_value()) << render_error_of(assert_ok_); \
    } while (false)

template <class T>
std::string render_error_of(const Result<T>& result) {
    return result ? "" : render_error(result.error());
}

}    // namespace seatrial::process
