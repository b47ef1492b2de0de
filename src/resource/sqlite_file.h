// Type "sqlite-file": a preview's own SQLite database, copied from a template file by SQLite's
// backup. Place "host". The database lies at <previews>/<worktree>/data/<name>.sqlite, in a folder
// of its own, because SQLite writes beside the file; our mark lies outside that folder, where the
// app cannot write: <previews>/<worktree>/<name>.sqlite.json. Spec:
//   file      path of the database, as above
//   template  absolute path, or "" for an empty database
//   uid_slot  who gets the folder (process/runner.h), -1: stays with this user
#pragma once

#include <filesystem>
#include <functional>

#include "plan/resource.h"

namespace seatrial::resource {

inline constexpr std::string_view sqlite_file_type = "sqlite-file";

class SqliteFile : public plan::Type {
public:
    // Runner::own and Runner::remove; left empty, trees keep their owner and are removed as this
    // user.
    using OwnTree =
        std::function<Status(const std::filesystem::path& tree, int uid_slot, const Context& ctx)>;
    using RemoveTree = std::function<Status(const std::filesystem::path& tree, const Context& ctx)>;

    // `previews`: where the worktrees lie, "" for <data>/previews. Templates elsewhere below the
    // data folder are refused: a branch must not choose the daemon's own records.
    SqliteFile(std::string instance, std::filesystem::path data, OwnTree own = {},
               RemoveTree remove = {}, const std::filesystem::path& previews = {});
    std::string_view name() const override { return sqlite_file_type; }
    plan::Traits traits() const override;
    Result<std::vector<std::string>> list(const std::string& place, const Context& ctx) override;
    Result<plan::Observation> observe(const plan::Ref& ref, const Context& ctx) override;
    // Errors: `invalid` when the template is missing, no database, or reached through a link.
    Status create(const plan::Ref& ref, const nlohmann::json& spec, const plan::Progress& progress,
                  const Context& ctx) override;
    Result<plan::Removal> destroy(const plan::Ref& ref, const Context& ctx) override;

private:
    Result<plan::Observation> look(const std::filesystem::path& home, const std::string& name);
    Result<std::vector<std::filesystem::path>> homes(const std::string& name) const;
    Status check_template(const std::filesystem::path& path) const;
    Status own(const std::filesystem::path& tree, int uid_slot, const Context& ctx) const;
    Status remove(const std::filesystem::path& tree, const Context& ctx) const;

    std::string instance_;
    std::filesystem::path data_;
    std::filesystem::path previews_;
    OwnTree own_;
    RemoveTree remove_;
};

}    // namespace seatrial::resource
