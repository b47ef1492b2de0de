#include <algorithm>

#include "base/text.h"
#include "git/refs.h"
#include "git/run.h"
#include "git/worktree.h"

namespace seatrial::git {
namespace {

// Per worktree, in its own git folder: the mirror's refs cannot be written from here.
constexpr const char* salvage_ref = "refs/worktree/st-salvage";

// One git after another in the tree, with one environment.
class Steps {
public:
    Steps(const TreeGit& git, std::vector<std::string> env) : git_(git), env_(std::move(env)) {}

    Result<std::string> run(const std::vector<std::string>& argv) const {
        TRY_ASSIGN(process::Output output, git_(argv, env_));
        if (output.exit_code != 0) {
            output.err += output.out;    // a runner may not keep them apart
            return tl::unexpected(git_error("cannot save the work in the tree", output));
        }
        return std::move(output.out);
    }
    // The commit or tree id that `argv` prints, past any warnings.
    Result<std::string> run_for_id(const std::vector<std::string>& argv) const {
        TRY_ASSIGN(const std::string out, run(argv));
        for (const auto line : split(out, '\n')) {
            if (is_commit_id(line)) {
                return std::string(line);
            }
        }
        return fail(Code::internal, "git " + argv[1] + " printed no id");
    }

private:
    const TreeGit& git_;
    std::vector<std::string> env_;
};

// What `status` said: HEAD, and whether anything differs from it.
struct State {
    std::string head;
    bool dirty = false;
};

Result<State> read_state(const std::string& status) {
    State state;
    constexpr std::string_view head = "# branch.oid ";
    for (const auto line : split(status, '\n')) {
        if (line.starts_with(head) && is_commit_id(line.substr(head.size()))) {
            state.head = line.substr(head.size());
        }
        state.dirty = state.dirty || (line.size() > 2 && line[1] == ' ' &&
                                      std::string_view("12u?").find(line[0]) != std::string::npos);
    }
    if (state.head.empty()) {
        return fail(Code::failed, "cannot save the work in the tree: its HEAD is unreadable");
    }
    return state;
}

// All files that are not ignored, as a commit on top of `head`.
Result<std::string> commit_all(const Steps& steps, const std::string& head) {
    TRY(steps.run({"git", "read-tree", head}));
    TRY(steps.run({"git", "add", "--all", "--ignore-errors"}));
    TRY_ASSIGN(const std::string tree, steps.run_for_id({"git", "write-tree"}));
    return steps.run_for_id({"git", "commit-tree", "-p", head, "-m",
                             "Work left in the preview\n\nSaved when the preview was removed.",
                             tree});
}

}    // namespace

Result<std::string> salvage(const TreeGit& git, const std::filesystem::path& folder,
                            const std::filesystem::path& mirror, const std::string& commit,
                            const std::filesystem::path& out, const std::string& index) {
    if (!is_commit_id(commit)) {
        return fail(Code::invalid, "'" + printable(commit) + "' is no commit id");
    }
    std::vector<std::string> env = tree_git_env(tree_folder(folder));
    env.emplace_back("GIT_OPTIONAL_LOCKS=0");
    std::vector<std::string> look = env;
    if (!index.empty()) {
        look.push_back("GIT_INDEX_FILE=" + index);
    }
    TRY_ASSIGN(const std::string status, Steps(git, std::move(look)).run(status_argv()));
    TRY_ASSIGN(const State state, read_state(status));
    if (!state.dirty && state.head == commit) {
        return std::string();
    }
    env.insert(env.end(), {"GIT_OBJECT_DIRECTORY=" + out.string(),
                           "GIT_ALTERNATE_OBJECT_DIRECTORIES=" + (mirror / "objects").string(),
                           "GIT_INDEX_FILE=" + (out / "index").string(), "GIT_AUTHOR_NAME=Seatrial",
                           "GIT_AUTHOR_EMAIL=seatrial@localhost", "GIT_COMMITTER_NAME=Seatrial",
                           "GIT_COMMITTER_EMAIL=seatrial@localhost"});
    const Steps steps(git, std::move(env));
    std::string saved = state.head;
    if (state.dirty) {
        TRY_ASSIGN(saved, commit_all(steps, state.head));
    }
    TRY(steps.run({"git", "update-ref", salvage_ref, saved}));
    TRY(steps.run({"git", "bundle", "create", "--quiet", (out / "salvage.bundle").string(),
                   salvage_ref, "--not", commit}));
    return saved;
}

}    // namespace seatrial::git
