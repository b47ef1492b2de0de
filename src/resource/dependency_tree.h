// Type "dep-tree": what an app's install command makes, installed once and shared. Place "host";
// the caller's name says what it was made from (app, key files, command, platform), so a name
// is only ever one content and a changed spec (another commit) keeps it.
//
// Made in a scratch checkout as the install's own uid, sealed by renaming the finished folder to
// <data>/trees/<name>; <data>/trees can be entered by the daemon alone, previews meet a tree
// only through their mounts (resource/dependency_mount.h). A seal is good for the boot that made
// it; list(), which the collector calls, writes it to disk and makes it good for ever: a start
// need not wait for the disk, and after a power cut an unwritten tree is made again.
//
// Spec (JSON): resource/run_spec.h without cwd, plus mirror (folder name), commit, keep [globs],
// timeout_ms (optional).
#pragma once

#include "plan/resource.h"
#include "process/runner.h"
#include "resource/environment.h"

namespace seatrial::resource {

inline constexpr std::string_view dependency_tree_type = "dep-tree";

class DependencyTree : public plan::Type {
public:
    // `data`: the data folder, with trees/, scratch/, trash/, mirrors/, mounts/.
    DependencyTree(process::Runner& runner, std::filesystem::path data, std::string instance,
                   DatabaseUrl database_url);
    std::string_view name() const override { return dependency_tree_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `failed` with the log's last lines when the command fails or does not make what is
    // to be kept; nothing but the log is left then.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    // `conflict` while it is mounted anywhere.
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    struct Job;    // one create
    std::filesystem::path sealed(const std::string& name) const { return data_ / "trees" / name; }
    std::filesystem::path scratch(const std::string& name) const {
        return data_ / "scratch" / name;
    }
    std::filesystem::path trash() const { return data_ / "trash"; }
    std::string run_name(const std::string& name, const std::string& step) const;
    Status end_runs(const std::string& name, const Context& ctx);
    Status clear(const std::string& name, const Context& ctx);
    Status make(const Job& job, const Context& ctx);
    Status check_out(const Job& job, const Context& ctx);
    Status install(const Job& job, const Context& ctx);
    Result<process::RunState> run_telling(const process::RunSpec& run, const Job& job,
                                          const Context& ctx);
    Status seal(const Job& job, const Context& ctx);
    Status settle(const std::string& name) const;

    process::Runner& runner_;
    std::filesystem::path data_;
    std::string instance_;
    DatabaseUrl database_url_;
};

}    // namespace seatrial::resource
