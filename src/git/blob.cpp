#include "git/blob.h"

#include "base/text.h"
#include "git/refs.h"

namespace seatrial::git {
namespace {

constexpr std::size_t largest_blob = 16 << 20;

}    // namespace

Status check_path(const std::string& path) {
    bool fine = !path.empty() && path.size() <= 4096 && path.front() != '/' &&
                path.find('\0') == std::string::npos && path.find('\n') == std::string::npos;
    for (const auto part : split(path, '/')) {
        fine = fine && !part.empty() && part != "." && part != "..";
    }
    if (!fine) {
        return fail(Code::invalid, "'" + printable(path) + "' is no path below the repository");
    }
    return {};
}

Result<std::vector<std::optional<std::string>>> find_commits(const Call& base,
                                                             const std::vector<std::string>& names,
                                                             const Context& ctx) {
    Call call = base;
    call.args = {"cat-file", "--batch-check=%(objectname) %(objecttype)"};
    for (const auto& name : names) {
        call.input += name + "^{commit}\n";
    }
    TRY_ASSIGN(const std::string out, run_git_checked(std::move(call), "cannot read commits", ctx));
    std::vector<std::optional<std::string>> found;
    for (const auto line : split(out, '\n')) {
        if (found.size() == names.size()) {
            break;
        }
        const auto id = line.substr(0, 40);
        found.push_back(line.substr(id.size()) == " commit" && is_commit_id(id)
                            ? std::optional<std::string>(id)
                            : std::nullopt);
    }
    if (found.size() != names.size()) {
        return fail(Code::internal, "git cat-file answered " + std::to_string(found.size()) +
                                        " of " + std::to_string(names.size()) + " questions");
    }
    return found;
}

Result<std::string> read_blob_at(const Call& base, const std::string& commit,
                                 const std::string& path, const Context& ctx) {
    if (!is_commit_id(commit)) {
        return fail(Code::invalid, "'" + printable(commit) + "' is no commit id");
    }
    TRY(check_path(path));
    Call call = base;
    call.args = {"cat-file", "--batch"};
    call.input = commit + ":" + path + "\n";
    call.output_limit = largest_blob + 4096;
    TRY_ASSIGN(std::string out, run_git_checked(std::move(call), "cannot read " + path, ctx));
    const auto line = std::string_view(out).substr(0, out.find('\n'));
    const auto words = split(line, ' ');
    if (words.size() != 3 || !is_commit_id(words[0]) || words[1] != "blob") {
        return fail(Code::not_found,
                    "commit " + commit.substr(0, 12) + " has no file " + printable(path));
    }
    const std::string size(words[2]);
    out.erase(0, line.size() + 1);
    out.resize(out.empty() ? 0 : out.size() - 1);    // the newline that --batch adds
    if (out.size() > largest_blob || std::to_string(out.size()) != size) {
        return fail(Code::invalid, printable(path) + " is larger than 16 MB");
    }
    return out;
}

}    // namespace seatrial::git
