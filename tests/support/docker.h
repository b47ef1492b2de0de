// A private Docker engine for tests (tools/private_docker): own everything, gone with all it had
// when the object goes, or, at the latest, when this program dies. Needs root.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"

namespace seatrial::test {

// Thread: one at a time.
class PrivateDocker {
public:
    struct Options {
        bool live_restore = false;    // containers outlive a killed dockerd
        bool registry = false;
    };
    // Image local/box:1 (busybox) is there. Aborts when the engine cannot be started: nothing can
    // be tested then.
    static std::unique_ptr<PrivateDocker> start(Options options);
    // One for the whole program, started at the first call; with a registry, without live restore.
    static PrivateDocker& shared();
    PrivateDocker(const PrivateDocker&) = delete;
    PrivateDocker& operator=(const PrivateDocker&) = delete;
    ~PrivateDocker();

    std::filesystem::path socket() const { return folder_ / "s"; }
    int registry_port() const;
    // A command of tools/private_docker: "crash", "stop", "start", "image node".
    void tell(const std::string& command);

private:
    PrivateDocker() = default;
    std::string read_line() const;

    std::filesystem::path folder_;
    Fd input_, output_;    // of the tool
    pid_t pid_ = -1;
};

inline constexpr const char* registry_user = "tester";
inline constexpr const char* registry_password = "open-sesame";
inline constexpr const char* box_image = "local/box:1";
inline constexpr const char* node_image = "local/node:1";

// Whether a private engine can be had here; a test that needs one is skipped where it is not.
bool may_run_docker();

}    // namespace seatrial::test
