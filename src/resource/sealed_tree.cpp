#include "resource/sealed_tree.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "resource/copy_tree.h"
#include "resource/folders.h"

namespace seatrial::resource {
namespace {

using nlohmann::json;

constexpr const char* index_file = "index.json";
constexpr std::size_t index_limit = 4 << 20;
constexpr std::size_t most_paths = 10'000;
constexpr const char* keep_hint = "correct install.keep in seatrial.yaml";

bool is_pattern(std::string_view text) {
    return text.find_first_of("*?[") != std::string_view::npos;
}

bool is_folder(const Fd& parent, const std::string& name) {
    struct stat info{};
    return ::fstatat(parent.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(info.st_mode);
}

// Adds the folders below `at` that fit the parts from `index` on.
Status expand(const Fd& at, const std::vector<std::string_view>& parts, std::size_t index,
              const std::string& before, std::vector<std::string>& found) {
    const std::string part(parts[index]);
    std::vector<std::string> names{part};
    if (is_pattern(part)) {
        TRY_ASSIGN(names, entries_of(at));
        std::erase_if(names, [&](const std::string& name) {
            return ::fnmatch(part.c_str(), name.c_str(), FNM_PERIOD) != 0;
        });
    }
    for (const auto& name : names) {
        if (!is_folder(at, name)) {
            continue;
        }
        const std::string path = before.empty() ? name : before + "/" + name;
        if (index + 1 == parts.size()) {
            found.push_back(path);
            if (found.size() > most_paths) {
                return fail(Code::failed, "install.keep matches too many folders", keep_hint);
            }
        } else if (const auto below = open_beneath(at, name)) {
            TRY(expand(*below, parts, index + 1, path, found));
        }
    }
    return {};
}

void drop_nested(std::vector<std::string>& paths) {
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    std::vector<std::string> outer;
    for (auto& path : paths) {
        const bool nested = std::any_of(outer.begin(), outer.end(), [&](const auto& above) {
            return path.starts_with(above + "/");
        });
        if (!nested) {
            outer.push_back(std::move(path));
        }
    }
    paths = std::move(outer);
}

// Gives a file with several names an inode of its own: the others may be written.
Status split_links(const Fd& folder, const std::string& name, const struct stat& info) {
    const std::string tmp = ".st-split-" + std::to_string(info.st_ino);
    ::unlinkat(folder.get(), tmp.c_str(), 0);
    TRY(add_mode(folder, name, 0400));
    const Fd from(::openat(folder.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    const Fd to(::openat(folder.get(), tmp.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!from || !to) {
        return fail_errno("cannot copy '" + printable(name) + "'", errno);
    }
    TRY(copy_content(from, to));
    const timespec times[2] = {info.st_atim, info.st_mtim};
    if (::fchmod(to.get(), info.st_mode & 0777) != 0 || ::futimens(to.get(), times) != 0 ||
        ::renameat(folder.get(), tmp.c_str(), folder.get(), name.c_str()) != 0) {
        return fail_errno("cannot copy '" + printable(name) + "'", errno);
    }
    return {};
}

Status prepare(const Fd& folder, int depth, Seal& seal, const Context& ctx) {
    if (depth >= deepest_folder) {
        return fail(Code::failed, "the installed tree is nested too deeply");
    }
    TRY(ctx.ok());
    TRY_ASSIGN(const auto names, entries_of(folder));
    for (const auto& name : names) {
        struct stat info{};
        if (::fstatat(folder.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
            return fail_errno("cannot look at '" + printable(name) + "'", errno);
        }
        seal.bytes += info.st_blocks * 512;
        if (S_ISDIR(info.st_mode)) {
            TRY(add_mode(folder, name, 0777));
            TRY_ASSIGN(const Fd below, open_beneath(folder, name));
            TRY(prepare(below, depth + 1, seal, ctx));
            continue;
        }
        ++seal.files;
        if (!S_ISREG(info.st_mode)) {
            continue;
        }
        if (info.st_nlink > 1) {
            TRY(split_links(folder, name, info));
        }
        TRY(add_mode(folder, name, (info.st_mode & 0111) != 0 ? 0777 : 0666));
    }
    return {};
}

}    // namespace

Result<std::optional<Seal>> read_seal(const std::filesystem::path& folder) {
    const auto text = read_file(folder / index_file, index_limit);
    if (!text && text.error().code == Code::not_found) {
        return std::nullopt;
    }
    if (!text) {
        return tl::unexpected(text.error());
    }
    try {
        const json index = json::parse(*text);
        Seal seal;
        seal.paths = index.at("paths").get<std::vector<std::string>>();
        seal.spec_hash = index.at("spec_hash").get<std::string>();
        seal.boot_id = index.at("boot_id").get<std::string>();
        seal.files = index.at("files").get<std::int64_t>();
        seal.bytes = index.at("bytes").get<std::int64_t>();
        return seal;
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

Status write_seal(const std::filesystem::path& folder, const Seal& seal) {
    const json index = {{"paths", seal.paths},
                        {"spec_hash", seal.spec_hash},
                        {"boot_id", seal.boot_id},
                        {"files", seal.files},
                        {"bytes", seal.bytes}};
    return replace_file(folder / index_file, index.dump(1) + "\n", 0600);
}

Result<std::vector<std::string>> expand_keep(const std::filesystem::path& tree,
                                             const std::vector<std::string>& patterns) {
    TRY_ASSIGN(const Fd root, open_folder(tree));
    std::vector<std::string> found;
    for (const auto& pattern : patterns) {
        const auto parts = split(pattern, '/');
        for (const auto part : parts) {
            if (part.empty() || part == "." || part == "..") {
                return fail(Code::invalid, "'" + printable(pattern) + "' is no path to keep",
                            keep_hint);
            }
        }
        const auto before = found.size();
        TRY(expand(root, parts, 0, "", found));
        if (found.size() == before && !is_pattern(pattern)) {
            return fail(Code::failed,
                        "the install command did not make the folder '" + printable(pattern) + "'",
                        keep_hint);
        }
    }
    drop_nested(found);
    return found;
}

Status take_folder(const std::filesystem::path& tree, const std::string& path,
                   const std::filesystem::path& to) {
    // Renaming wants to write the folder, the one it lies in, and to enter all above; an install
    // may have closed any of them.
    TRY_ASSIGN(Fd at, open_folder(tree));
    const auto parts = split(path, '/');
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const std::string name(parts[i]);
        TRY(add_mode(at, name, 0700));
        if (i + 1 < parts.size()) {
            TRY_ASSIGN(at, open_beneath(at, name));
        }
    }
    const std::string last(parts.back());
    if (::renameat(at.get(), last.c_str(), AT_FDCWD, to.c_str()) != 0) {
        return fail_errno("cannot keep '" + printable(path) + "'", errno);
    }
    return {};
}

Status prepare_shared(const std::filesystem::path& folder, Seal& seal, const Context& ctx) {
    TRY_ASSIGN(const Fd parent, open_folder(folder.parent_path()));
    TRY(add_mode(parent, folder.filename().string(), 0777));
    TRY_ASSIGN(const Fd at, open_folder(folder));
    return prepare(at, 0, seal, ctx);
}

}    // namespace seatrial::resource
