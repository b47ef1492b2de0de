// What a release does to the database: its SQL is read when it is built, and judged when it is
// wanted somewhere, against the release that serves there.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "git/mirror.h"
#include "guard/sql.h"
#include "release/deployment.h"

namespace seatrial::release {

struct SqlFile {
    std::string path;
    std::string id;    // of its content
    std::vector<guard::Finding> findings;
};

// The *.sql files at `paths` of a commit, judged. `invalid` when there are too many.
Result<std::vector<SqlFile>> read_sql(const git::Mirror& mirror, const std::string& commit,
                                      const std::vector<std::string>& paths, const Context& ctx);
nlohmann::json sql_json(const std::vector<SqlFile>& files);
std::vector<SqlFile> sql_of(const nlohmann::json& in);    // throws as nlohmann does

// Of a release's files those that the serving release did not have. Fills in the step's `contract`,
// `unseen` and `notes`; its `contract` says before whether the release declares it. `refused`, with
// files and lines, when they take away what `serving` (its tag) uses, undeclared.
Status settle_migration(Migration& step, const std::vector<SqlFile>& files,
                        const std::vector<SqlFile>& before, const std::string& serving);

}    // namespace seatrial::release
