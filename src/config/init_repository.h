// The files of a repository, as the inspectors of init.h may see them. Inside config/ only.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seatrial::config::init {

// Reads files of a repository that nobody vouches for: regular files only, no links, at most
// 1 MB each, paths below the root. Thread: any.
class Repository {
public:
    explicit Repository(std::filesystem::path root) : root_(std::move(root)) {}
    std::optional<std::string> read(std::string_view path) const;
    bool has_file(std::string_view path) const;
    bool has_folder(std::string_view path) const;
    // Names of the folders in `path` ("" = root), sorted, at most 200; hidden ones, those
    // that hold other people's code (node_modules, vendor) and odd names are left out.
    std::vector<std::string> folders(std::string_view path) const;
    // The first of `names` that is a file in `folder`; "" when none is.
    std::string first_file(std::string_view folder,
                           const std::vector<std::string_view>& names) const;
    // Names of the files in `path`, as above; hidden ones and links are left out.
    std::vector<std::string> files(std::string_view path) const;
    const std::filesystem::path& root() const { return root_; }

private:
    std::filesystem::path root_;
};

// Below the root, and made of characters that no shell reads in its own way.
bool is_plain_path(std::string_view path);
std::string join_path(std::string_view folder, std::string_view name);

}    // namespace seatrial::config::init
