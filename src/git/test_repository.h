// For tests: private folders and small git repositories made with git itself.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/text.h"
#include "git/mirror.h"
#include "git/run.h"
#include "process/command.h"

namespace seatrial::git::test {

inline Context soon() {
    return Context().with_timeout(std::chrono::seconds(60));
}

// Gone with everything in it at the end. Other users may pass through it.
class TempFolder {
public:
    TempFolder() {
        std::string name =
            (std::filesystem::temp_directory_path() / "seatrial-git-XXXXXX").string();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        path_ = name;
        ::chmod(path_.c_str(), 0755);
    }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    ~TempFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

inline void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

// What a test has told the copy of itself that it starts; "" without it.
inline std::string from_env(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

inline std::string slurp(const std::filesystem::path& path) {
    return seatrial::read_file(path, 16 << 20).value_or("<unreadable>");
}

// A work tree with its own commits, as a developer has it.
class Repo {
public:
    explicit Repo(std::filesystem::path path) : path_(std::move(path)) {
        std::filesystem::create_directories(path_);
        git({"init", "-q", "-b", "main", "."});
    }
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

    // Output without the last newline; a failure of git fails the test.
    std::string git(const std::vector<std::string>& args,
                    const std::vector<std::string>& env = {}) const {
        process::Command command;
        command.argv = {"git"};
        command.argv.insert(command.argv.end(), args.begin(), args.end());
        command.env = {"GIT_CONFIG_NOSYSTEM=1",  "GIT_CONFIG_GLOBAL=/dev/null",
                       "GIT_AUTHOR_NAME=dev",    "GIT_AUTHOR_EMAIL=dev@example.org",
                       "GIT_COMMITTER_NAME=dev", "GIT_COMMITTER_EMAIL=dev@example.org"};
        command.env.insert(command.env.end(), env.begin(), env.end());
        command.cwd = path_;
        const auto output = process::run_command(command, soon());
        EXPECT_TRUE(output) << (output ? "" : output.error().message);
        if (!output) {
            return {};
        }
        EXPECT_EQ(output->exit_code, 0) << join(args, " ") << ": " << output->err;
        return std::string(trim(output->out));
    }
    void write(const std::string& file, const std::string& text) const {
        test::write(path_ / file, text);
    }
    std::string commit(const std::string& message) const {
        git({"add", "-A"});
        git({"commit", "-q", "--allow-empty", "-m", message});
        return head();
    }
    std::string commit_file(const std::string& file, const std::string& text) const {
        write(file, text);
        return commit("change " + file);
    }
    std::string head() const { return git({"rev-parse", "HEAD"}); }

private:
    std::filesystem::path path_;
};

}    // namespace seatrial::git::test
