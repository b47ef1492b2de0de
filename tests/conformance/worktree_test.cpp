// git-ref and worktree, as an ordinary user: opening a Runner as root would leave root, and the
// children of this program could not open theirs. As root: src/resource/worktree_test.cpp.
#include "resource/worktree.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>

#include "base/failpoint.h"
#include "conformance/type_conformance.h"
#include "git/mirror.h"
#include "git/test_repository.h"
#include "process/runner.h"
#include "resource/mirror_ref.h"
#include "support/temp_dir.h"

namespace seatrial::conformance {
namespace {

namespace fs = std::filesystem;

// A data folder with one mirror of two commits.
class GitWorld : public Subject {
public:
    explicit GitWorld(const std::string& world) {
        if (!world.empty()) {
            base_ = world;
            return;
        }
        own_ = std::make_unique<test::TempDir>();
        base_ = own_->path();
        ::chmod(base_.c_str(), 0755);
        const git::test::Repo repo(base_ / "repo");
        repo.write(".gitignore", "node_modules/\n");
        repo.commit_file("a", "one\n");
        const git::Mirror mirror(data() / "mirrors/app.git");
        EXPECT_TRUE(mirror.ensure(git::test::soon()));
        git::test::write(base_ / "first", repo.head());
        repo.git({"tag", "first"});
        git::test::write(base_ / "second", repo.commit_file("a", "two\n"));
        repo.git({"push", "-q", mirror.folder().string(), "+HEAD:refs/st/in/x"});
    }
    std::string world() const override { return base_; }
    std::string place() const override { return "host"; }
    nlohmann::json spec(const std::string& /*name*/) override { return spec_at("first"); }
    nlohmann::json changed_spec(const std::string& /*name*/) override { return spec_at("second"); }
    // Trash is somebody else's to empty; logs and locks are files of the mirror itself.
    std::string census() override {
        std::vector<std::string> lines;
        for (const auto& entry : fs::recursive_directory_iterator(data())) {
            const std::string path = entry.path().lexically_relative(data());
            if (path.starts_with("trash/") || path == "trash" || path.ends_with("/refs/st/keep")) {
                continue;
            }
            lines.push_back(path + (entry.is_regular_file() && entry.file_size() < 100
                                        ? " " + git::test::slurp(entry.path())
                                        : ""));
        }
        std::sort(lines.begin(), lines.end());
        std::string out;
        for (const auto& line : lines) {
            out += line + "\n";
        }
        return out;
    }

protected:
    fs::path data() const { return base_ / "data"; }
    nlohmann::json spec_at(const std::string& which) const {
        return {{"mirror", "app.git"}, {"commit", git::test::slurp(base_ / which)}};
    }
    std::unique_ptr<test::TempDir> own_;
    fs::path base_;
};

class MirrorRefSubject : public GitWorld {
public:
    explicit MirrorRefSubject(const std::string& world)
        : GitWorld(world), type_(data(), instance) {}
    plan::Type& type() override { return type_; }
    // The mirrors are ours alone, and the name carries the mark.
    bool make_foreign(const std::string& /*name*/) override { return false; }
    bool foreign_intact(const std::string& /*name*/) override { return true; }
    void remove_foreign(const std::string& /*name*/) override {}

private:
    resource::MirrorRef type_;
};

class WorktreeSubject : public GitWorld {
public:
    explicit WorktreeSubject(const std::string& world) : GitWorld(world) {
        // The points under test are those of this process; the helper has its own suite.
        failpoints_active();
        ::unsetenv("SEATRIAL_FAILPOINTS");
        ::unsetenv("SEATRIAL_FAILPOINT_RECORD");
        auto runner = process::Runner::open({data(), instance, ""});
        check(runner.has_value(), runner ? "" : render_error(runner.error()).c_str());
        runner_ = std::move(*runner);
        fs::create_directories(data() / "previews");
        type_ =
            std::make_unique<resource::Worktree>(*runner_, data(), data() / "previews", instance);
    }
    plan::Type& type() override { return *type_; }
    bool make_foreign(const std::string& name) override {
        git::test::write(data() / "previews" / name, "somebody's file");
        return true;
    }
    bool foreign_intact(const std::string& name) override {
        return git::test::slurp(data() / "previews" / name) == "somebody's file";
    }
    void remove_foreign(const std::string& name) override {
        fs::remove(data() / "previews" / name);
    }

private:
    std::unique_ptr<process::Runner> runner_;
    std::unique_ptr<resource::Worktree> type_;
};

template <class Made>
std::unique_ptr<Subject> make(const std::string& world) {
    return std::make_unique<Made>(world);
}

const bool added[] = {
    run_as_ordinary_user(),
    add_subject("git-ref", &make<MirrorRefSubject>),
    add_subject("worktree", &make<WorktreeSubject>),
};

}    // namespace
}    // namespace seatrial::conformance
