#include "git/bundle.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>

#include "base/text.h"
#include "git/blob.h"
#include "git/refs.h"

namespace seatrial::git {
namespace {

constexpr std::string_view signature = "# v2 git bundle\n";
constexpr std::size_t longest_header = 1 << 20;

// Every one is an error for fsck by default or under --strict and was written by real tools.
constexpr std::array<const char*, 11> tolerated{"zeroPaddedFilemode",
                                                "badTimezone",
                                                "missingSpaceBeforeDate",
                                                "missingSpaceBeforeEmail",
                                                "missingNameBeforeEmail",
                                                "missingEmail",
                                                "badEmail",
                                                "zeroPaddedDate",
                                                "badDateOverflow",
                                                "badFilemode",
                                                "extraHeaderEntry"};

tl::unexpected<Error> broken(const std::string& why) {
    return fail(Code::invalid, "the bundle is broken: " + why);
}

Status write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno("cannot write the bundle", errno);
        }
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

// The header up to and with its empty line.
Result<std::string> read_header_text(int fd) {
    std::string text;
    while (text.size() <= longest_header) {
        std::array<char, 4096> piece{};
        const ssize_t n = ::pread(fd, piece.data(), piece.size(), static_cast<off_t>(text.size()));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return fail_errno("cannot read the bundle", errno);
        }
        if (n == 0) {
            return broken("it ends in its header");
        }
        const std::size_t before = text.size();
        text.append(piece.data(), static_cast<std::size_t>(n));
        const auto end = text.find("\n\n", before == 0 ? 0 : before - 1);
        if (end != std::string::npos) {
            text.resize(end + 2);
            return text;
        }
        if (!text.starts_with(signature.substr(0, std::min(signature.size(), text.size())))) {
            return broken("it has no bundle signature");
        }
    }
    return broken("its header is too long");
}

// Is everything reachable from `commit` also reachable from one of `have`?
Result<bool> nothing_new(const Call& base, const std::string& commit,
                         const std::vector<std::string>& have, const Context& ctx) {
    Call call = base;
    call.args = {"rev-list", "--max-count=1", "--stdin"};
    call.input = commit + "\n";
    for (const auto& known : have) {
        call.input += "^" + known + "\n";
    }
    TRY_ASSIGN(const std::string out, run_git_checked(call, "cannot compare commits", ctx));
    return trim(out).empty();
}

}    // namespace

Result<BundleHeader> read_bundle_header(int fd) {
    TRY_ASSIGN(const std::string text, read_header_text(fd));
    if (!text.starts_with(signature)) {
        return broken("it has no bundle signature");
    }
    BundleHeader header;
    header.pack_offset = static_cast<off_t>(text.size());
    std::string_view rest = std::string_view(text).substr(signature.size());
    rest.remove_suffix(rest.size() < 2 ? rest.size() : 2);
    for (auto line : split(rest, '\n')) {
        const bool prerequisite = line.starts_with('-');
        if (prerequisite) {
            line.remove_prefix(1);
        }
        const auto id = line.substr(0, 40);
        if (!is_commit_id(id) || (line.size() > 40 && line[40] != ' ')) {
            return broken("its header has a line that is no commit");
        }
        (prerequisite ? header.prerequisites : header.tips).emplace_back(id);
    }
    if (header.tips.empty()) {
        return broken("it has no commits");
    }
    return header;
}

Status write_bundle_from(const Call& base, const std::string& commit,
                         const std::vector<std::string>& have, int out, const Context& ctx) {
    std::set<std::string> wanted;
    for (const auto& id : have) {
        if (!is_commit_id(id)) {
            return fail(Code::invalid, "'" + printable(id) + "' is no commit id");
        }
        wanted.insert(id);
    }
    if (!is_commit_id(commit)) {
        return fail(Code::invalid, "'" + printable(commit) + "' is no commit id");
    }
    if (wanted.contains(commit)) {
        return {};
    }
    std::vector<std::string> asked(wanted.begin(), wanted.end());
    asked.push_back(commit);
    TRY_ASSIGN(const auto found, find_commits(base, asked, ctx));
    if (!found.back()) {
        return fail(Code::not_found, "there is no commit " + commit);
    }
    std::vector<std::string> known;
    for (std::size_t i = 0; i + 1 < found.size(); ++i) {
        if (found[i] == asked[i]) {    // a tag's id would be no commit there
            known.push_back(asked[i]);
        }
    }
    if (!known.empty()) {
        TRY_ASSIGN(const bool nothing, nothing_new(base, commit, known, ctx));
        if (nothing) {
            return {};
        }
    }
    std::string header(signature);
    Call pack = base;
    // Deltas that exist are used, none is searched for: the way to the receiver is short.
    pack.args = {"pack-objects", "--revs",     "--stdout",        "--thin",
                 "-q",           "--window=0", "--compression=1", "--delta-base-offset"};
    pack.input = commit + "\n";
    for (const auto& id : known) {
        header += "-" + id + "\n";
        pack.input += "^" + id + "\n";
    }
    header += commit + " refs/st/in/" + commit + "\n\n";
    TRY(write_all(out, header));
    pack.output_fd = out;
    TRY(run_git_checked(pack, "cannot pack commit " + commit.substr(0, 12), ctx));
    return {};
}

Status index_bundle(const Call& base, int fd, const BundleHeader& header, const Context& ctx) {
    if (::lseek(fd, header.pack_offset, SEEK_SET) < 0) {
        return fail_errno("cannot read the bundle", errno);
    }
    Call call = base;
    call.args = {"index-pack", "--stdin", "--fix-thin", "--strict=" + tolerated_faults()};
    call.input_fd = fd;
    TRY_ASSIGN(const process::Output output, run_git(std::move(call), ctx));
    if (output.exit_code != 0) {
        Error error = git_error("the bundle cannot be taken in", output);
        if (error.code == Code::failed) {
            error.code = Code::invalid;
        }
        return tl::unexpected(std::move(error));
    }
    return {};
}

std::string tolerated_faults() {
    std::string text;
    for (const char* fault : tolerated) {
        text += (text.empty() ? "" : ",") + std::string(fault) + "=warn";
    }
    return text;
}

Config fetch_checks() {
    Config config{{"fetch.fsckObjects", "true"}};
    for (const char* fault : tolerated) {
        config.emplace_back("fetch.fsck." + std::string(fault), "warn");
    }
    return config;
}

}    // namespace seatrial::git
