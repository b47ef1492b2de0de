// The part that every type running a user's command shares: the JSON of a run and what becomes
// of it.
//
// Spec (JSON): argv, cwd (absolute, in the tree), home, environment (resource/environment.h),
// uid_slot, limits {memory, cpu, pids}, writable [], log, log_bytes, ports [].
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "process/runner.h"
#include "resource/environment.h"

namespace seatrial::resource {

// Makes the home folder for the uid (repeatable) and fills the RunSpec.
Result<process::RunSpec> make_run_spec(const std::string& name, process::Profile profile,
                                       const nlohmann::json& spec, process::Runner& runner,
                                       const DatabaseUrl& database_url, const Context& ctx);

// The socket's folder in a URL as PostgresServers makes it ("...?host=%2Ftmp%2Fx"); "" for TCP.
std::string socket_folder(std::string_view url);

// The last `lines` lines of a log, made printable, at most 4 KB; "" when there is none.
std::string log_tail(const std::filesystem::path& log, int lines);

// How a run ended, for people: "exit code 1", "killed by signal 9 (out of memory)".
std::string render_exit(const process::RunState& state);

}    // namespace seatrial::resource
