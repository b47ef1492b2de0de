// Refs of a mirror read from their files (gitrepository-layout): loose files win over packed-refs.
#include "git/ref_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/text.h"
#include "git/mirror.h"
#include "git/refs.h"

namespace seatrial::git {
namespace {

constexpr std::size_t largest_packed_refs = 64 << 20;

struct CloseDir {
    void operator()(DIR* dir) const { ::closedir(dir); }
};

// Calls `each(ref, commit)` for the lines of packed-refs.
template <class Each>
Status read_packed(const std::filesystem::path& mirror, const Each& each) {
    const auto text = seatrial::read_file(mirror / "packed-refs", largest_packed_refs);
    if (!text) {
        return text.error().code == Code::not_found ? Status{} : tl::unexpected(text.error());
    }
    for (const auto line : split(*text, '\n')) {
        if (line.size() > 41 && line[40] == ' ' && is_commit_id(line.substr(0, 40))) {
            each(line.substr(41), line.substr(0, 40));
        }
    }
    return {};
}

}    // namespace

Result<std::map<std::string, std::string>> refs_below(const std::filesystem::path& mirror,
                                                      const std::string& prefix) {
    std::map<std::string, std::string> refs;
    // Loose before packed: a ref packed in between is seen twice, never missed.
    const std::unique_ptr<DIR, CloseDir> dir(::opendir((mirror / prefix).c_str()));
    if (!dir && errno != ENOENT && errno != ENOTDIR) {
        return fail_errno("cannot list " + (mirror / prefix).string(), errno);
    }
    std::vector<std::string> names;
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr) {
        const std::string_view name = entry->d_name;
        if (!name.starts_with('.') && !name.ends_with(".lock")) {
            names.emplace_back(name);
        }
    }
    for (const auto& name : names) {
        const auto text = seatrial::read_file(mirror / (prefix + name), 4096);
        if (text) {
            const auto commit = trim(*text);
            refs[name] = is_commit_id(commit) ? std::string(commit) : "";
        }
    }
    TRY(read_packed(mirror, [&](std::string_view ref, std::string_view commit) {
        if (ref.starts_with(prefix) && ref.find('/', prefix.size()) == std::string_view::npos) {
            refs.emplace(ref.substr(prefix.size()), commit);
        }
    }));
    return refs;
}

Result<std::string> read_ref(const std::filesystem::path& mirror, const std::string& ref) {
    const auto text = seatrial::read_file(mirror / ref, 4096);
    if (text) {
        const auto commit = trim(*text);
        return is_commit_id(commit) ? std::string(commit) : std::string();
    }
    std::string found;
    TRY(read_packed(mirror, [&](std::string_view name, std::string_view commit) {
        if (name == ref) {
            found = commit;
        }
    }));
    return found;
}

std::string Mirror::known_tip(const std::filesystem::path& repository, const std::string& branch,
                              const Context& ctx) const {
    const auto ref = parse_branch(branch);
    if (!ref) {
        return {};
    }
    // Somebody else's folder: no pipe is waited for.
    const Fd fd(::open((repository / *ref).c_str(),
                       O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
    struct stat info{};
    std::array<char, 64> text{};
    if (!fd || ::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
        ::read(fd.get(), text.data(), text.size()) != 41) {
        return {};
    }
    std::string commit(text.data(), 40);
    const auto known = tips(ctx);
    return known && std::binary_search(known->begin(), known->end(), commit) ? commit : "";
}

}    // namespace seatrial::git
