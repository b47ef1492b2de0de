#include "app/worktree_root.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "base/names.h"
#include "base/text.h"

namespace seatrial::app {
namespace {

constexpr auto patience = std::chrono::seconds(10);

tl::unexpected<Error> fault(const WorktreeRoot& root, const std::string& what,
                            const std::string& remedy) {
    return tl::unexpected(Error{Code::invalid, root.key + ": " + what, remedy, "", nullptr});
}

bool holds_worktrees(const std::filesystem::path& folder, const std::string& instance) {
    std::error_code error;
    std::filesystem::directory_iterator at(folder, error);
    return !error && std::any_of(begin(at), end(at), [&](const auto& entry) {
        return is_our_name(instance, entry.path().filename().string());
    });
}

Status check_move(const WorktreeRoot& root, const std::string& before,
                  const std::filesystem::path& data, const std::string& instance) {
    const auto old = before.empty() ? data / "previews" : std::filesystem::path(before);
    if (before == root.path || !holds_worktrees(old, instance)) {
        return {};
    }
    const std::string set = before.empty() ? "unset" : "set to " + before;
    return fault(root, "previews still stand in " + old.string(),
                 "start with it " + set + ", stop them (seatrial stop), then change it");
}

}    // namespace

WorktreeRoot worktree_root(const config::Server& server, const config::Variables& variables,
                           bool embedded) {
    constexpr const char* variable = "PREVIEW_WORKTREE_PATH";
    const bool by_variable = variables.contains(variable);
    return {server.worktree_path, by_variable ? variable : "worktree_path",
            embedded && !by_variable};
}

Status settle_worktrees(const WorktreeRoot& root, const std::filesystem::path& data,
                        const std::string& instance, process::Runner& runner) {
    const auto note = data / "worktrees";
    auto noted = read_file(note, 1 << 16);
    if (!noted && noted.error().code != Code::not_found) {
        return tl::unexpected(std::move(noted).error());
    }
    TRY(check_move(root, noted.value_or(""), data, instance));
    if (!root.path.empty() && ((root.path + "/").starts_with(data.string() + "/") ||
                               data.string().starts_with(root.path + "/"))) {
        return fault(root, "'" + printable(root.path) + "' and the data folder lie in each other",
                     "leave it out: worktrees then lie in " + (data / "previews").string());
    }
    if (root.from_repository && !root.path.empty() && runner.privileged()) {
        return fault(root, "a repository does not choose folders for root",
                     "set it in the server's file, or by PREVIEW_WORKTREE_PATH");
    }
    auto set = runner.set_worktrees(root.path, Context().with_timeout(patience));
    if (!set && set.error().code == Code::invalid) {
        return fault(root, set.error().message, set.error().hint);
    }
    TRY(set);
    if (root.path.empty()) {
        return ::unlink(note.c_str()) == 0 || errno == ENOENT
                   ? Status{}
                   : fail_errno("cannot remove " + note.string(), errno);
    }
    return write_file_atomic(note, root.path, 0600);
}

}    // namespace seatrial::app
