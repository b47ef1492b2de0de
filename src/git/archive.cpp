// A commit's files as a tar, for builders.
#include "base/scratch_folder.h"
#include "base/text.h"
#include "git/mirror.h"
#include "git/refs.h"
#include "git/run.h"

namespace seatrial::git {
namespace {

constexpr std::size_t longest_list = 64 << 20;

// By an index of its own, which takes the very lines that ls-tree writes. The new tree belongs to
// no commit: upkeep drops it when it is old.
Result<std::string> tree_without(const Call& base, const std::string& tree,
                                 const Mirror::LeaveOut& leave_out, const Context& ctx) {
    Call list = base;
    list.args = {"ls-tree", "-r", "-z", "--full-tree", tree};
    list.output_limit = longest_list;
    TRY_ASSIGN(const std::string lines, run_git_checked(std::move(list), "cannot list files", ctx));
    Call fill = base;
    bool all = true;
    for (const auto line : split(lines, '\0')) {    // "100644 blob <id>" TAB path
        const auto tab = line.find('\t');
        if (tab == std::string_view::npos) {
            continue;    // behind the last NUL
        }
        if (leave_out(line.substr(tab + 1))) {
            all = false;
        } else {
            fill.input.append(line).push_back('\0');
        }
    }
    if (all) {
        return tree;
    }
    TRY_ASSIGN(const auto scratch, ScratchFolder::make(base.cwd, archive_scratch));
    const std::string index = "GIT_INDEX_FILE=" + (scratch.path() / "index").string();
    fill.args = {"update-index", "-z", "--index-info"};
    fill.env.push_back(index);
    TRY(run_git_checked(std::move(fill), "cannot leave files out", ctx));
    Call write = base;
    write.args = {"write-tree", "--missing-ok"};    // they are in the commit
    write.env.push_back(index);
    TRY_ASSIGN(const std::string id,
               run_git_checked(std::move(write), "cannot leave files out", ctx));
    return std::string(trim(id));
}

}    // namespace

Status Mirror::archive(const std::string& commit, const std::string& folder, int out_fd,
                       const Context& ctx, const LeaveOut& leave_out) const {
    if (!is_commit_id(commit)) {
        return fail(Code::invalid, "not a commit id: " + printable(commit));
    }
    // "commit:folder" is that folder's tree, whatever characters it holds; "" is the root.
    std::string tree = commit + ":" + folder;
    if (leave_out) {
        TRY_ASSIGN(tree, tree_without(call(), tree, leave_out, ctx));
    }
    Call call = this->call();
    call.args = {"archive", "--format=tar", tree};
    call.output_fd = out_fd;
    TRY(run_git_checked(std::move(call),
                        "cannot read " + printable(folder) + " of commit " + commit.substr(0, 12),
                        ctx));
    return {};
}

}    // namespace seatrial::git
