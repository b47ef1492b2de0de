// A repository and a mirror that commits are sent to the way the command line does it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include "git/mirror.h"
#include "git/repository.h"
#include "git/test_repository.h"

namespace seatrial::git {

using test::Repo;
using test::soon;
using test::TempFolder;

class MirrorTest : public testing::Test {
protected:
    // Everything up to `commit` that the mirror lacks.
    Status send(const std::string& commit) {
        TRY_ASSIGN(const auto found, find_repository(repo.path(), soon()));
        TRY_ASSIGN(const auto have, mirror.tips(soon()));
        const Fd out(
            ::open((folder / "b").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        TRY(write_bundle(found, commit, have, out.get(), soon()));
        TRY(mirror.ensure(soon()));
        return mirror.receive_bundle(folder / "b", commit, soon());
    }
    std::string mirror_git(const std::vector<std::string>& args) {
        std::vector<std::string> all{"--git-dir", mirror.folder().string()};
        all.insert(all.end(), args.begin(), args.end());
        return repo.git(all);
    }
    TempFolder folder;
    Repo repo{folder / "r"};
    Mirror mirror{folder / "mirrors/app.git"};
};

}    // namespace seatrial::git
