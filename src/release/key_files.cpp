#include "release/key_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "config/secret_text.h"
#include "git/ignored.h"
#include "secrets/sync.h"

namespace seatrial::release {
namespace {

using config::Fault;
namespace fs = std::filesystem;

constexpr std::size_t file_limit = 1 << 20;
constexpr mode_t group_or_others = 0077;
constexpr mode_t write_by_others = 0022;

std::string octal(mode_t mode) {
    char text[8];
    std::snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mode & 07777U));
    return text;
}

void check_key_file(const std::string& file, std::vector<Fault>& out) {
    const auto fault = [&](std::string message, std::string remedy) {
        out.push_back({file, 0, "", std::move(message), std::move(remedy), false});
    };
    struct stat seen{};
    const auto text = read_file(file, file_limit);
    if (!text || ::stat(file.c_str(), &seen) != 0) {
        fault("the key file cannot be read: " + (text ? "it is gone" : text.error().message),
              "make the user that the daemon runs as its owner");
    } else if (!S_ISREG(seen.st_mode)) {
        fault("the key file is no plain file", "name a file");
    } else if (config::is_private_key(*text) && (seen.st_mode & group_or_others) != 0) {
        fault("it is a private key and has mode " + octal(seen.st_mode), "chmod 600 " + file);
    } else if ((seen.st_mode & write_by_others) != 0) {
        fault("others than its owner can write it: mode " + octal(seen.st_mode),
              "chmod 644 " + file);
    }
}

void check_env_file(const std::string& file, const Context& ctx, std::vector<Fault>& out) {
    struct stat seen{};
    if (::stat(file.c_str(), &seen) != 0) {
        return;    // told with the variables
    }
    if ((seen.st_mode & S_IROTH) != 0) {
        out.push_back(
            {file, 0, "", "every user of this machine can read it", "chmod o-r " + file, true});
    }
    const auto place = git::place_of(file, ctx);
    if (!place) {
        out.push_back({file, 0, "",
                       "git cannot tell whether it is tracked: " + place.error().message,
                       "keep env files outside of repositories", true});
    } else if (*place == git::Place::tracked) {
        out.push_back(
            {file, 0, "", "is tracked by git: whoever has the repository has its values",
             "git rm --cached " + file + ", name it in .gitignore, and change its secrets", false});
    } else if (*place == git::Place::untracked) {
        out.push_back({file, 0, "", "lies in a git repository that does not ignore it",
                       "name it in .gitignore", true});
    }
}

}    // namespace

std::vector<Fault> check_files(const config::Environment& environment, const Context& ctx) {
    std::vector<Fault> out;
    for (const auto& file : environment.release.env_files) {
        check_env_file(file, ctx, out);
    }
    for (const auto& source : environment.release.secrets) {
        if (const auto behind = secrets::unfinished_sync(source); !behind.empty()) {
            out.push_back({behind, 0, "", "a sync of " + source.sync.file + " was cut short",
                           "seatrial env sync " + environment.name, false});
        }
    }
    for (const auto& [name, key] : environment.release.key_files) {
        check_key_file(key.file, out);
    }
    return out;
}

Status copy_key_files(const std::vector<KeyFile>& files, const fs::path& folder) {
    if (files.empty()) {
        return {};
    }
    TRY(make_dirs(folder.parent_path(), 0700));
    TRY(make_dirs(folder, 0700));
    for (const auto& key : files) {
        const fs::path copy = folder / key.name;
        if (::access(copy.c_str(), F_OK) == 0) {
            continue;
        }
        const auto text = read_file(key.file, file_limit);
        if (!text) {
            return fail(Code::failed,
                        "the key file " + key.file + " cannot be read: " + text.error().message,
                        "make the user that the daemon runs as its owner");
        }
        TRY(write_file_atomic(copy, *text, 0444));
    }
    return {};
}

Status remove_key_files(const fs::path& folder) {
    std::error_code error;
    fs::remove_all(folder, error);
    return error ? fail(Code::unavailable,
                        "copies of key files cannot be removed: " + error.message())
                 : Status();
}

Status keep_key_files(const fs::path& root, const std::set<std::string>& kept) {
    std::error_code error;
    std::vector<fs::path> strays;
    for (fs::directory_iterator one(root, error); !error && one != fs::directory_iterator();
         one.increment(error)) {
        if (!kept.contains(one->path().filename().string())) {
            strays.push_back(one->path());
        }
    }
    for (const auto& stray : strays) {
        TRY(remove_key_files(stray));
    }
    return {};
}

}    // namespace seatrial::release
