// Type "worktree": the files of a preview at a commit, in <previews>/<name>/{tree,git}. Place
// "host". The folder belongs to the daemon, tree and git folder to the preview's uid; git runs
// there as that uid only, reading from the mirror (git/worktree.h).
//
// <previews>/<name>/spec is the record: written before an effect with what is under way, at the
// end with the spec's hash, which makes it ready.
//
// Spec (JSON): mirror (folder name below <data>/mirrors), commit (40 hex), uid_slot; fresh
// (optional, true: not moved from an older commit but made anew, ignored files go too).
// The commit must be kept by a git-ref while the worktree stands.
#pragma once

#include <filesystem>
#include <optional>

#include "plan/resource.h"
#include "process/runner.h"
#include "resource/folders.h"

namespace seatrial::resource {

inline constexpr std::string_view worktree_type = "worktree";

class Worktree : public plan::Type {
public:
    // `data`: the data folder, with mirrors/ and trash/. `previews`: where worktrees go; the
    // runner must have it among its roots.
    Worktree(process::Runner& runner, std::filesystem::path data, std::filesystem::path previews,
             std::string instance)
        : runner_(runner),
          data_(std::move(data)),
          previews_(std::move(previews)),
          instance_(std::move(instance)) {}
    std::string_view name() const override { return worktree_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    // Ready: the record is finished and HEAD is its commit. Changed files do not count: apps
    // write into their tree. Starts no process.
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Moves an existing tree: local changes of tracked files are dropped, ignored and untracked
    // files stay; local commits are saved first. Errors: `conflict` when something of others is
    // there, or must be made anew while something is mounted in it.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    // Local commits and uncommitted work go to refs/st/salvage/<name> of the mirror, the folder to
    // <data>/trash; gone when the path is free. `conflict` while something is mounted in it.
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    struct Record {
        std::string spec;    // hash, "" while under way
        std::string mirror;
        std::string commit;    // the last one that was finished, "" before the first
        std::string next;      // the one under way
        std::string index;     // identity of the index as the finished checkout left it
        int uid_slot = -1;
        bool fresh = false;    // of the spec, not recorded
        bool owned = false;    // tree and git folder are whole and belong to the slot
    };
    std::filesystem::path folder(const std::string& name) const { return previews_ / name; }
    Result<std::optional<Record>> read_record(const std::string& name) const;
    Status write_record(const std::string& name, const Record& record) const;
    Result<plan::Observation> look(const std::string& name) const;
    Status check_unmounted(const std::filesystem::path& folder) const;
    std::string run_name(const std::string& name, std::string_view step) const;
    Status end_runs(const std::string& name, const Context& ctx);
    Result<process::RunState> run_git(const std::string& name, std::string_view step,
                                      std::vector<std::string> argv, std::vector<std::string> env,
                                      int uid_slot, const Context& ctx);
    Result<Record> read_spec(const nlohmann::json& spec) const;
    Status prepare(const std::string& name, const std::optional<Record>& before, Record& wanted,
                   const Context& ctx);
    Status clear(const std::string& name, const Context& ctx);
    Status add(const std::string& name, Record& record, const Context& ctx);
    Status check_out(const std::string& name, const Record& record, const Context& ctx);
    Status check_out_or_rebuild(const std::string& name, Record& wanted, const Context& ctx);
    Status drop_stale_locks(const std::string& name, int uid_slot, const Context& ctx);
    Status save_local_commits(const std::string& name, const Record& record,
                              const plan::Progress& progress, const Context& ctx);
    // The ref that holds what was saved, "" when there was nothing.
    Result<std::string> save_work(const std::string& name, const Record& record,
                                  const TreeSize& size, const Context& ctx);

    process::Runner& runner_;
    std::filesystem::path data_;
    std::filesystem::path previews_;
    std::string instance_;
};

}    // namespace seatrial::resource
