#include "git/ignored.h"

#include <unistd.h>

#include "base/text.h"
#include "git/run.h"

namespace seatrial::git {
namespace {

namespace fs = std::filesystem;

bool in_work_tree(fs::path folder) {
    while (true) {
        if (::access((folder / ".git").c_str(), F_OK) == 0) {
            return true;
        }
        if (!folder.has_parent_path() || folder == folder.parent_path()) {
            return false;
        }
        folder = folder.parent_path();
    }
}

Result<process::Output> ask(const fs::path& folder, std::vector<std::string> args,
                            const std::string& spec, const Context& ctx) {
    Call call;
    call.cwd = folder;
    call.args = std::move(args);
    call.args.insert(call.args.end(), {"--", spec});
    call.env = closed_env();
    // Looked at, never written to, whoever owns it; what it could make git run is switched off.
    const auto careful = config_env({{"safe.directory", "*"}});
    call.env.insert(call.env.end(), careful.begin(), careful.end());
    call.env.emplace_back("GIT_OPTIONAL_LOCKS=0");
    return run_git(std::move(call), ctx);
}

}    // namespace

Result<Place> place_of(const fs::path& file, const Context& ctx) {
    if (!file.is_absolute() || !in_work_tree(file.parent_path())) {
        return Place::outside;
    }
    const std::string spec = ":(literal)" + file.filename().string();
    TRY_ASSIGN(const auto tracked,
               ask(file.parent_path(), {"ls-files", "--error-unmatch"}, spec, ctx));
    if (tracked.exit_code == 0) {
        return Place::tracked;
    }
    if (tracked.exit_code != 1) {
        return tl::unexpected(git_error("git ls-files", tracked));
    }
    TRY_ASSIGN(const auto ignored,
               ask(file.parent_path(), {"check-ignore", "-q"}, file.filename().string(), ctx));
    if (ignored.exit_code > 1) {
        return tl::unexpected(git_error("git check-ignore", ignored));
    }
    return ignored.exit_code == 0 ? Place::ignored : Place::untracked;
}

Result<std::vector<std::string>> tracked_env_files(const fs::path& folder, const Context& ctx) {
    std::vector<std::string> out;
    if (!in_work_tree(folder)) {
        return out;
    }
    TRY_ASSIGN(const auto listed, ask(folder, {"ls-files", "-z"}, ":(glob)**/.env*", ctx));
    if (listed.exit_code != 0) {
        return tl::unexpected(git_error("git ls-files", listed));
    }
    for (const auto path : split(listed.out, '\0')) {
        if (!path.empty()) {
            out.emplace_back(path);
        }
    }
    return out;
}

}    // namespace seatrial::git
