// How this folder starts git: one table of precautions, used for every process.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/context.h"
#include "process/command.h"

namespace seatrial::git {

using Config = std::vector<std::pair<std::string, std::string>>;

// What no repository may make our git do: hooks, fsmonitor, submodules, filters, pagers, upkeep
// in the background, other transports. `more` comes last and wins.
std::vector<std::string> config_env(const Config& more = {});
// Nobody's configuration and no questions: for repositories of ours. Without config_env().
std::vector<std::string> closed_env();

// Begins the names of what a killed Mirror::archive() may leave in the mirror's folder.
inline constexpr const char* archive_scratch = "archive-";

struct TreeFile {
    std::string mode, id, path;    // of a commit; id: of the file's content
};

struct Call {
    std::filesystem::path cwd;
    std::vector<std::string> args;    // behind "git"
    std::vector<std::string> env;
    std::string input;    // stdin
    int input_fd = -1;    // the same, borrowed; wins over `input`
    int output_fd = -1;
    std::size_t output_limit = 16 << 20;
};
// Exit code and output. Errors: as process::run_command; output over the limit is `invalid`.
// Thread: any.
Result<process::Output> run_git(Call call, const Context& ctx);
// The same; a non-zero exit becomes an error whose kind is read from what git said.
Result<std::string> run_git_checked(Call call, const std::string& what, const Context& ctx);
// The error for what git wrote to stderr: `refused`, `not_found`, `unavailable` or `failed`.
Error git_error(const std::string& what, const process::Output& output);

// A sealed-off descriptor that reads `text` from its start.
Result<Fd> text_fd(std::string_view text);

}    // namespace seatrial::git
