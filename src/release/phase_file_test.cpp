#include "release/phase_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "support/temp_dir.h"

namespace seatrial::release {
namespace {

mode_t mode_of(const std::filesystem::path& path) {
    struct stat seen{};
    return ::stat(path.c_str(), &seen) == 0 ? seen.st_mode & 0777 : 0;
}

TEST(PhaseFileTest, OnceUsersHaveComeItStaysLive) {
    const test::TempDir folder;
    const auto slot = folder.path() / "keys/life-a";
    docker::ContainerSpec spec;
    show_phase(slot, spec);
    ASSERT_EQ(spec.mounts.size(), 1U);
    const std::filesystem::path seen = spec.mounts[0].folder;
    EXPECT_TRUE(spec.mounts[0].read_only);
    EXPECT_EQ(spec.environment.at("SEATRIAL_PHASE_FILE").reveal(),
              spec.mounts[0].target + "/phase");
    const std::pair<bool, const char*> steps[] = {{false, "trial\n"},
                                                  {false, "trial\n"},
                                                  {true, "live\n"},
                                                  {true, "live\n"},
                                                  {false, "live\n"}};
    for (const auto& [live, text] : steps) {
        ASSERT_TRUE(write_phase(slot, live));
        EXPECT_EQ(read_file(seen / "phase", 64).value(), text);
    }
    // Readable for every user of the container, and for nobody else of the machine.
    EXPECT_EQ(mode_of(seen / "phase"), 0444U);
    EXPECT_EQ(mode_of(seen), 0755U);
    EXPECT_EQ(mode_of(slot), 0700U);
}

}    // namespace
}    // namespace seatrial::release
