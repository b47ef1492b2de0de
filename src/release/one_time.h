// Containers that run once to their end beside a slot: the migration, and what comes before and
// after it. Made under a name that was written down, started once, and kept until the slot goes:
// its exit code tells a restarted daemon how it ended.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "release/containers.h"

namespace seatrial::release {

// In the image of the migration's component, with its variables and volumes, unless:
struct OneTime {
    std::string container;            // name
    std::vector<std::string> argv;    // all of the command
    // A program of PostgreSQL's: no variables but those that reach the database, as the daemon's
    // own user, with `folder` at snapshot_target.
    bool database = false;
    std::string folder = {};
};
// After the name of the migration's container.
namespace role {
inline constexpr const char* count = "-count";
inline constexpr const char* dump = "-dump";
inline constexpr const char* down = "-down";
inline constexpr const char* unpack = "-unpack";
inline constexpr const char* restore = "-restore";
}    // namespace role
inline constexpr const char* one_time_roles[] = {role::count, role::dump, role::down, role::unpack,
                                                 role::restore};
inline constexpr const char* snapshot_target = "/seatrial-snapshots";

// There already is ok. Errors: `invalid` (no such component, no database), `failed` (the image, the
// variables), those of a source of variables, `unavailable`.
Status make_one_time(docker::Engine& engine, const Content& content, const OneTime& what,
                     const Owner& owner, const Context& ctx);
// Starts it unless it ever was, and waits for its end; after `left` it is killed. `failed` with the
// end of its log: it ended with another code than 0, ran too long, or is gone.
Status run_one_time(docker::Engine& engine, const std::string& name, std::chrono::milliseconds left,
                    const Context& ctx);
// What it wrote, both streams; the first MiB.
Result<std::string> output_of(docker::Engine& engine, const std::string& name, const Context& ctx);

}    // namespace seatrial::release
