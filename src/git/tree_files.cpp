// Which files a commit has at some paths.
#include "base/text.h"
#include "crypto/crypto.h"
#include "git/blob.h"
#include "git/mirror.h"
#include "git/refs.h"
#include "git/run.h"

namespace seatrial::git {
namespace {

constexpr const char* empty_tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

}    // namespace

Result<std::vector<TreeFile>> Mirror::list_files(const std::string& commit,
                                                 const std::vector<std::string>& paths,
                                                 const Context& ctx) const {
    if (!is_commit_id(commit)) {
        return fail(Code::invalid, "'" + printable(commit) + "' is no commit id");
    }
    if (paths.empty()) {
        return std::vector<TreeFile>();
    }
    Call list = call();
    list.args = {"diff-tree", "-r", "-z", "--no-renames", empty_tree, commit, "--"};
    for (const auto& path : paths) {
        TRY(check_path(path));
        const bool glob = path.find_first_of("*?[") != std::string::npos;
        list.args.push_back((glob ? ":(top,glob)" : ":(top,literal)") + path);
    }
    TRY_ASSIGN(const std::string out, run_git_checked(std::move(list), "cannot list files", ctx));
    // ":000000 100644 0000... <id> A" NUL path NUL
    std::vector<TreeFile> files;
    const auto fields = split(out, '\0');
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
        const auto words = split(fields[i], ' ');
        if (words.size() != 5) {
            return fail(Code::internal, "git diff-tree answered in another form");
        }
        files.push_back({std::string(words[1]), std::string(words[3]), std::string(fields[i + 1])});
    }
    return files;
}

Result<std::string> Mirror::tree_digest(const std::string& commit,
                                        const std::vector<std::string>& paths,
                                        const Context& ctx) const {
    TRY_ASSIGN(const auto files, list_files(commit, paths, ctx));
    crypto::Sha256 digest;
    for (const auto& file : files) {
        digest.update_field(file.mode);
        digest.update_field(file.id);
        digest.update_field(file.path);
    }
    return digest.finish_hex();
}

}    // namespace seatrial::git
