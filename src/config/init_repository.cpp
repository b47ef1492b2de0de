#include <sys/stat.h>

#include <algorithm>
#include <cctype>

#include "base/file.h"
#include "base/text.h"
#include "config/init_draft.h"
#include "config/values.h"

namespace seatrial::config::init {
namespace {

constexpr std::size_t file_limit = 1 << 20;
constexpr std::size_t folder_limit = 200;

// Every step of the way must be a real folder: a link may lead out of the repository, a pipe
// may never answer.
bool leads_to(const std::filesystem::path& root, std::string_view path, mode_t kind) {
    if (!is_path_below(path)) {
        return false;
    }
    std::filesystem::path at = root;
    const auto segments = split(clean_path(path), '/');
    for (std::size_t i = 0; i < segments.size(); ++i) {
        at /= segments[i];
        struct stat info{};
        const mode_t wanted = i + 1 == segments.size() ? kind : S_IFDIR;
        if (::lstat(at.c_str(), &info) != 0 || (info.st_mode & S_IFMT) != wanted) {
            return false;
        }
    }
    return true;
}

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '@' ||
           c == '/';
}

}    // namespace

bool is_plain_path(std::string_view path) {
    return is_path_below(path) && !path.starts_with('-') &&
           std::ranges::all_of(path, [](unsigned char c) {
               return std::isalnum(c) != 0 || std::string_view("._-+@/").find(
                                                  static_cast<char>(c)) != std::string_view::npos;
           });
}

std::optional<std::string> Repository::read(std::string_view path) const {
    if (!has_file(path)) {
        return std::nullopt;
    }
    auto content = read_file(root_ / path, file_limit);
    if (!content || !is_valid_utf8(*content)) {
        return std::nullopt;
    }
    return std::move(*content);
}

bool Repository::has_file(std::string_view path) const {
    return leads_to(root_, path, S_IFREG);
}
bool Repository::has_folder(std::string_view path) const {
    return leads_to(root_, path, S_IFDIR);
}

std::vector<std::string> Repository::folders(std::string_view path) const {
    std::vector<std::string> out;
    if (!path.empty() && !has_folder(path)) {
        return out;
    }
    std::error_code error;
    std::filesystem::directory_iterator entries(root_ / path, error);
    const std::filesystem::directory_iterator end;
    for (; !error && entries != end && out.size() < folder_limit; entries.increment(error)) {
        const std::string name = entries->path().filename();
        constexpr std::string_view foreign[] = {"node_modules", "vendor",      "dist",  "build",
                                                "venv",         "__pycache__", "target"};
        if (!name.starts_with('.') && std::ranges::find(foreign, name) == std::end(foreign) &&
            is_plain_path(name) && has_folder(join_path(path, name))) {
            out.push_back(name);
        }
    }
    std::ranges::sort(out);
    return out;
}

std::vector<std::string> Repository::files(std::string_view path) const {
    std::vector<std::string> out;
    std::error_code error;
    std::filesystem::directory_iterator entries(root_ / path, error);
    const std::filesystem::directory_iterator end;
    for (; !error && entries != end && out.size() < folder_limit; entries.increment(error)) {
        const std::string name = entries->path().filename();
        if (!name.starts_with('.') && is_plain_path(name) && has_file(join_path(path, name))) {
            out.push_back(name);
        }
    }
    std::ranges::sort(out);
    return out;
}

std::string Repository::first_file(std::string_view folder,
                                   const std::vector<std::string_view>& names) const {
    for (const auto name : names) {
        if (has_file(join_path(folder, name))) {
            return std::string(name);
        }
    }
    return {};
}

std::string join_path(std::string_view folder, std::string_view name) {
    return folder.empty() ? std::string(name) : std::string(folder) + "/" + std::string(name);
}

std::string health_route(std::string_view text) {
    for (const std::string_view route : {"/healthz", "/health", "/api/health", "/ping"}) {
        for (const char quote : {'"', '\'', '`'}) {
            if (text.find(quote + std::string(route) + quote) != std::string_view::npos) {
                return std::string(route);
            }
        }
    }
    return {};
}

bool mentions(std::string_view text, std::string_view word) {
    for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
        const auto after = at + word.size();
        if ((at == 0 || !is_word(text[at - 1])) &&
            (after >= text.size() || !is_word(text[after]))) {
            return true;
        }
    }
    return false;
}

void Draft::set_engine(std::string_view found) {
    if (engine.empty()) {
        engine = found;
    }
}

void Draft::set_migrate(std::string run, std::string folder) {
    if (migrate.empty()) {
        migrate = std::move(run);
        migrate_folder = std::move(folder);
    }
}

}    // namespace seatrial::config::init
